//! Runs tests: each on a plan of its own, so that none counts what another one sent.

use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::Suite;
use super::judge::{self, Unmet};
use crate::base::clock::Clock;
use crate::base::report::Report;
use crate::base::yaml::Place;
use crate::cli::explain::story::Story;
use crate::cli::explain::{EXAMPLE_CLIENT, reason};
use crate::config::Config;
use crate::config::cases::{Caller, Case};
use crate::plan::{self, Persona, StandIns};
use crate::proxy::rehearsal::{Course, Rehearsal, Request};

/// What came of one test.
pub struct Played {
    pub name: String,
    pub file: String,
    pub place: Place,
    /// None: it passed.
    pub unmet: Vec<Unmet>,
    /// What became of the request, for those who did not expect it.
    pub why: String,
    /// The route that it reached.
    pub route: Option<u32>,
}

/// Runs all. Errors: one can't be run at all.
pub fn all(
    config: &Config,
    config_file: &str,
    suites: &[Suite],
    secrets: &[String],
) -> anyhow::Result<Vec<Played>> {
    let stand_ins = StandIns::new(config).context("the system has no randomness")?;
    let mut played = Vec::new();
    for suite in suites {
        for case in &suite.cases {
            let (request, course) = play(config, &stand_ins, case)
                .map_err(|why| anyhow!("{}:{}: {why}", suite.file, case.name.place.line))?;
            let file = config_file.to_owned();
            let story = Story::new(config, file, &request, &course, Vec::new(), secrets);
            played.push(Played {
                unmet: judge::unmet(&case.expect.value, &story, secrets),
                why: reason(&story),
                name: case.name.value.clone(),
                file: suite.file.clone(),
                place: case.name.place,
                route: course.route,
            });
        }
    }
    Ok(played)
}

/// Sends a test's requests, and brings the last one with what became of it.
fn play(config: &Config, stand_ins: &StandIns, case: &Case) -> anyhow::Result<(Request, Course)> {
    let plan = plan::compile(config, stand_ins.shared(), None, &mut Report::default());
    let plan = plan.context("the configuration can't be compiled")?;
    let clock = Clock::at(BEGINNING);
    let rehearsal = Rehearsal::new(Arc::new(plan), clock.clone());
    let asked = &case.request;
    let times = asked.repeat.map_or(1, |repeat| repeat.value.0);
    let over = asked.over.map(|over| over.value.as_millis() as u64);
    let answer = asked.answer.value.0;
    let mut waiting = Vec::new();
    let mut last = None;
    for number in 0..times {
        if let (Some(over), gaps @ 1..) = (over, u64::from(times - 1)) {
            // From the beginning each time, so that no rounding adds up.
            let due = BEGINNING + over * u64::from(number) / gaps;
            clock.advance(due - clock.unix_millis());
        }
        let request = request(case, stand_ins, clock.unix_seconds())?;
        let begun = rehearsal.begin(&request)?;
        match (over, number + 1 == times) {
            (_, true) => last = Some((request, begun)),
            // Each has its answer before the next one comes.
            (Some(_), false) => drop(begun.finish(answer)?),
            (None, false) => waiting.push(begun),
        }
    }
    let (request, begun) = last.context("no request was sent")?;
    let course = begun.finish(answer)?;
    Ok((request, course))
}

fn request(case: &Case, stand_ins: &StandIns, now: u64) -> anyhow::Result<Request> {
    let asked = &case.request;
    let mut headers = case.headers();
    if let Some(body) = asked.body {
        headers.push((http::header::CONTENT_LENGTH, body.0.into()));
    }
    if let Some(caller) = &asked.r#as {
        headers.push(stand_ins.credential(&persona(&caller.value), now)?);
    }
    let host = asked.host.as_ref().map(|host| host.value.clone());
    Ok(Request {
        method: asked.method.value.0.clone(),
        target: asked.path.value.0.clone(),
        host: Some(host.unwrap_or_else(|| "localhost".to_owned())),
        headers,
        peer: asked.ip.as_ref().map_or(EXAMPLE_CLIENT, |ip| ip.0),
        tls: false,
    })
}

fn persona(caller: &Caller) -> Persona {
    let roles = caller.roles.iter();
    Persona {
        user: caller.user.clone(),
        roles: roles.map(|role| role.value.clone()).collect(),
        email: caller.email.clone(),
        issuer: caller.issuer.as_ref().map(|issuer| issuer.value.clone()),
        api_key: caller.api_key,
    }
}

/// When each test begins: 2026-01-01T00:00:00Z. The same every time, so that windows begin alike.
const BEGINNING: u64 = 1_767_225_600_000;
