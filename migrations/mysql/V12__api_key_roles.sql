-- Which key has which role. A revoked key has none, so that it holds no role back.
CREATE TABLE api_key_roles (
    api_key_id CHAR(36)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    role       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (api_key_id, role),
    KEY api_key_roles_by_role (role),
    CONSTRAINT api_key_roles_api_key FOREIGN KEY (api_key_id) REFERENCES api_keys (id) ON DELETE CASCADE,
    CONSTRAINT api_key_roles_role FOREIGN KEY (role) REFERENCES roles (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
