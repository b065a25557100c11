-- Which user has which role. The role stays as long as somebody has it.
CREATE TABLE user_roles (
    user_id    CHAR(36)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    role       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    granted_by VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    granted_at BIGINT      NOT NULL,
    PRIMARY KEY (user_id, role),
    KEY user_roles_by_role (role),
    CONSTRAINT user_roles_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT user_roles_role FOREIGN KEY (role) REFERENCES roles (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
