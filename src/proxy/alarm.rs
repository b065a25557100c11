//! Ends an upstream's connection when its time is up. Pingora has one bound for every read of a connection, and none
//! for an answer as a whole; which bound holds changes as a request goes on.
//!
//! The alarm is looked at in the task that runs the request, between its steps. So the connection can't have been
//! closed, and its number given to another, while the alarm is on.

use std::future::{Future, poll_fn};
use std::os::fd::RawFd;
use std::pin::pin;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use tokio::time::{Instant, sleep_until};

use super::slow;

/// A request's alarm; clones are the same one.
#[derive(Debug, Clone)]
pub struct Alarm(Arc<State>);

/// What a request ran out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bound {
    /// The server's time for the answer's head.
    FirstByte = 1,
    /// The server's time between two parts of an answer.
    Idle,
    /// The upstream's time for all attempts.
    Total,
    /// The route's time for the request.
    Route,
    /// The client's time for a part of the request's body.
    Client,
}

#[derive(Debug)]
struct State {
    /// Microseconds from the `EPOCH`; zero: off.
    due: AtomicU64,
    bound: AtomicU8,
    /// The bound that it rang for.
    rang: AtomicU8,
    /// The upstream's connection; below zero: none that may be cut.
    connection: AtomicI32,
}

tokio::task_local! {
    /// Of the request that the task is at.
    static CURRENT: Alarm;
}

impl Alarm {
    /// The alarm of the request that runs here. Outside of `guard` nobody looks at it.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs a request, which finds the alarm by `current`.
    pub async fn guard<T>(work: impl Future<Output = T>) -> T {
        let alarm = Self::default();
        let work = CURRENT.scope(alarm.clone(), work);
        let mut work = pin!(work);
        let mut timer = pin!(sleep_until(*EPOCH));
        // When the timer is set to go off, as far as it is.
        let mut set = None;
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            while let Some(due) = alarm.due() {
                // A bound that moved on is met when the timer goes off: setting it anew each time would cost more.
                if set.is_none_or(|set| due < set) {
                    timer.as_mut().reset(due);
                    set = Some(due);
                }
                if timer.as_mut().poll(context).is_pending() {
                    break;
                }
                set = None;
                if Instant::now() >= due {
                    alarm.ring();
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The connection that the alarm cuts.
    pub fn watch(&self, connection: RawFd) {
        self.0.connection.store(connection, Ordering::Relaxed);
    }

    /// Rings at `at` for this bound, and no longer for the one before.
    pub fn set(&self, at: Instant, bound: Bound) {
        let due = at.saturating_duration_since(*EPOCH).as_micros() as u64;
        self.0.bound.store(bound as u8, Ordering::Relaxed);
        self.0.due.store(due.max(1), Ordering::Relaxed);
    }

    /// Nothing is due, for now.
    pub fn rest(&self) {
        self.0.due.store(0, Ordering::Relaxed);
    }

    /// Nothing is due, and the connection is another's.
    pub fn off(&self) {
        self.rest();
        self.0.connection.store(-1, Ordering::Relaxed);
    }

    /// The bound that it rang for, once.
    pub fn rang(&self) -> Option<Bound> {
        Bound::of(self.0.rang.load(Ordering::Relaxed))
    }

    /// A new attempt: what it rang for is over.
    pub fn forget(&self) {
        self.off();
        self.0.rang.store(0, Ordering::Relaxed);
    }

    fn due(&self) -> Option<Instant> {
        match self.0.due.load(Ordering::Relaxed) {
            0 => None,
            due => Some(*EPOCH + Duration::from_micros(due)),
        }
    }

    fn ring(&self) {
        let connection = self.0.connection.load(Ordering::Relaxed);
        let bound = self.0.bound.load(Ordering::Relaxed);
        if connection < 0 {
            return self.rest();
        }
        if bound == Bound::Idle as u8 && has_unread(connection) {
            // It is the client that does not read.
            return self.set(Instant::now() + AGAIN, Bound::Idle);
        }
        self.0.rang.store(bound, Ordering::Relaxed);
        self.rest();
        // An error says that it is closed already.
        let _ = shutdown(connection, Shutdown::Both);
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self(Arc::new(State {
            due: AtomicU64::new(0),
            bound: AtomicU8::new(0),
            rang: AtomicU8::new(0),
            connection: AtomicI32::new(-1),
        }))
    }
}

impl Bound {
    fn of(number: u8) -> Option<Self> {
        let all = [
            Self::FirstByte,
            Self::Idle,
            Self::Total,
            Self::Route,
            Self::Client,
        ];
        all.into_iter().find(|bound| *bound as u8 == number)
    }

    /// The word of the access log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::FirstByte => "first_byte_timeout",
            Self::Idle => "idle_timeout",
            Self::Total => "total_timeout",
            Self::Route => "route_timeout",
            Self::Client => slow::BODY,
        }
    }
}

/// Has the server sent what nobody has taken yet?
fn has_unread(connection: RawFd) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(connection, &mut [0], flags).is_ok_and(|read| read > 0)
}

