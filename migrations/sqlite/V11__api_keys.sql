-- Keys of programs, each by its SHA-256: 256 random bits can't be guessed from a hash, however fast it is.
-- Rows are never removed, so that the numbers of all and of revoked ones tell whether anything has changed.
CREATE TABLE api_keys (
    id         TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    key_hash   BLOB    NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    created_by TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE INDEX api_keys_by_revocation ON api_keys (revoked_at);
