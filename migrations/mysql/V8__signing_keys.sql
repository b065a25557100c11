-- The public halves of the keys that tokens are signed with; private ones are never here. A key is next,
-- then active, then retiring, then retired; the latest of its times says which.
CREATE TABLE signing_keys (
    kid          CHAR(43)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    algorithm    VARCHAR(8)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    jwk          VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    token_life   BIGINT        NOT NULL,
    published_at BIGINT        NOT NULL,
    active_at    BIGINT,
    retiring_at  BIGINT,
    retired_at   BIGINT,
    CONSTRAINT signing_keys_algorithm CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256')),
    CONSTRAINT signing_keys_order CHECK (retired_at IS NULL OR retiring_at IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
