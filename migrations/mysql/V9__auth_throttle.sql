-- Failed attempts at passwords, by a SHA-256 of what they are counted under: an address, an account, an
-- account as seen from an address. `pending` are those that are being checked.
CREATE TABLE auth_throttle (
    subject     BINARY(32) NOT NULL PRIMARY KEY,
    failures    INT        NOT NULL,
    pending     INT        NOT NULL,
    since       BIGINT     NOT NULL,
    reserved_at BIGINT     NOT NULL,
    expires_at  BIGINT     NOT NULL,
    KEY auth_throttle_by_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
