//! Who is here: connections in all and of each address, bounded. Those above are told so or closed at once, before a
//! byte of theirs is read; nothing queues.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::listeners::ConnectionFilter;
use pingora::protocols::l4::stream::Stream;
use pingora::upstreams::peer::{Tracer, Tracing};

use excuse::Excuses;

use super::calm::Calm;
use crate::base::clock::Clock;
use crate::base::net::{canonical, masked};
use crate::plan::Plan;
use crate::telemetry::metrics::{Counter, Kind, Page, Words};

mod excuse;

/// The connections of clients.
pub struct Crowd {
    plan: Arc<ArcSwap<Plan>>,
    /// What the limit of open files leaves room for, where the file does not say.
    room: u32,
    clock: Clock,
    open: AtomicU32,
    /// Taken once as a connection begins and once as it ends, never for a request.
    addresses: Mutex<HashMap<IpAddr, Address>>,
    /// Why connections were not taken, and why they were cut.
    refused: Words,
    cut: Words,
    pub panics: Counter,
    excuses: Excuses,
    /// Monotonic milliseconds of the last line of log about it, and what came since.
    told: AtomicU64,
    untold: AtomicU64,
}

/// One address, as long as it has connections or a past.
#[derive(Debug, Default)]
struct Address {
    open: u32,
    calm: Calm,
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

/// Keeps a place as long as the connection that it is hung on.
#[derive(Debug)]
struct Hung(#[expect(dead_code, reason = "held for its drop")] Option<Place>);

/// Asks at the listener, before TLS.
#[derive(Debug)]
pub struct Doorkeeper(pub Arc<Crowd>);

impl Crowd {
    pub fn new(plan: Arc<ArcSwap<Plan>>, room: u32, clock: Clock) -> Self {
        Self {
            plan,
            room,
            clock,
            open: AtomicU32::new(0),
            addresses: Mutex::default(),
            refused: Words::default(),
            cut: Words::default(),
            panics: Counter::default(),
            excuses: Excuses::default(),
            told: AtomicU64::new(0),
            untold: AtomicU64::new(0),
        }
    }

    /// Takes a place for a connection from `peer`, or says in one word why there is none.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Place, &'static str> {
        let address = self.counted(peer);
        let mut addresses = self.addresses();
        self.vacancy(&addresses, address)?;
        self.open.fetch_add(1, Ordering::Relaxed);
        if let Some(address) = address {
            addresses.entry(address).or_default().open += 1;
        }
        Ok(Place {
            crowd: self.clone(),
            address,
        })
    }

    /// Takes a place and hangs it on the connection; false where there is none.
    pub fn seat(self: &Arc<Self>, connection: &mut Stream, peer: IpAddr) -> bool {
        match self.enter(peer) {
            Ok(place) => {
                connection.tracer = Some(Tracer(Box::new(Hung(Some(place)))));
                true
            }
            Err(why) => {
                self.turn_away(why, peer);
                false
            }
        }
    }

    /// Was this one, which has no place, let in to be told so?
    pub fn may_be_told(&self, peer: SocketAddr) -> bool {
        self.excuses.has(peer)
    }

    /// It was told so.
    pub fn was_told(&self, peer: SocketAddr) {
        self.excuses.end(peer);
    }

    /// A client took a stream back; true where its address does so too often.
    pub fn reset(&self, peer: IpAddr, count: u32) -> bool {
        let Some(address) = self.counted(peer) else {
            return false;
        };
        let now = self.clock.monotonic_millis();
        let mut addresses = self.addresses();
        let calm = &mut addresses.entry(address).or_default().calm;
        (0..count).fold(false, |_, _| calm.reset(now, MOST_OF_ADDRESS))
    }

    /// Counts a connection that is cut for this reason.
    pub fn cut(&self, why: &'static str) {
        self.cut.count(why);
    }

    pub fn now(&self) -> u64 {
        self.clock.monotonic_millis()
    }

    /// How many there may be.
    fn most(&self) -> u32 {
        self.plan.load().edge.connections.unwrap_or(self.room)
    }

    /// The address that is counted, or `None` for those who speak for many.
    fn counted(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = canonical(peer);
        let trusted = self.plan.load().edge.trusted_proxies.contains(peer);
        (!trusted).then(|| masked(peer, PREFIX))
    }

    fn vacancy(
        &self,
        addresses: &HashMap<IpAddr, Address>,
        address: Option<IpAddr>,
    ) -> Result<(), &'static str> {
        if self.open.load(Ordering::Relaxed) >= self.most() {
            return Err("total");
        }
        let Some(known) = address.and_then(|address| addresses.get(&address)) else {
            return Ok(());
        };
        if known.open >= self.plan.load().edge.connections_per_ip {
            return Err("per_ip");
        }
        match known.calm.points(self.now()) > MOST_OF_ADDRESS {
            true => Err("resets"),
            false => Ok(()),
        }
    }

