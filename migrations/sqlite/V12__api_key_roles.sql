-- Which key has which role. A revoked key has none, so that it holds no role back.
CREATE TABLE api_key_roles (
    api_key_id TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    role       TEXT NOT NULL REFERENCES roles (name),
    PRIMARY KEY (api_key_id, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_roles_by_role ON api_key_roles (role);