/// Before any alarm: what they count from, so that none has to ask for the time when it is made.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// When to look again at a client that does not read.
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use tokio::time::sleep;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    #[tokio::test(start_paused = true)]
    async fn it_cuts_the_connection_when_the_time_is_up_and_says_for_what() {
        let (mut ours, _theirs) = pair();
        Alarm::guard(async {
            let alarm = Alarm::current();
            alarm.watch(ours.as_raw_fd());
            alarm.set(Instant::now() + Duration::from_secs(5), Bound::Total);
            sleep(Duration::from_millis(4_990)).await;
            assert_eq!(alarm.rang(), None);
            sleep(Duration::from_millis(20)).await;
            assert_eq!(alarm.rang(), Some(Bound::Total));
        })
        .await;
        assert_eq!(ours.read(&mut [0]).unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bound_that_moves_on_or_ends_does_not_ring() {
        let (mut ours, mut theirs) = pair();
        Alarm::guard(async {
            let alarm = Alarm::current();
            alarm.watch(ours.as_raw_fd());
            for _ in 0..10 {
                alarm.set(Instant::now() + Duration::from_secs(5), Bound::FirstByte);
                sleep(Duration::from_secs(4)).await;
            }
            alarm.off();
            sleep(Duration::from_secs(60)).await;
            assert_eq!(alarm.rang(), None);
            alarm.set(Instant::now() + Duration::from_secs(1), Bound::Total);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(alarm.rang(), None, "there is nothing to cut");
        })
        .await;
        theirs.write_all(b"x").unwrap();
        assert_eq!(ours.read(&mut [0]).unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bound_that_is_earlier_than_the_one_before_rings_earlier() {
        let (ours, _theirs) = pair();
        Alarm::guard(async {
            let alarm = Alarm::current();
            alarm.watch(ours.as_raw_fd());
            alarm.set(Instant::now() + Duration::from_secs(9), Bound::Total);
            sleep(Duration::from_secs(1)).await;
            alarm.set(Instant::now() + Duration::from_secs(1), Bound::Route);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(alarm.rang(), Some(Bound::Route));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_whose_bytes_lie_unread_is_not_idle() {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"x").unwrap();
        Alarm::guard(async {
            let alarm = Alarm::current();
            alarm.watch(ours.as_raw_fd());
            alarm.set(Instant::now() + Duration::from_secs(1), Bound::Idle);
            sleep(Duration::from_secs(30)).await;
            assert_eq!(alarm.rang(), None);
            assert_eq!(ours.read(&mut [0]).unwrap(), 1);
            sleep(Duration::from_secs(2)).await;
            assert_eq!(alarm.rang(), Some(Bound::Idle));
        })
        .await;
    }
}
