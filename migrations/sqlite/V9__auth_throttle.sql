-- Failed attempts at passwords, by a SHA-256 of what they are counted under: an address, an account, an
-- account as seen from an address. `pending` are those that are being checked.
CREATE TABLE auth_throttle (
    subject     BLOB    NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    failures    INTEGER NOT NULL,
    pending     INTEGER NOT NULL,
    since       INTEGER NOT NULL,
    reserved_at INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX auth_throttle_by_expiry ON auth_throttle (expires_at);
