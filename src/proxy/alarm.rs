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
use tokio::time::Instant;

use super::slow;
use crate::base::timer::Timer;

/// A request's alarm, or none, which never rings. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Alarm(Option<Arc<State>>);

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
    /// The alarm of the request that runs here under `guard`; elsewhere none.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or(Self(None))
    }

    /// Runs a request, which finds an alarm of its own by `current`.
    pub async fn guard<T>(work: impl Future<Output = T>) -> T {
        let alarm = Self::default();
        let work = CURRENT.scope(alarm.clone(), work);
        alarm.over(&mut Timer::new(), work).await
    }

    /// Runs a request under this alarm, which rings for nothing that was before. Requests that follow each other may
    /// have one timer: it mostly stays set to what it was set to by one of the first.
    pub async fn over<T>(&self, timer: &mut Timer, work: impl Future<Output = T>) -> T {
        self.forget();
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            while let Some(due) = self.due() {
                if !timer.is_over(due, context) {
                    break;
                }
                self.ring();
            }
            Poll::Pending
        })
        .await
    }

    /// The connection that the alarm cuts.
    pub fn watch(&self, connection: RawFd) {
        if let Some(state) = &self.0 {
            state.connection.store(connection, Ordering::Relaxed);
        }
    }

    /// Rings at `at` for this bound, and no longer for the one before.
    pub fn set(&self, at: Instant, bound: Bound) {
        let due = at.saturating_duration_since(*EPOCH).as_micros() as u64;
        if let Some(state) = &self.0 {
            state.bound.store(bound as u8, Ordering::Relaxed);
            state.due.store(due.max(1), Ordering::Relaxed);
        }
    }

    /// Nothing is due, for now.
    pub fn rest(&self) {
        if let Some(state) = &self.0 {
            state.due.store(0, Ordering::Relaxed);
        }
    }

    /// Nothing is due, and the connection is another's.
    pub fn off(&self) {
        self.rest();
        self.watch(-1);
    }

    /// The bound that it rang for, once.
    pub fn rang(&self) -> Option<Bound> {
        let state = self.0.as_ref()?;
        Bound::of(state.rang.load(Ordering::Relaxed))
    }

    /// A new attempt: what it rang for is over.
    pub fn forget(&self) {
        self.off();
        if let Some(state) = &self.0 {
            state.rang.store(0, Ordering::Relaxed);
        }
    }

    fn due(&self) -> Option<Instant> {
        match self.0.as_ref()?.due.load(Ordering::Relaxed) {
            0 => None,
            due => Some(*EPOCH + Duration::from_micros(due)),
        }
    }

    fn ring(&self) {
        let Some(state) = &self.0 else { return };
        let connection = state.connection.load(Ordering::Relaxed);
        let bound = state.bound.load(Ordering::Relaxed);
        if connection < 0 {
            return self.rest();
        }
        if bound == Bound::Idle as u8 && has_unread(connection) {
            // It is the client that does not read.
            return self.set(Instant::now() + AGAIN, Bound::Idle);
        }
        state.rang.store(bound, Ordering::Relaxed);
        self.rest();
        // An error says that it is closed already.
        let _ = shutdown(connection, Shutdown::Both);
    }
}

impl Default for Alarm {
    /// One that is off.
    fn default() -> Self {
        Self(Some(Arc::new(State {
            due: AtomicU64::new(0),
            bound: AtomicU8::new(0),
            rang: AtomicU8::new(0),
            connection: AtomicI32::new(-1),
        })))
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
    async fn requests_that_follow_each_other_have_one_timer_and_each_its_own_bounds() {
        let (mut ours, _theirs) = pair();
        let (alarm, mut timer) = (Alarm::default(), Timer::new());
        let within = |seconds| Instant::now() + Duration::from_secs(seconds);
        let wait = |seconds| sleep(Duration::from_secs(seconds));
        for (bound, taken) in [(30, 1), (5, 4), (60, 59), (5, 0), (9, 8)] {
            let request = async {
                assert_eq!(alarm.rang(), None);
                alarm.watch(ours.as_raw_fd());
                alarm.set(within(bound), Bound::Total);
                wait(taken).await;
                assert_eq!(alarm.rang(), None, "{bound}");
            };
            alarm.over(&mut timer, request).await;
            // What was due of it is not due of the next one, or while there is none.
            alarm.over(&mut timer, wait(20)).await;
        }
        let late = async {
            alarm.watch(ours.as_raw_fd());
            alarm.set(within(2), Bound::Route);
            wait(3).await;
            assert_eq!(alarm.rang(), Some(Bound::Route));
        };
        alarm.over(&mut timer, late).await;
        assert_eq!(ours.read(&mut [0]).unwrap(), 0);
        alarm
            .over(&mut timer, async { assert_eq!(alarm.rang(), None) })
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
