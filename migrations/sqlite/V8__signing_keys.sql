-- The public halves of the keys that tokens are signed with; private ones are never here. A key is next,
-- then active, then retiring, then retired; the latest of its times says which.
CREATE TABLE signing_keys (
    kid          TEXT    NOT NULL PRIMARY KEY,
    algorithm    TEXT    NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256')),
    jwk          TEXT    NOT NULL,
    token_life   INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    active_at    INTEGER,
    retiring_at  INTEGER,
    retired_at   INTEGER,
    CHECK (retired_at IS NULL OR retiring_at IS NOT NULL)
) STRICT;
