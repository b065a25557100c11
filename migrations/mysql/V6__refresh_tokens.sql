-- Refresh tokens by their SHA-256. A replaced one keeps its successor for the grace time, sealed with a
-- key that only the replaced token gives; with the table alone nobody can use or open anything.
CREATE TABLE refresh_tokens (
    token_hash  BINARY(32)   NOT NULL PRIMARY KEY,
    session_id  CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at  BIGINT       NOT NULL,
    replaced_at BIGINT,
    successor   VARBINARY(96),
    KEY refresh_tokens_by_session (session_id),
    CONSTRAINT refresh_tokens_session FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
