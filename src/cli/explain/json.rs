//! The story for scripts. Members are only ever added; what they are is on the page `docs/EXPLAIN.md`.

use serde_json::{Map, Value, json};

use super::story::{Headers, Story};
use super::text::name;
use crate::base::yaml::Place;
use crate::proxy::rehearsal::Limited;

pub fn whole(story: &Story) -> Value {
    let (course, request) = (story.course, story.request);
    let outcome = match (&course.refused, &story.upstream) {
        (Some(_), _) => "refused",
        (None, Some(_)) => "forwarded",
        (None, None) => "answered",
    };
    let route = story.route();
    json!({
        "outcome": outcome,
        "request": {
            "method": request.method,
            "target": request.target,
            "client": course.client.address,
            "host": course.asked.as_ref().map(|asked| &asked.host),
            "path": course.asked.as_ref().map(|asked| &asked.path),
        },
        "route": route.map(|route| json!({ "name": route.name, "line": route.place.line })),
        "routes": story.routes.iter().map(|route| json!({
            "name": route.name,
            "match": route.matches,
            "line": route.place.line,
            "why_not": route.miss.as_ref().map(|miss| miss.word()),
            "because": route.because,
        })).collect::<Vec<_>>(),
        "policies": story.steps.iter().map(|step| json!({
            "policy": step.policy,
            "key": name(step.policy),
            "line": line(step.place),
            "verdict": if step.answered { "answers" } else { "passes" },
        })).collect::<Vec<_>>(),
        "caller": course.principal.as_ref().map(|principal| json!({
            "user": principal.user,
            "email": principal.email,
            "roles": principal.roles,
            "issuer": &*principal.issuer,
            "api_key": principal.api_key().is_some(),
        })),
        "limits": course.limits.iter().map(limit).collect::<Vec<_>>(),
        "refusal": course.refused.as_ref().map(|refused| json!({
            "status": refused.refusal.status(),
            "code": refused.refusal.code(),
            "reason": refused.reason,
            "detail": refused.detail,
            "rule": refused.rule.as_ref().map(|rule| &rule.name),
            "line": refused.rule.as_ref().and_then(|rule| line(rule.place)),
        })),
        "upstream": story.upstream.as_ref().map(|upstream| json!({
            "name": upstream.name,
            "weights": pairs(upstream.shares.iter().map(|(name, weight)| (name, json!(weight)))),
            "path": upstream.target,
            "headers": headers(&upstream.headers),
            "added": headers(&upstream.added),
            "removed": upstream.removed,
        })),
        // What an upstream answers is not known.
        "status": story.upstream.is_none().then(|| course.status.as_u16()),
        "response_headers": headers(&story.answer),
        "file": story.file,
        "notes": story.notes,
    })
}

fn limit(limit: &Limited) -> Value {
    let verdict = match (limit.refuses, limit.decision.admitted) {
        (true, _) => "refuses",
        (false, false) => "would_refuse",
        (false, true) => "admits",
    };
    json!({
        "name": &*limit.name,
        "key": pairs(limit.key.iter().map(|(part, value)| (part, json!(value)))),
        "rate": limit.rate.map(|rate| rate.to_string()),
        "limit": limit.decision.limit,
        "remaining": limit.decision.remaining,
        "verdict": verdict,
    })
}

fn headers(headers: &Headers) -> Value {
    pairs(headers.iter().map(|(name, value)| (name, json!(value))))
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, Value)>) -> Value {
    let pairs = pairs.map(|(name, value)| (name.clone(), value));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn line(place: Place) -> Option<u32> {
    (place.line > 0).then_some(place.line)
}
