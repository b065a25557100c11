//! The client's address, for what is counted by it.
//!
//! The gateway reaches this service over a connection of this machine and says in `X-Forwarded-For` where a
//! request came from: the last entry is its own peer, and what stands before counts as far as that is a proxy
//! which the operator trusts, by the same walk as at the edge. From any other machine the header proves
//! nothing: there the peer is the client.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;

use crate::base::net::{self, Peer};
use crate::base::networks::Networks;

/// Where a request comes from.
pub(super) struct Client(pub(super) IpAddr);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        let proxies = parts.extensions.get::<Arc<ArcSwap<Networks>>>();
        let lines = parts.headers.get_all(&X_FORWARDED_FOR).iter();
        let lines: Vec<_> = lines.map(|line| line.as_bytes()).collect();
        Ok(Self(match peer {
            Some(peer) if !peer.is_this_machine => peer.address,
            _ => {
                let here = peer.map_or(net::UNKNOWN, |peer| peer.address);
                let proxies = proxies.map(|proxies| proxies.load());
                behind_gateway(here, &lines, proxies.as_deref().map(Arc::as_ref))
            }
        }))
    }
}

/// The client of a request that the gateway brought; `here`, where the gateway says nothing.
fn behind_gateway(here: IpAddr, lines: &[&[u8]], proxies: Option<&Networks>) -> IpAddr {
    let gateway = Networks::new(vec![here.into()]);
    let last = net::client(here, last_entry(lines), &gateway).address;
    match proxies {
        Some(proxies) if proxies.contains(last) => {
            net::client(last, without_last_entry(lines), proxies).address
        }
        _ => last,
    }
}

/// The last entry of all lines.
fn last_entry<'a>(lines: &[&'a [u8]]) -> Option<&'a [u8]> {
    lines
        .last()
        .and_then(|line| line.rsplit(|byte| *byte == b',').next())
}

fn without_last_entry<'a>(lines: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut before = lines.to_vec();
    if let Some(line) = before.pop() {
        let comma = line.iter().rposition(|byte| *byte == b',');
        before.extend(comma.and_then(|comma| line.get(..comma)));
    }
    before
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use super::*;

    fn client(lines: &[&str]) -> String {
        let proxies = Networks::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let here = "127.0.0.1".parse().unwrap();
        behind_gateway(here, &lines, Some(&proxies)).to_string()
    }

    #[test]
    fn rule_16_the_gateways_own_peer_is_the_client_unless_it_is_a_trusted_proxy() {
        for (lines, expected) in [
            (&["203.0.113.1"][..], "203.0.113.1"),
            (&["6.6.6.6, 203.0.113.1"], "203.0.113.1"),
            (&["6.6.6.6, 203.0.113.1, 10.0.0.2"], "203.0.113.1"),
            (&["6.6.6.6", "203.0.113.1", "10.0.0.2"], "203.0.113.1"),
            (&["127.0.0.1"], "127.0.0.1"),
            (&["6.6.6.6, 127.0.0.1"], "127.0.0.1"),
            (&["10.0.0.2"], "10.0.0.2"),
            (&["garbage"], "127.0.0.1"),
            (&[], "127.0.0.1"),
        ] {
            assert_eq!(client(lines), expected, "{lines:?}");
        }
    }
}
