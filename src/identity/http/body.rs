//! A request's JSON body, read strictly: one object, known fields, each once.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::answer::Failure;
use crate::base::reply::Refusal;

/// The fields of a body. Not `Debug`: a password may be among them.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Refuses every field but these.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Failure> {
        match self
            .0
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                let failure = Failure::new(422, "unknown_field", "A field is not known");
                Err(failure.detail(format!("`{name}` is not a field of this request")))
            }
            None => Ok(self),
        }
    }

    pub(super) fn text(&self, field: &'static str) -> Result<&str, Failure> {
        match self.find(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Failure::invalid_field(format!(
                "`{field}` must be a string"
            ))),
            None => Err(Failure::invalid_field(format!("`{field}` is missing"))),
        }
    }

    /// A list of strings, which may be empty.
    pub(super) fn texts(&self, field: &'static str) -> Result<Vec<&str>, Failure> {
        let wrong = || Failure::invalid_field(format!("`{field}` must be a list of strings"));
        match self.find(field) {
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
            None => Err(Failure::invalid_field(format!("`{field}` is missing"))),
        }
    }

    /// A whole number that may be left out, or `null`.
    pub(super) fn number(&self, field: &'static str) -> Result<Option<u64>, Failure> {
        let wrong = || Failure::invalid_field(format!("`{field}` must be a whole number"));
        match self.find(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(wrong),
        }
    }

    fn find(&self, field: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(name, _)| name == field);
        found.map(|(_, value)| value)
    }

    /// How deep values may nest is bounded by the parser: 128 levels.
    fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields: Self =
            serde_json::from_slice(body).map_err(|error| match error.classify() {
                Category::Data => Failure::invalid_field("the body must be an object"),
                _ => Failure::from(Refusal::BadRequest).detail("the body is not JSON"),
            })?;
        let mut names: Vec<_> = fields.0.iter().map(|(name, _)| name).collect();
        names.sort();
        if names.is_sorted_by(|one, other| one < other) {
            Ok(fields)
        } else {
            // Which of the two counts must not be a guess.
            Err(Failure::from(Refusal::BadRequest).detail("a field stands twice"))
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        if !is_json(request.headers()) {
            let failure = Failure::new(415, "bad_request", "The request is not valid");
            return Err(failure
                .detail("the content type must be application/json")
                .into_response());
        }
        let body = read(request.into_body()).await;
        let body = body.map_err(|refusal| Failure::from(refusal).into_response())?;
        Self::parse(&body).map_err(IntoResponse::into_response)
    }
}

/// Reads a body of at most `MAX_BODY` bytes. What a larger one has beyond is read too, within bounds: closing
/// a connection with unread bytes resets it, and the client never sees the answer.
async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut kept = Vec::new();
    let mut seen = 0;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Refusal::BadRequest)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen += data.len();
        if seen <= MAX_BODY {
            kept.extend_from_slice(&data);
        } else if seen > DRAINED {
            break;
        }
    }
    match seen <= MAX_BODY {
        true => Ok(kept),
        false => Err(Refusal::BodyTooLarge),
    }
}

const MAX_BODY: usize = 16 << 10;
const DRAINED: usize = 1 << 20;

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

/// `application/json`, with any parameters. A browser can't send it across origins unasked, as it can
/// a form.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
