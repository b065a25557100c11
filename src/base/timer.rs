//! One timer for all that a connection waits for. A deadline that moves on costs nothing: the timer goes off at the old
//! one, sees that it is too early, and is set anew. So a kept connection sets it about once in an idle timeout, not
//! with each request.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug)]
pub struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When it is set to go off, as far as it is.
    armed: Option<Instant>,
    /// Who is woken then.
    woken: Option<Waker>,
}

impl Timer {
    pub fn new() -> Self {
        Self {
            sleep: Box::pin(sleep_until(Instant::now())),
            armed: None,
            woken: None,
        }
    }

    /// Is it `due` by now? If not, the task is woken when it is.
    pub fn is_over(&mut self, due: Instant, context: &mut Context<'_>) -> bool {
        loop {
            if self.armed.is_none_or(|armed| due < armed) {
                self.sleep.as_mut().reset(due);
                self.armed = Some(due);
                self.woken = None;
            }
            // Asking it again would have it note again whom to wake, at the price of a lock.
            if self.wakes(context.waker()) && !self.sleep.is_elapsed() {
                return false;
            }
            if self.sleep.as_mut().poll(context).is_pending() {
                self.woken = Some(context.waker().clone());
                return false;
            }
            self.armed = None;
            if Instant::now() >= due {
                return true;
            }
        }
    }

    fn wakes(&self, waker: &Waker) -> bool {
        self.woken
            .as_ref()
            .is_some_and(|woken| woken.will_wake(waker))
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{Arc, Mutex};
    use std::task::Poll;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn over(timer: &mut Timer, due: Instant) {
        poll_fn(|context| match timer.is_over(due, context) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_over_at_its_time_whether_the_deadline_moved_on_or_back() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut timer = Timer::new();
        let early = timeout(Duration::from_secs(3), over(&mut timer, at(10)));
        assert!(early.await.is_err());
        over(&mut timer, at(60)).await;
        assert_eq!(begun.elapsed().as_secs(), 60);
        let early = timeout(Duration::from_secs(3), over(&mut timer, at(600)));
        assert!(early.await.is_err());
        over(&mut timer, at(70)).await;
        assert_eq!(begun.elapsed().as_secs(), 70);
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_who_has_asked_last() {
        let due = Instant::now() + Duration::from_secs(5);
        let timer = Arc::new(Mutex::new(Timer::new()));
        let (first, second) = (timer.clone(), timer.clone());
        let early = async move {
            let asked = poll_fn(
                |context| match first.lock().unwrap().is_over(due, context) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                },
            );
            assert!(timeout(Duration::from_secs(1), asked).await.is_err());
        };
        tokio::spawn(early).await.unwrap();
        let late = async move {
            poll_fn(
                |context| match second.lock().unwrap().is_over(due, context) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                },
            )
            .await;
        };
        let waited = timeout(Duration::from_secs(6), tokio::spawn(late));
        waited.await.unwrap().unwrap();
        assert_eq!(Instant::now(), due);
    }
}
