//! The story for people: what becomes of the request first, then why.

use std::fmt::Write;

use super::story::{Considered, Headers, Story, Told};
use crate::proxy::rehearsal::{Course, Limited};
use crate::route::why::Miss;

/// All of it.
pub fn whole(story: &Story) -> String {
    let (course, request) = (story.course, story.request);
    let mut out = String::new();
    let method = &request.method;
    line(
        &mut out,
        &format!(
            "{method} {}, from {}",
            request.target, course.client.address
        ),
    );
    line(&mut out, &format!("  {}", outcome(story)));
    for note in &story.notes {
        line(&mut out, &format!("  note: {note}"));
    }
    if let Some(asked) = &course.asked {
        line(&mut out, "\nRoute");
        line(
            &mut out,
            &format!("  host {}, path {}", asked.host, asked.path),
        );
        routes(&mut out, story);
    }
    if !story.steps.is_empty() {
        line(&mut out, "\nPolicies, in their order");
        for step in &story.steps {
            policy(&mut out, story, step);
        }
        if story.steps.iter().any(|step| step.answered) {
            line(&mut out, "  What comes after it was not asked.");
        }
    }
    upstream(&mut out, story);
    answer(&mut out, story);
    out
}

/// What became of it, and through what, in a line; for people who did not expect it.
pub fn reason(story: &Story) -> String {
    let route = match story.route() {
        Some(route) => format!("route {} ({})", route.name, story.at(route.place)),
        None => "no route".to_owned(),
    };
    format!("{route}: {}", outcome(story))
}

fn outcome(story: &Story) -> String {
    let course = story.course;
    if let Some(refused) = &course.refused {
        let (status, code) = (refused.refusal.status(), refused.refusal.code());
        let mut text = format!("refused: {status} {code} ({})", refused.reason);
        if let Some(detail) = &refused.detail {
            text += &format!(", {detail}");
        }
        if let Some(rule) = &refused.rule {
            text += &format!(", by `{}`", rule.name);
            if rule.place.line > 0 {
                text += &format!(" at {}", story.at(rule.place));
            }
        }
        return text;
    }
    match (&story.upstream, story.answer.get("location")) {
        (Some(upstream), _) => format!("goes to {} as {}", upstream.name, upstream.target),
        (None, Some(location)) => format!("redirected: {} to {location}", course.status.as_u16()),
        (None, None) => format!("answered by the gateway: {}", course.status.as_u16()),
    }
}

fn routes(out: &mut String, story: &Story) {
    let told: Vec<&Considered> = story.routes.iter().collect();
    let far = |route: &&&Considered| matches!(route.miss, Some(Miss::Path | Miss::Host(_)));
    let many = told.iter().filter(far).count() > MANY;
    let shown = told.iter().filter(|route| !(many && far(route)));
    let rows: Vec<[String; 4]> = shown
        .map(|route| {
            let (mark, why) = match &route.because {
                None => ("→", "this one".to_owned()),
                Some(because) => ("", because.clone()),
            };
            [
                format!("  {mark:1} {}", route.matches),
                route.name.clone(),
                story.at(route.place),
                why,
            ]
        })
        .collect();
    out.push_str(&columns(&rows));
    if many {
        let count = told.iter().filter(far).count();
        line(out, &format!("    and {count} with another host or path"));
    }
}

fn policy(out: &mut String, story: &Story, step: &Told) {
    let word = if step.answered { "answers" } else { "passes" };
    let mut text = format!("  {:<20} {word}", name(step.policy));
    if step.place.line > 0 {
        text += &format!("   {}", story.at(step.place));
    }
    let course = story.course;
    match step.policy {
        "auth" => {
            if let Some(principal) = &course.principal {
                let (user, issuer) = (&principal.user, &principal.issuer);
                text += &format!("   {user} of {issuer}, roles: {}", list(&principal.roles));
            }
        }
        "rewrite" => {
            if let Some(upstream) = &story.upstream {
                text += &format!("   {}", upstream.target);
            }
        }
        _ => {}
    }
    line(out, &text);
    for limit in limits_of(course, step.policy) {
        line(out, &format!("    {}", limited(limit)));
    }
}

