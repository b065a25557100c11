//! Sets of networks, and what is hardly meant in a list of them. Who is judged by a set is decided
//! elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::net::canonical;
use super::report::{Code, Problem, Report};
use super::yaml::At;

/// A set of networks: two sorted lists of ranges that neither touch nor overlap, so that thousands of
/// networks cost a dozen comparisons and no allocation. IPv4 and IPv6 are apart: `::/0` holds no IPv4
/// address, and an IPv4 address that is written as IPv6 is that IPv4 address.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Networks {
    v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    v6: Vec<(Ipv6Addr, Ipv6Addr)>,
}

impl Networks {
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match unmapped(network) {
                IpNet::V4(network) => v4.push((network.network(), network.broadcast())),
                IpNet::V6(network) => v6.push((network.network(), network.broadcast())),
            }
        }
        Self {
            v4: merged(v4, |last| {
                last.to_bits().checked_add(1).map(Ipv4Addr::from_bits)
            }),
            v6: merged(v6, |last| {
                last.to_bits().checked_add(1).map(Ipv6Addr::from_bits)
            }),
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match canonical(address) {
            IpAddr::V4(address) => holds(&self.v4, address, address),
            IpAddr::V6(address) => holds(&self.v6, address, address),
        }
    }

    /// Is every address of `network` in the set?
    pub fn covers(&self, network: IpNet) -> bool {
        match unmapped(network) {
            IpNet::V4(network) => holds(&self.v4, network.network(), network.broadcast()),
            IpNet::V6(network) => holds(&self.v6, network.network(), network.broadcast()),
        }
    }

    /// Is every address there is in the set?
    pub fn is_everyone(&self) -> bool {
        holds(&self.v4, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)
            && holds(
                &self.v6,
                Ipv6Addr::UNSPECIFIED,
                Ipv6Addr::from_bits(u128::MAX),
            )
    }
}

/// Warns of what is hardly meant in a list: `10.0.0.1/8`, where more bits are written than count, and
/// networks that another one of the list holds already.
pub fn review(list: &[At<IpNet>], report: &mut Report) {
    for network in list {
        if network.value.trunc() != network.value {
            let whole = network.value.trunc();
            let message = format!("`{}` stands for the whole of `{whole}`", network.value);
            let help = format!("write `{whole}`, or the address alone");
            report.push(Problem::warning(Code::Unlikely, network.place, message).help(help));
        }
    }
    let mut sorted: Vec<(IpNet, &At<IpNet>)> = list
        .iter()
        .map(|network| (unmapped(network.value).trunc(), network))
        .collect();
    // What holds others comes before them; of equal ones the first in the file.
    sorted
        .sort_by_key(|(network, written)| (network.network(), network.prefix_len(), written.place));
    let mut widest: Option<(IpNet, &At<IpNet>)> = None;
    for (network, written) in sorted {
        match widest {
            Some((wide, other)) if wide.contains(&network) => {
                let message = format!(
                    "`{}` holds `{}` already",
                    shown(other.value),
                    shown(written.value)
                );
                let problem = Problem::warning(Code::Unused, written.place, message);
                report.push(problem.related(other.place, "this one"));
            }
            _ => widest = Some((network, written)),
        }
    }
}

/// A network as people write it: one address has no length.
pub fn shown(network: IpNet) -> String {
    match network.prefix_len() == network.max_prefix_len() {
        true => network.addr().to_string(),
        false => network.to_string(),
    }
}

/// A network of IPv4 addresses that are written as IPv6 (`::ffff:192.0.2.0/120`), as what it is.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let mapped = v6.addr().to_ipv4_mapped();
    let inner = v6.prefix_len().checked_sub(96);
    let v4 = mapped
        .zip(inner)
        .map(|(address, prefix)| Ipv4Net::new(address, prefix));
    match v4 {
        Some(Ok(v4)) => IpNet::V4(v4),
        _ => network,
    }
}

