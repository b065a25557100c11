-- Who did what, to whom, when, from where. `actor` is a user's id, `shell` or `start`.
CREATE TABLE audit_log (
    sequence   BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    created_at BIGINT       NOT NULL,
    actor      VARCHAR(36)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    action     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject    VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    detail     VARCHAR(255) NOT NULL,
    source     VARCHAR(255) NOT NULL,
    request_id VARCHAR(128) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
