//! `airside explain`: one request through a configuration, decided on by what serves traffic, and told step by
//! step. No network, no store: what only those know is said to be unknown.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use http::{HeaderName, HeaderValue, StatusCode};

use super::{File, Format};
use crate::base::clock::Clock;
use crate::base::report::Report;
use crate::config::Config;
use crate::plan::{self, NoCredential, Persona, Shared, StandIns};
use crate::proxy::rehearsal::{Course, Rehearsal, Request};

mod json;
pub(super) mod story;
mod text;
mod words;

use story::Story;
use words::Address;

pub(super) use text::reason;

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Explain {
    #[command(flatten)]
    file: File,
    /// For people, or for scripts
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The client's address; the default is one that nobody has
    #[arg(long, default_value_t = EXAMPLE_CLIENT)]
    ip: IpAddr,
    /// A header of the request; more than one may be given
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = words::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Who calls: a token is made for them, or with `api_key` a key; also `email=` and `issuer=`
    #[arg(long = "as", value_name = "user=ID,roles=a+b", value_parser = words::persona)]
    caller: Option<Persona>,
    /// A token, judged with the configuration's keys as far as they are at hand
    #[arg(long, value_name = "JWT", conflicts_with = "caller")]
    token: Option<String>,
    /// Such as GET
    #[arg(value_parser = words::method)]
    method: String,
    /// Such as https://api.example.com/flights/7, or a path alone
    #[arg(value_parser = words::address)]
    url: Address,
}

impl Explain {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let read = self.file.read()?;
        let (file, secrets) = (read.name(), read.secrets());
        let Some(config) = read.sound() else {
            return Ok(ExitCode::FAILURE);
        };
        let (request, course, mut notes) = match self.walk(&config) {
            Ok(walked) => walked,
            Err(why) => {
                eprintln!("airside: {why}");
                return Ok(ExitCode::from(USAGE));
            }
        };
        notes.extend(words::about_cluster_limits(&config, &course));
        let story = Story::new(&config, file, &request, &course, notes, &secrets);
        match self.format {
            Format::Text => print!("{}", text::whole(&story)),
            Format::Json => println!("{}", serde_json::to_string_pretty(&json::whole(&story))?),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The request, what became of it, and what can't be known here. Errors: a wrong call.
    fn walk(&self, config: &Config) -> Result<(Request, Course, Vec<String>), String> {
        let clock = Clock::at(Clock::system().unix_millis());
        let mut request = self.url.request(&self.method, self.ip);
        request.headers.clone_from(&self.headers);
        let (shared, unjudged) = match &self.caller {
            Some(persona) => {
                let stand_ins = StandIns::new(config).ok_or("the system has no randomness")?;
                let credential = stand_ins.credential(persona, clock.unix_seconds());
                let credential = credential.map_err(|why: NoCredential| why.to_string())?;
                request.headers.push(credential);
                (stand_ins.shared().clone(), Vec::new())
            }
            None => {
                let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
                let bearer = bearer.map(HeaderValue::try_from).transpose();
                let bearer = bearer.map_err(|_| "the token holds what no header can")?;
                let bearer = bearer.map(|value| (http::header::AUTHORIZATION, value));
                request.headers.extend(bearer);
                Shared::at_hand(config, self.file.folder())
            }
        };
        let plan = plan::compile(config, &shared, None, &mut Report::default());
        let plan = plan.ok_or("the configuration can't be compiled")?;
        let rehearsal = Rehearsal::new(Arc::new(plan), clock);
        let begun = rehearsal.begin(&request);
        let course = begun.and_then(|begun| begun.finish(StatusCode::OK));
        let course = course.map_err(|why| why.to_string())?;
        let notes = match &self.caller {
            Some(_) => Vec::new(),
            None => words::about_credentials(&request, &course, &unjudged),
        };
        Ok((request, course, notes))
    }
}

/// From a block for documentation (RFC 5737): it is in nobody's list by chance.
pub(super) const EXAMPLE_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const EXIT_CODES: &str =
    "Exit codes: 0 told, whatever becomes of the request; 1 the configuration is refused; 2 usage";
const USAGE: u8 = 2;
