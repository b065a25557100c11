//! `allow` and `deny`: which addresses may call at all. Asked before everything else, of the client's own
//! address; whom to believe about it is `base/net.rs`'s.

use std::sync::Arc;

use ipnet::IpNet;
use schemars::{Schema, SchemaGenerator};

use super::{Call, Keys, Names, Policy, Refused, Rule, Verdict};
use crate::base::decode::Decode;
use crate::base::networks::{self, Networks};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node, Place};

/// Networks as they are written, and as a set. The defaults' list may be long and is every route's: it is
/// shared, not copied.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    pub networks: Arc<[At<IpNet>]>,
    set: Arc<Networks>,
}

/// Lets some networks pass. `deny` wins: it takes out what `allow` lets in.
#[derive(Debug)]
pub struct Access {
    /// `None`: all.
    allow: Option<Arc<Networks>>,
    deny: Arc<Networks>,
    /// Where the two stand.
    places: (Place, Place),
}

impl Policy for Access {
    fn compile(keys: &Keys, _: &Names, report: &mut Report) -> Option<Self> {
        if keys.allow.is_none() && keys.deny.is_none() {
            return None;
        }
        let access = Self {
            allow: keys.allow.as_ref().map(|list| list.value.set.clone()),
            deny: keys
                .deny
                .as_ref()
                .map(|list| list.value.set.clone())
                .unwrap_or_default(),
            places: (place(&keys.allow), place(&keys.deny)),
        };
        access.review(keys, report);
        Some(access)
    }

    fn request(&self, call: &mut Call) -> Verdict {
        let address = call.client.address;
        if self.deny.contains(address) {
            return Verdict::refuse(Reply::refuse(Refusal::Forbidden).reason("denied_address"));
        }
        match &self.allow {
            Some(allow) if !allow.contains(address) => {
                Verdict::refuse(Reply::refuse(Refusal::Forbidden).reason("address_not_allowed"))
            }
            _ => Verdict::Continue,
        }
    }

    fn rule(&self, refused: &Refused) -> Option<Rule> {
        match refused.reason {
            "address_not_allowed" => Some(Rule::new("allow", self.places.0)),
            "denied_address" => Some(Rule::new("deny", self.places.1)),
            _ => None,
        }
    }
}

impl Access {
    /// Reports what the two lists make of each other.
    fn review(&self, keys: &Keys, report: &mut Report) {
        let denied = |network: &At<IpNet>| self.deny.covers(network.value);
        match (&keys.allow, &keys.deny) {
            (Some(allow), _) if allow.value.networks.is_empty() => {
                let message = "an empty list: nobody could ever call";
                let problem = Problem::error(Code::InvalidValue, allow.place, message);
                report.push(problem.help("`[0.0.0.0/0, \"::/0\"]` is everyone"));
            }
            (Some(allow), Some(deny)) if allow.value.networks.iter().all(denied) => {
                let message = "`deny` holds all of `allow`: nobody could ever call";
                let problem = Problem::error(Code::Conflict, deny.place, message);
                report.push(problem.related(allow.place, "what is allowed"));
            }
            (Some(allow), Some(deny)) => {
                for network in allow
                    .value
                    .networks
                    .iter()
                    .filter(|network| denied(network))
                {
                    let message =
                        format!("`deny` holds all of `{}`", networks::shown(network.value));
                    let problem = Problem::warning(Code::Unused, network.place, message);
                    report.push(problem.related(deny.place, "which wins"));
                }
            }
            (None, Some(deny)) if self.deny.is_everyone() => {
                let message = "every address there is: nobody could ever call";
                report.push(Problem::error(Code::InvalidValue, deny.place, message));
            }
            _ => {}
        }
    }
}

fn place(list: &Option<At<List>>) -> Place {
    list.as_ref().map(|list| list.place).unwrap_or_default()
}

impl Decode for List {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let networks: Vec<At<IpNet>> = Decode::decode(node, report)?;
        networks::review(&networks, report);
        let set = Networks::new(networks.iter().map(|network| network.value));
        Some(Self {
            networks: networks.into(),
            set: Arc::new(set),
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<At<IpNet>>::schema(generator)
    }
}