/// Sorts ranges and joins those that touch; `after` is the address behind one.
fn merged<A: Copy + Ord>(mut ranges: Vec<(A, A)>, after: impl Fn(A) -> Option<A>) -> Vec<(A, A)> {
    ranges.sort_unstable();
    let mut joined: Vec<(A, A)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if after(*end).is_none_or(|next| first <= next) => {
                *end = last.max(*end);
            }
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Does one range hold all from `first` to `last`?
fn holds<A: Copy + Ord>(ranges: &[(A, A)], first: A, last: A) -> bool {
    let behind = ranges.partition_point(|(begin, _)| *begin <= first);
    let candidate = behind.checked_sub(1).and_then(|index| ranges.get(index));
    candidate.is_some_and(|(_, end)| last <= *end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::yaml::Place;

    fn set(networks: &[&str]) -> Networks {
        Networks::new(networks.iter().map(|text| text.parse().unwrap()))
    }

    fn told(networks: &[&str]) -> Vec<String> {
        let list: Vec<_> = networks
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let place = Place {
                    line: index as u32 + 1,
                    column: 1,
                };
                At::new(text.parse().unwrap(), place)
            })
            .collect();
        let mut report = Report::default();
        review(&list, &mut report);
        assert!(!report.has_errors());
        let problems = report.problems().iter();
        problems
            .map(|problem| format!("{} {}", problem.place.line, problem.message))
            .collect()
    }

    #[test]
    fn an_address_is_in_a_network_up_to_its_first_and_last() {
        let networks = set(&["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]);
        for inside in [
            "192.0.2.0",
            "192.0.2.255",
            "198.51.100.7",
            "2001:db8:ffff::1",
        ] {
            assert!(networks.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "192.0.1.255",
            "192.0.3.0",
            "198.51.100.6",
            "198.51.100.8",
            "2001:db9::",
        ] {
            assert!(!networks.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(!set(&[]).contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4_and_no_other_ipv6_network_holds_it() {
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(set(&["192.0.2.0/24"]).contains(mapped));
        assert!(set(&["::ffff:192.0.2.0/120"]).contains("192.0.2.1".parse().unwrap()));
        assert!(!set(&["::/0"]).contains(mapped));
        assert!(!set(&["0.0.0.0/0"]).contains("2001:db8::1".parse().unwrap()));
        assert!(set(&["::/0", "0.0.0.0/0"]).is_everyone());
        assert!(!set(&["::/0"]).is_everyone());
    }

    #[test]
    fn networks_that_touch_cover_what_neither_holds_alone() {
        let halves = set(&[
            "10.0.1.0/24",
            "10.0.0.0/24",
            "255.255.255.255/32",
            "::/1",
            "8000::/1",
        ]);
        assert!(halves.covers("10.0.0.0/23".parse().unwrap()));
        assert!(!halves.covers("10.0.0.0/22".parse().unwrap()));
        assert!(halves.covers("::/0".parse().unwrap()));
    }

    #[test]
    fn what_is_hardly_meant_is_told_at_its_line() {
        assert!(told(&["10.0.0.0/8", "192.0.2.7/32", "::/0", "0.0.0.0/32"]).is_empty());
        assert_eq!(
            told(&[
                "10.1.0.0/16",
                "10.0.0.0/8",
                "192.0.2.1/32",
                "192.0.2.1/32",
                "::ffff:10.2.0.0/112"
            ]),
            [
                "1 `10.0.0.0/8` holds `10.1.0.0/16` already",
                "5 `10.0.0.0/8` holds `::ffff:10.2.0.0/112` already",
                "4 `192.0.2.1` holds `192.0.2.1` already",
            ]
        );
        assert_eq!(
            told(&["10.0.0.1/8"]),
            ["1 `10.0.0.1/8` stands for the whole of `10.0.0.0/8`"]
        );
    }

    proptest! {
        #[test]
        fn a_set_answers_as_asking_each_network_does(
            networks in prop::collection::vec((0u32..64, 26u8..=32), 0..40),
            asked in 0u32..64,
        ) {
            let networks: Vec<IpNet> = networks
                .into_iter()
                .map(|(address, prefix)| {
                    IpNet::V4(Ipv4Net::new(Ipv4Addr::from_bits(address), prefix).unwrap())
                })
                .collect();
            let address = IpAddr::V4(Ipv4Addr::from_bits(asked));
            let each = networks.iter().any(|network| network.contains(&address));
            prop_assert_eq!(Networks::new(networks).contains(address), each);
        }
    }
}
