-- What ends access tokens before their time, in the order in which gateways learn of it: a session, or
-- all of a user's tokens below a version.
CREATE TABLE revocations (
    sequence   BIGINT   NOT NULL PRIMARY KEY AUTO_INCREMENT,
    user_id    CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    session_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin,
    version    BIGINT,
    created_at BIGINT   NOT NULL,
    KEY revocations_by_time (created_at),
    CONSTRAINT revocations_one_kind CHECK ((session_id IS NULL) <> (version IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
