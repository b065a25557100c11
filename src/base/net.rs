//! Who the client is: its address, through the proxies that the operator trusts and no others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smallvec::SmallVec;

use super::networks::Networks;

/// The client as the pipeline sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    /// The peer is a trusted proxy: what it says about the request may be kept.
    pub via_trusted_proxy: bool,
}

/// Who is at the other end of a connection to one of our own listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub address: IpAddr,
    /// Does it run on this machine, as the gateway does?
    pub is_this_machine: bool,
}

impl Peer {
    /// The peer of a connection between two addresses. A machine speaks to itself from the address that it
    /// speaks to, or on the loopback.
    pub fn of(peer: IpAddr, local: IpAddr) -> Self {
        let (address, local) = (canonical(peer), canonical(local));
        Self {
            address,
            is_this_machine: address.is_loopback() || address == local,
        }
    }
}

/// An address as text: what `Display` gives, of IPv4 in a fifth of its time and without an allocation.
pub fn text(address: IpAddr) -> SmallVec<[u8; 48]> {
    match address {
        IpAddr::V4(four) => {
            let (bytes, length) = dotted(four);
            SmallVec::from_slice(bytes.get(..length).unwrap_or_default())
        }
        IpAddr::V6(six) => SmallVec::from_slice(six.to_string().as_bytes()),
    }
}

/// The text of an address, and its length.
fn dotted(address: Ipv4Addr) -> ([u8; 15], usize) {
    let mut text = [b'.'; 15];
    let mut length = 0;
    for (index, octet) in address.octets().into_iter().enumerate() {
        length += usize::from(index > 0);
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let zeros = usize::from(octet < 10) + usize::from(octet < 100);
        for digit in digits.into_iter().skip(zeros) {
            if let Some(place) = text.get_mut(length) {
                *place = b'0' + digit;
            }
            length += 1;
        }
    }
    (text, length)
}

/// The client's address. A peer that is not trusted is the client, whatever it sent. Behind a trusted
/// one, the client is the rightmost address of `X-Forwarded-For` that is not a trusted proxy: what
/// stands further left was written by that client and proves nothing. Several lines are one list, and its
/// empty entries are none (RFC 9110 §5.3, §5.6.1). An entry that is not an address ends the walk at the
/// last hop known. `Forwarded` (RFC 7239) is not read: one voice can't contradict itself.
pub fn client<'a, I>(peer: IpAddr, forwarded_for: I, trusted: &Networks) -> Client
where
    I: IntoIterator<Item = &'a [u8]>,
    I::IntoIter: DoubleEndedIterator,
{
    let peer = canonical(peer);
    if !trusted.contains(peer) {
        return Client {
            address: peer,
            via_trusted_proxy: false,
        };
    }
    let mut address = peer;
    let entries = forwarded_for
        .into_iter()
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .filter(|entry| !entry.trim_ascii().is_empty());
    for entry in entries {
        let Some(hop) = forwarded_address(entry) else {
            break;
        };
        address = hop;
        if !trusted.contains(hop) {
            break;
        }
    }
    Client {
        address,
        via_trusted_proxy: true,
    }
}

