-- Times are milliseconds since 1970, UTC; ids are UUIDv7. `email_key` is computed by the application
-- and compared byte by byte.
CREATE TABLE users (
    id            CHAR(36)       CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    email         VARCHAR(254)   NOT NULL,
    email_key     VARBINARY(254) NOT NULL UNIQUE,
    password_hash CHAR(60)       CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    token_version BIGINT         NOT NULL DEFAULT 0,
    disabled_at   BIGINT,
    created_at    BIGINT         NOT NULL,
    CONSTRAINT users_password_is_hashed CHECK (CHAR_LENGTH(password_hash) = 60 AND password_hash REGEXP '^[$]2[aby][$][0-9]{2}[$]')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
