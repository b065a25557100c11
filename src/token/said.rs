//! What upstreams are told of a caller, as the values of headers. Made at a principal's first request and kept with
//! it: a token comes with many.

use std::sync::OnceLock;

use http::HeaderValue;

use super::Principal;

/// A principal's words, once they were needed.
#[derive(Debug, Clone, Default)]
pub struct Said(OnceLock<Option<Words>>);

/// What is said of a caller.
#[derive(Debug, Clone)]
pub struct Words {
    pub user: HeaderValue,
    pub email: Option<HeaderValue>,
    /// With commas between them.
    pub roles: HeaderValue,
    pub issuer: HeaderValue,
}

impl Principal {
    /// What upstreams are told; `None` where something in it has control characters, which no header can carry.
    pub fn words(&self) -> Option<&Words> {
        self.said.0.get_or_init(|| Words::of(self)).as_ref()
    }
}

impl Words {
    fn of(principal: &Principal) -> Option<Self> {
        // RFC 9110 §5.5 leaves bytes above ASCII to the two ends; here they are UTF-8.
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).ok();
        let email = principal.email.as_deref();
        Some(Self {
            user: value(&principal.user)?,
            email: match email {
                Some(email) => Some(value(email)?),
                None => None,
            },
            roles: value(&principal.roles.join(","))?,
            issuer: value(&principal.issuer)?,
        })
    }
}

/// They follow from the rest of a principal.
impl PartialEq for Said {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Said {}
