//! Who calls, as the gateway says it in `X-Auth-*`. A service behind the gateway may believe these
//! headers, because the gateway removes them from what clients send.

use axum::http::HeaderMap;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Caller {
    pub user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub roles: Vec<String>,
}

impl Caller {
    /// The caller, if the gateway has named one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let user = text("x-auth-user").filter(|user| !user.is_empty())?;
        let roles = text("x-auth-roles").unwrap_or_default().split(',');
        Some(Self {
            user: user.to_owned(),
            email: text("x-auth-email").map(str::to_owned),
            roles: roles
                .map(str::trim)
                .filter(|role| !role.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}