/// The limits that a step of the pipeline asked: those that need the caller come with the second one.
fn limits_of<'a>(course: &'a Course, policy: &str) -> Vec<&'a Limited> {
    let second = match policy {
        "limits_before_auth" => false,
        "limits_after_auth" => true,
        _ => return Vec::new(),
    };
    let limits = course.limits.iter();
    limits
        .filter(|limit| limit.needs_caller == second)
        .collect()
}

fn limited(limit: &Limited) -> String {
    let quota = match limit.rate {
        Some(rate) => rate.to_string(),
        None => format!("{} at once", limit.decision.limit),
    };
    let parts = limit.key.iter().map(|(part, value)| match value {
        Some(value) => format!("{part} {value}"),
        None => format!("{part} (missing)"),
    });
    let key = parts.collect::<Vec<_>>().join(", ");
    let word = match (limit.refuses, limit.decision.admitted) {
        (true, _) => "refuses",
        (false, false) => "would refuse (shadow)",
        (false, true) => "admits",
    };
    let (left, of) = (limit.decision.remaining, limit.decision.limit);
    format!(
        "{} {quota}, by {key}: {word}, {left} of {of} left",
        limit.name
    )
}

fn upstream(out: &mut String, story: &Story) {
    let Some(upstream) = &story.upstream else {
        return;
    };
    line(out, &format!("\nThe upstream {} gets", upstream.name));
    if !upstream.shares.is_empty() {
        let all: u64 = upstream
            .shares
            .iter()
            .map(|(_, weight)| u64::from(*weight))
            .sum();
        let shares = upstream.shares.iter();
        let shares = shares.map(|(name, weight)| format!("{name} {weight} of {all}"));
        let shares = shares.collect::<Vec<_>>().join(", ");
        line(out, &format!("  chosen by caller among {shares}"));
    }
    line(
        out,
        &format!("  {} {}", story.request.method, upstream.target),
    );
    headers(out, &upstream.headers, &|name| {
        if upstream.added.contains_key(name) {
            "+ "
        } else {
            "  "
        }
    });
    for name in &upstream.removed {
        line(out, &format!("  - {name}"));
    }
}

fn answer(out: &mut String, story: &Story) {
    let whose = match &story.upstream {
        Some(_) if story.answer.is_empty() => {
            "The client gets the upstream's answer, and nothing else".to_owned()
        }
        Some(_) => "The client gets the upstream's answer, with".to_owned(),
        None => format!("The client gets {}", story.course.status.as_u16()),
    };
    line(out, &format!("\n{whose}"));
    headers(out, &story.answer, &|_| "  ");
}

fn headers(out: &mut String, headers: &Headers, mark: &dyn Fn(&str) -> &'static str) {
    for (name, value) in headers {
        line(out, &format!("  {}{name}: {value}", mark(name)));
    }
}

/// The key of the configuration that a step stands for.
pub fn name(policy: &'static str) -> &'static str {
    match policy {
        "sharing" => "cors",
        "preflight" => "cors (preflight)",
        "access" => "allow, deny",
        "limits_before_auth" => "limits",
        "limits_after_auth" => "limits (by caller)",
        other => other,
    }
}

fn list(roles: &[String]) -> String {
    match roles.is_empty() {
        true => "none".to_owned(),
        false => roles.join(", "),
    }
}

/// Two blanks apart, as wide as the widest; the last one as it is.
fn columns(rows: &[[String; 4]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), 0];
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let cells: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        line(&mut out, cells.trim_end());
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(out, "{text}");
}

/// More routes than these that have nothing to do with the request are only counted.
const MANY: usize = 12;
