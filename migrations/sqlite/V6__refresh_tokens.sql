-- Refresh tokens by their SHA-256. A replaced one keeps its successor for the grace time, sealed with a
-- key that only the replaced token gives; with the table alone nobody can use or open anything.
CREATE TABLE refresh_tokens (
    token_hash  BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    session_id  TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    replaced_at INTEGER,
    successor   BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