    fn turn_away(&self, why: &'static str, peer: IpAddr) {
        self.refused.count(why);
        let (now, told) = (self.now().max(1), self.told.load(Ordering::Relaxed));
        self.untold.fetch_add(1, Ordering::Relaxed);
        // Once in a while, or anybody could fill the log.
        if (told == 0 || now >= told + SILENCE_MILLIS)
            && (self.told)
                .compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            let count = self.untold.swap(0, Ordering::Relaxed);
            let what = match why {
                "per_ip" => "server.limits.connections_per_ip",
                "resets" => "its streams were taken back too often",
                _ => "server.limits.connections",
            };
            log::warn!(
                "{count} connections were refused as they came, the last one from {peer}: {what}"
            );
        }
    }

    fn leave(&self, address: Option<IpAddr>) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = address else { return };
        let now = self.now();
        let mut addresses = self.addresses();
        if let Some(known) = addresses.get_mut(&address) {
            known.open = known.open.saturating_sub(1);
            if known.open == 0 && known.calm.points(now) == 0 {
                addresses.remove(&address);
            }
        }
        // Too many who are gone and have a past: it is forgiven.
        if addresses.len() > MOST_ADDRESSES {
            addresses.retain(|_, known| known.open > 0);
        }
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the families about connections.
    pub fn write(&self, page: &mut Page) {
        let name = "airside_connections";
        page.family(name, Kind::Gauge, "Connections of clients that are open.");
        page.sample(name, &[], u64::from(self.open.load(Ordering::Relaxed)));
        let name = "airside_connections_max";
        let help = "How many may be open at once; further ones are refused as they come.";
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], u64::from(self.most()));
        let name = "airside_connections_refused_total";
        page.family(name, Kind::Counter, "Connections refused as they came.");
        for (reason, count) in self.refused.counts() {
            page.sample(name, &[("reason", reason)], count);
        }
        let name = "airside_connections_cut_total";
        let help = "Connections and streams of clients that were ended for what they did or did not do in time.";
        page.family(name, Kind::Counter, help);
        for (reason, count) in self.cut.counts() {
            page.sample(name, &[("reason", reason)], count);
        }
        let name = "airside_panics_total";
        page.family(name, Kind::Counter, "Requests that ended in a panic.");
        page.sample(name, &[], self.panics.value());
    }
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Crowd")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.leave(self.address);
    }
}

impl Tracing for Hung {
    fn on_connected(&self) {}

    /// The connection drops this right after.
    fn on_disconnected(&self) {}

    /// A copy has no place of its own.
    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(Self(None))
    }
}

#[async_trait]
impl ConnectionFilter for Doorkeeper {
    async fn should_accept(&self, peer: Option<&SocketAddr>) -> bool {
        let Some(peer) = peer else {
            return true;
        };
        let address = self.0.counted(peer.ip());
        let vacancy = self.0.vacancy(&self.0.addresses(), address);
        match vacancy {
            Ok(()) => true,
            // Who attacks is told nothing.
            Err(why) if why != "resets" && self.0.excuses.begin(*peer, self.0.now()) => true,
            Err(why) => {
                self.0.turn_away(why, peer.ip());
                false
            }
        }
    }
}

/// Of an IPv6 address: what one customer has.
const PREFIX: u8 = 64;
/// Points of `Calm`: of one connection, and of an address.
pub const MOST_OF_CONNECTION: u32 = 250;
const MOST_OF_ADDRESS: u32 = 1000;
/// Addresses at once, those with a past and no connection among them; some 6 MB.
const MOST_ADDRESSES: usize = 65_536;
const SILENCE_MILLIS: u64 = 10_000;

#[cfg(test)]
mod tests;
