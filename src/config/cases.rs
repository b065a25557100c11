//! `tests:`, the grammar; running them is not built yet.

use std::net::IpAddr;
use std::time::Duration;

use crate::base::decode::{FromText, Pairs, keys, mappings};
use crate::base::yaml::At;

keys! {
    /// A request and what should become of it.
    pub struct Case {
        pub name: String,
        pub request: Request,
        pub expect: Expect,
    }

    pub struct Request {
        pub method: Option<String>,
        pub path: String,
        pub host: Option<String>,
        pub headers: Pairs<At<String>> = Pairs::default(),
        pub ip: Option<Address>,
        pub r#as: Option<Caller>,
        pub repeat: Option<u32>,
        pub over: Option<Duration>,
    }

    pub struct Caller {
        pub user: String,
        pub roles: Vec<At<String>> = Vec::new(),
    }

    pub struct Expect {
        pub status: Option<u16>,
        pub code: Option<String>,
        pub route: Option<String>,
        pub upstream: Option<String>,
        pub path: Option<String>,
        pub limit: Option<String>,
    }
}
mappings!(Case, Request, Caller, Expect);

/// A client's address.
#[derive(Debug, Clone, PartialEq)]
pub struct Address(pub IpAddr);

impl FromText for Address {
    const EXPECTED: &'static str = "an IP address";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "it is none".to_owned())
    }
}
