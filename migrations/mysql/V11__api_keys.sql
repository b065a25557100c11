-- Keys of programs, each by its SHA-256: 256 random bits can't be guessed from a hash, however fast it is.
-- Rows are never removed, so that the numbers of all and of revoked ones tell whether anything has changed.
CREATE TABLE api_keys (
    id         CHAR(36)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    name       VARCHAR(64) NOT NULL,
    key_hash   BINARY(32)  NOT NULL UNIQUE,
    created_by VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at BIGINT      NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    KEY api_keys_by_revocation (revoked_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
