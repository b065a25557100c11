-- Who did what, to whom, when, from where. `actor` is a user's id, `shell` or `start`.
CREATE TABLE audit_log (
    sequence   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    request_id TEXT    NOT NULL
) STRICT;
