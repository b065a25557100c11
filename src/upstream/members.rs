//! An upstream's servers at one moment: those with addresses, and those that DNS gave for names. Immutable, and
//! swapped whole when DNS says something new.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::balance::{Balancer, Wish, gcd};
use super::config::Address;
use super::endpoint::Endpoint;
use super::settings::Settings;
use super::standing::Standing;

#[derive(Debug)]
pub struct Members {
    pub endpoints: Vec<Arc<Endpoint>>,
    balancer: Balancer,
}

/// What DNS said of each name. A name without an answer so far is missing.
pub type Resolved = HashMap<String, Vec<IpAddr>>;

impl Members {
    /// The addresses of a name share its weight. `standing` finds what is known of an address already.
    pub fn new(
        settings: &Settings,
        resolved: &Resolved,
        standing: impl Fn(SocketAddr) -> Option<Arc<Standing>>,
    ) -> Self {
        let endpoints: Vec<_> = weighted(settings, resolved)
            .into_iter()
            .map(|(address, host, weight)| {
                let standing = standing(address).unwrap_or_default();
                Arc::new(Endpoint::new(address, host, weight, standing))
            })
            .collect();
        Self {
            balancer: Balancer::new(settings.balance, &endpoints),
            endpoints,
        }
    }

    /// Chooses a server that is in, if there is one.
    pub fn pick(&self, wish: &Wish, random: impl FnMut(u32) -> u32) -> Option<&Arc<Endpoint>> {
        let index = self.balancer.pick(&self.endpoints, wish, random)?;
        self.endpoints.get(index)
    }

    pub fn find(&self, address: SocketAddr) -> Option<&Arc<Endpoint>> {
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.address == address)
    }
}

/// Each address once, with the name that led to it and its weight.
fn weighted<'a>(
    settings: &'a Settings,
    resolved: &Resolved,
) -> Vec<(SocketAddr, Option<&'a str>, u32)> {
    let found = |address: &'a Address| match address {
        Address::Socket(address) => (vec![*address], None),
        Address::Name(name, port) => {
            let addresses = resolved.get(name).into_iter().flatten();
            let sockets = addresses.map(|ip| SocketAddr::new(*ip, *port));
            (sockets.collect(), Some(name.as_str()))
        }
    };
    let servers = settings.servers.iter();
    let servers: Vec<_> = servers
        .map(|(address, weight)| (found(address), *weight))
        .filter(|((addresses, _), _)| !addresses.is_empty())
        .collect();
    // A unit that every name's weight can be divided by, as long as that is not absurd.
    let counts = servers.iter().map(|((addresses, _), _)| addresses.len());
    let unit = counts.fold(1, |unit, count| {
        let count = u32::try_from(count).unwrap_or(FINEST);
        (unit / gcd(unit, count)).saturating_mul(count).min(FINEST)
    });
    let mut all: Vec<(SocketAddr, Option<&str>, u32)> = Vec::new();
    for ((addresses, host), weight) in servers {
        let count = addresses.len() as u64;
        let each = (u64::from(weight) * u64::from(unit) / count).max(1) as u32;
        for address in addresses {
            match all.iter_mut().find(|(known, _, _)| *known == address) {
                // Two names may lead to one server.
                Some((_, _, weight)) => *weight = weight.saturating_add(each),
                None => all.push((address, host, each)),
            }
        }
    }
    let divisor = all
        .iter()
        .fold(0, |divisor, (_, _, weight)| gcd(divisor, *weight));
    // A sum must fit into 32 bits.
    let most = MOST / all.len().max(1) as u32;
    let heaviest = all
        .iter()
        .map(|(_, _, weight)| weight / divisor.max(1))
        .max();
    let excess = heaviest.unwrap_or(1).div_ceil(most.max(1)).max(1);
    for (_, _, weight) in &mut all {
        *weight = (*weight / divisor.max(1) / excess).max(1);
    }
    all
}

/// 7!: every number of addresses up to 10 divides it.
const FINEST: u32 = 5_040;
const MOST: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::decode::FromText;

    fn weights(servers: &[(&str, u32)], names: &[(&str, &[&str])]) -> Vec<(String, u32)> {
        let mut settings = Settings::single(SocketAddr::from(([127, 0, 0, 1], 1)));
        settings.servers = servers
            .iter()
            .map(|(address, weight)| (Address::from_text(address).unwrap(), *weight))
            .collect();
        let resolved = names.iter().map(|(name, addresses)| {
            let addresses = addresses.iter().map(|ip| ip.parse().unwrap());
            ((*name).to_owned(), addresses.collect())
        });
        let members = Members::new(&settings, &resolved.collect(), |_| None);
        let endpoints = members.endpoints.iter();
        endpoints
            .map(|endpoint| (endpoint.name.to_string(), endpoint.weight))
            .collect()
    }

    fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
        let owned = |(name, weight): &(&str, u32)| ((*name).to_owned(), *weight);
        expected.iter().map(owned).collect()
    }

    #[test]
    fn the_addresses_of_a_name_share_its_weight() {
        assert_eq!(
            weights(
                &[("a.test:80", 3), ("10.0.0.9:80", 1)],
                &[("a.test", &["10.0.0.1", "10.0.0.2"])]
            ),
            pairs(&[("10.0.0.1:80", 3), ("10.0.0.2:80", 3), ("10.0.0.9:80", 2)])
        );
    }

    #[test]
    fn one_name_alone_gives_equal_servers_however_many_there_are() {
        let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        for count in 1..=3 {
            let found = weights(&[("a.test:80", 7)], &[("a.test", &all[..count])]);
            assert!(found.iter().all(|(_, weight)| *weight == 1), "{found:?}");
            assert_eq!(found.len(), count);
        }
    }

    #[test]
    fn a_name_without_an_answer_has_no_server_and_takes_no_weight() {
        assert_eq!(
            weights(&[("a.test:80", 3), ("10.0.0.9:80", 5)], &[]),
            pairs(&[("10.0.0.9:80", 1)])
        );
    }

    #[test]
    fn an_address_that_two_names_lead_to_is_one_server_with_both_weights() {
        assert_eq!(
            weights(
                &[("a.test:80", 1), ("b.test:80", 2), ("10.0.0.9:80", 1)],
                &[("a.test", &["10.0.0.1"]), ("b.test", &["10.0.0.1"])]
            ),
            pairs(&[("10.0.0.1:80", 3), ("10.0.0.9:80", 1)])
        );
    }

    #[test]
    fn sums_of_weights_fit_whatever_dns_says() {
        let many: Vec<String> = (0..=254).map(|last| format!("10.0.0.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = weights(
            &[("a.test:80", 1_000), ("b.test:80", 1), ("10.9.0.9:80", 999)],
            &[("a.test", &many), ("b.test", &["10.8.0.1"])],
        );
        let sum: u64 = found.iter().map(|(_, weight)| u64::from(*weight)).sum();
        assert!(sum < 1 << 32, "{sum}");
        assert_eq!(found.len(), 257);
    }
}
