-- What ends access tokens before their time, in the order in which gateways learn of it: a session, or
-- all of a user's tokens below a version.
CREATE TABLE revocations (
    sequence   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id    TEXT    NOT NULL,
    session_id TEXT,
    version    INTEGER,
    created_at INTEGER NOT NULL,
    CHECK ((session_id IS NULL) <> (version IS NULL))
) STRICT;
CREATE INDEX revocations_by_time ON revocations (created_at);
