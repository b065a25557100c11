//! Whose call it is behind proxies: as a walk over the whole list finds it, and nothing that a client writes further
//! left changes it.

use std::net::{IpAddr, SocketAddr};

use airside::base::net::{Client, canonical, client};
use airside::base::networks::Networks;
use ipnet::IpNet;

/// The first byte says who connects; then lines.
pub fn check(bytes: &[u8]) {
    let Some((who, rest)) = bytes.split_first() else {
        return;
    };
    let peers = [
        "10.0.0.1",
        "192.0.2.9",
        "::ffff:10.9.9.9",
        "2001:db8::5",
        "fd00::1",
        "::1",
    ];
    let peer: IpAddr = peers[usize::from(*who) % peers.len()].parse().unwrap();
    let trusted = trusted();
    let lines: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
    let found = client(peer, lines.iter().copied(), &trusted);
    assert_eq!(found, walked(peer, &lines, &trusted), "{lines:?}");

    let joined = lines.join(&b","[..]);
    assert_eq!(
        found,
        client(peer, [&joined[..]], &trusted),
        "lines are one list"
    );
    if found.via_trusted_proxy && !trusted.contains(found.address) {
        let forged = [&b"198.51.100.66, 10.0.0.7"[..]].into_iter().chain(lines);
        let forged: Vec<&[u8]> = forged.collect();
        assert_eq!(
            found,
            client(peer, forged, &trusted),
            "what stands left of it proves nothing"
        );
    }
    assert_eq!(found.address, canonical(found.address));
}

pub fn trusted() -> Networks {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse::<IpNet>().unwrap());
    Networks::new(networks)
}

/// From the left: the entries behind the last one that is no proxy's.
fn walked(peer: IpAddr, lines: &[&[u8]], trusted: &Networks) -> Client {
    let peer = canonical(peer);
    let mut address = peer;
    let via_trusted_proxy = trusted.contains(peer);
    let all = lines.join(&b","[..]);
    let entries: Vec<Option<IpAddr>> = all
        .split(|byte| *byte == b',')
        .map(|entry| entry.trim_ascii())
        .filter(|entry| !entry.is_empty())
        .map(entry)
        .collect();
    // Where the walk from the right stops: an entry that is not an address, or nobody's proxy.
    let stop = entries
        .iter()
        .rposition(|hop| hop.is_none_or(|hop| !trusted.contains(hop)));
    if via_trusted_proxy {
        let last = match stop {
            Some(at) => entries[at].or(entries.get(at + 1).copied().flatten()),
            None => entries.first().copied().flatten(),
        };
        address = last.unwrap_or(peer);
    }
    Client {
        address,
        via_trusted_proxy,
    }
}

fn entry(entry: &[u8]) -> Option<IpAddr> {
    // Spaces that only Unicode knows are cut off, too; an address it is all the same.
    let text = str::from_utf8(entry).ok()?.trim();
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(canonical(socket.ip()));
    }
    let bare = match text.strip_prefix('[') {
        Some(inner) => inner
            .strip_suffix(']')
            .filter(|inner| inner.contains(':'))?,
        None => text,
    };
    bare.parse().ok().map(canonical)
}