/// An IPv4 address that came in as IPv6 (`::ffff:192.0.2.1`) is that IPv4 address: else one client
/// would have two identities.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The network that an address counts under: IPv4 whole, IPv6 by its first `prefix` bits, because one
/// subscriber holds at least a /64.
pub fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match canonical(address) {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let keep = u32::from(prefix.min(128));
            let mask = u128::MAX.checked_shl(128 - keep).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// Is this address reachable from this machine only?
pub fn is_loopback(address: IpAddr) -> bool {
    canonical(address).is_loopback()
}

/// The address that stands for "none known": a peer that is not an IP socket.
pub const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// One entry of `X-Forwarded-For`: an address, bare or in brackets; proxies that add a port exist.
fn forwarded_address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim();
    let bracketed = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse().map(IpAddr::V6).ok()
    };
    let with_port = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port);
    address.map(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, lines: &[&str]) -> (String, bool) {
        let trusted = Networks::new(["10.0.0.0/8".parse().unwrap()]);
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let client = client(peer.parse().unwrap(), lines, &trusted);
        (client.address.to_string(), client.via_trusted_proxy)
    }

    #[test]
    fn a_strangers_header_counts_for_nothing() {
        assert_eq!(
            client_of("192.0.2.9", &["203.0.113.1"]),
            ("192.0.2.9".into(), false)
        );
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        let cases = [
            (&["203.0.113.1"][..], "203.0.113.1"),
            (&["6.6.6.6, 203.0.113.1, 10.0.0.2"], "203.0.113.1"),
            (&["6.6.6.6", "203.0.113.1"], "203.0.113.1"),
            (&["203.0.113.1:5123"], "203.0.113.1"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["203.0.113.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["garbage"], "10.0.0.1"),
            (&[], "10.0.0.1"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // All lines are one list, read from its end.
            (
                &["6.6.6.6, 203.0.113.1", "10.0.0.3", "10.0.0.2"],
                "203.0.113.1",
            ),
            (&["203.0.113.1", "6.6.6.6"], "6.6.6.6"),
            (&["6.6.6.6, 203.0.113.1, ,", "", " , "], "203.0.113.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:203.0.113.1"], "203.0.113.1"),
            (&["[::ffff:203.0.113.1]:80, ::ffff:10.0.0.2"], "203.0.113.1"),
            (&["\t203.0.113.1 \t"], "203.0.113.1"),
        ];
        for (lines, expected) in cases {
            assert_eq!(
                client_of("10.0.0.1", lines),
                (expected.into(), true),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn what_is_not_an_address_ends_the_walk_and_names_nobody() {
        for garbage in [
            "unknown",
            "_hidden",
            "203.0.113.1:",
            "203.0.113.1:99999",
            "203.0.113",
            "0203.0.113.1",
            "203.0.113.1 6.6.6.6",
            "2001:db8::1%eth0",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[203.0.113.1]",
            "for=203.0.113.1",
            "\"203.0.113.1\"",
            "203.0.113.0/24",
            "\u{ff11}.2.3.4",
            "a.example",
        ] {
            let lines = [&format!("6.6.6.6, {garbage}, 10.0.0.2")[..]];
            assert_eq!(
                client_of("10.0.0.1", &lines),
                ("10.0.0.2".into(), true),
                "{garbage}"
            );
        }
    }

    #[test]
    fn ten_thousand_entries_are_read_from_the_end_only_as_far_as_proxies_are_trusted() {
        let forged = "6.6.6.6, ".repeat(10_000);
        let line = format!("{forged}203.0.113.1, 10.0.0.2");
        assert_eq!(client_of("10.0.0.1", &[&line]).0, "203.0.113.1");
        let lines = vec!["10.0.0.2"; 10_000];
        assert_eq!(client_of("10.0.0.1", &lines).0, "10.0.0.2");
        let commas = ",".repeat(10_000);
        assert_eq!(client_of("10.0.0.1", &[&commas]).0, "10.0.0.1");
    }

    #[test]
    fn a_mapped_address_is_the_same_client() {
        assert_eq!(
            client_of("::ffff:10.0.0.1", &["203.0.113.1"]).0,
            "203.0.113.1"
        );
        assert_eq!(
            masked("::ffff:192.0.2.1".parse().unwrap(), 64).to_string(),
            "192.0.2.1"
        );
    }

    #[test]
    fn a_peer_on_this_machine_is_known_by_its_address() {
        let here = |peer: &str, local: &str| {
            Peer::of(peer.parse().unwrap(), local.parse().unwrap()).is_this_machine
        };
        assert!(here("127.0.0.1", "127.0.0.1") && here("127.0.0.2", "127.0.0.1"));
        assert!(here("::1", "::1") && here("::ffff:127.0.0.1", "127.0.0.1"));
        assert!(here("192.0.2.1", "192.0.2.1") && !here("192.0.2.2", "192.0.2.1"));
    }

    #[test]
    fn ipv6_counts_by_prefix() {
        let one = masked("2001:db8:1:2:aaaa::1".parse().unwrap(), 64);
        assert_eq!(one, masked("2001:db8:1:2:bbbb::2".parse().unwrap(), 64));
        assert_ne!(one, masked("2001:db8:1:3::1".parse().unwrap(), 64));
        assert_eq!(masked("2001:db8::1".parse().unwrap(), 0).to_string(), "::");
        assert_eq!(
            masked("2001:db8::1".parse().unwrap(), 128).to_string(),
            "2001:db8::1"
        );
    }

    proptest::proptest! {
        #[test]
        fn an_address_is_written_as_the_library_writes_it(four: [u8; 4], six: [u16; 8]) {
            for address in [IpAddr::from(four), IpAddr::from(six)] {
                assert_eq!(*text(address), *address.to_string().as_bytes());
            }
        }
    }
}
