-- Times are milliseconds since 1970, UTC; ids are UUIDv7. `email_key` is computed by the application
-- and compared byte by byte.
CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    email         TEXT    NOT NULL,
    email_key     BLOB    NOT NULL UNIQUE CHECK (length(email_key) BETWEEN 3 AND 254),
    password_hash TEXT    NOT NULL CHECK (length(password_hash) = 60 AND password_hash GLOB '$2[aby]$[0-9][0-9]$*'),
    token_version INTEGER NOT NULL DEFAULT 0,
    disabled_at   INTEGER,
    created_at    INTEGER NOT NULL
) STRICT;
