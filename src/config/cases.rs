//! `tests:`, requests and what should become of them: the grammar. `airside test` runs them; what only the whole
//! file can tell of them is `check/cases.rs`'s.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::base::decode::{self, Decode, Entries, FromText, Keys, Pairs, Within, keys, mappings};
use crate::base::report::{Code, Problem, Report};
use crate::base::units::ByteSize;
use crate::base::yaml::{At, Node};

keys! {
    /// A file with nothing but tests.
    pub struct Cases {
        pub tests: Entries<Case>,
    }

    /// A request and what should become of it.
    pub struct Case {
        /// What it shows, in a few words.
        pub name: At<String>,
        pub request: Request,
        pub expect: At<Expect>,
    }

    pub struct Request {
        pub method: At<MethodName> = At::new(MethodName("GET".to_owned()), Default::default()),
        /// The path, and a query if there is one.
        pub path: At<Target>,
        pub host: Option<At<String>>,
        pub headers: Pairs<At<String>> = Pairs::default(),
        /// Where the connection comes from.
        pub ip: Option<Address>,
        /// Who calls; left out, nobody brings a credential.
        pub r#as: Option<At<Caller>>,
        /// Bytes of the request's body.
        pub body: Option<ByteSize>,
        /// How often it is sent, each time the same; the last one is looked at.
        pub repeat: Option<At<Within<1, 1_000_000>>>,
        /// The time from the first to the last, evenly. Left out, all are sent at once.
        pub over: Option<At<Duration>>,
        /// What the upstream answers, should it be asked.
        pub answer: At<Status> = At::new(Status(StatusCode::OK), Default::default()),
    }

    pub struct Caller {
        /// The user's id, or the API key's.
        pub user: String,
        pub roles: Vec<At<String>> = Vec::new(),
        pub email: Option<String>,
        /// Whose token it is; left out, the built-in issuer's or else the only one's.
        pub issuer: Option<At<String>>,
        /// With an API key in place of a token.
        pub api_key: bool = false,
    }

    pub struct Expect {
        /// Of the answer; where an upstream is asked, what that answers.
        pub status: Option<At<Status>>,
        /// Of a refusal.
        pub code: Option<At<String>>,
        /// The route's name.
        pub route: Option<At<String>>,
        /// The upstream that is asked.
        pub upstream: Option<At<String>>,
        /// The path that the upstream gets, with its query.
        pub path: Option<At<String>>,
        /// The limit that refuses.
        pub limit: Option<At<String>>,
        /// Where a redirect leads.
        pub location: Option<At<String>>,
        /// Headers that the upstream gets; `null` is one that it does not get.
        pub headers: Pairs<At<Wanted>> = Pairs::default(),
        /// Headers that the client gets; `null` is one that it does not get.
        pub response_headers: Pairs<At<Wanted>> = Pairs::default(),
    }
}
mappings!(Request, Caller);

/// A client's address.
#[derive(Debug, Clone, PartialEq)]
pub struct Address(pub IpAddr);

/// Any method of HTTP, also one that no route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodName(pub String);

/// What stands behind the method in a request's first line; it need not be a sound path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(pub String);

/// A status of HTTP, from 200 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub StatusCode);

/// A header's value, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted(pub Option<String>);

impl Case {
    /// The headers as they are sent. What is none was reported while reading.
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let pairs = self.request.headers.0.iter();
        let read = pairs.filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.value.as_str()).ok()?;
            Some((name, HeaderValue::from_str(&value.value).ok()?))
        });
        read.collect()
    }
}

impl Expect {
    fn is_empty(&self) -> bool {
        let texts = [
            &self.code,
            &self.route,
            &self.upstream,
            &self.path,
            &self.limit,
            &self.location,
        ];
        self.status.is_none()
            && texts.iter().all(|text| text.is_none())
            && self.headers.0.is_empty()
            && self.response_headers.0.is_empty()
    }
}

impl Decode for Cases {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        decode::mapping(node, report)
    }

    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        decode::object(Self::properties(generator))
    }
}

impl Decode for Case {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let case: Self = decode::mapping(node, report)?;
        for (name, value) in &case.request.headers.0 {
            header_name(name, report);
            if HeaderValue::from_str(&value.value).is_err() {
                let message = "a header's value has no control characters";
                report.push(Problem::error(Code::InvalidValue, value.place, message));
            }
        }
        let expect = &case.expect.value;
        for (name, _) in expect.headers.0.iter().chain(&expect.response_headers.0) {
            header_name(name, report);
        }
        if expect.is_empty() {
            let message = "this test expects nothing, so that it can't fail";
            let problem = Problem::error(Code::InvalidValue, case.expect.place, message);
            report.push(problem.help("`expect: { status: 200 }`, or `route`, `upstream`, `code`"));
        }
        let request = &case.request;
        let several = request.repeat.is_some_and(|repeat| repeat.value.0 > 1);
        if let Some(over) = request.over.filter(|_| !several) {
            let message = "`over` is the time of several requests, and there is one";
            let problem = Problem::error(Code::Conflict, over.place, message);
            report.push(problem.help("add `repeat: 2` or more"));
        }
        Some(case)
    }

    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        decode::object(Self::properties(generator))
    }
}

impl Decode for Expect {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        decode::mapping(node, report)
    }

    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        decode::object(Self::properties(generator))
    }
}

impl Decode for Status {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let number = Within::<200, 599>::decode(node, report)?.0;
        let status = u16::try_from(number).ok();
        Some(Self(StatusCode::from_u16(status?).ok()?))
    }

    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Within::<200, 599>::schema(generator)
    }
}

impl Decode for Wanted {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        match node.value {
            Node::Null => Some(Self(None)),
            _ => String::decode(node, report).map(|text| Self(Some(text))),
        }
    }

    fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer", "null"] })
    }
}

impl FromText for Address {
    const EXPECTED: &'static str = "an IP address";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "it is none".to_owned())
    }
}

impl FromText for MethodName {
    const EXPECTED: &'static str = "a method such as `GET`";

    fn from_text(text: &str) -> Result<Self, String> {
        let read = http::Method::from_bytes(text.as_bytes());
        read.map(|_| Self(text.to_owned()))
            .map_err(|_| "HTTP has no such method".to_owned())
    }
}

impl FromText for Target {
    const EXPECTED: &'static str = "a path such as `/flights/7?seats=2`";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty".to_owned()),
            text if text.chars().any(|c| c == ' ' || c.is_control()) => {
                Err("no client can send blanks or control characters there: write `%20`".to_owned())
            }
            text => Ok(Self(text.to_owned())),
        }
    }
}

fn header_name(name: &At<String>, report: &mut Report) {
    if HeaderName::try_from(name.value.as_str()).is_err() {
        let message = format!("`{}` is not a header's name", name.value.escape_debug());
        report.push(Problem::error(Code::InvalidValue, name.place, message));
    }
}
