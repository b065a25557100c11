//! Phases that never wait. Pingora calls a phase as a boxed future, and what `async_trait` makes of an `async fn` is an
//! allocation for each, though there may be nothing to wait for. A phase that `at_once!` makes has done its work when
//! it is called; as a rule what it leaves is a future of no size, whose box is nowhere.

use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::task::Poll;

use pingora::prelude::*;

/// What Pingora waits for.
pub type Phase<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a phase that is over has come to.
pub trait Outcome: Sized {
    /// The same, as Pingora expects it.
    fn told<'a>(self) -> Phase<'a, Self>;
}

impl Outcome for () {
    fn told<'a>(self) -> Phase<'a, Self> {
        Box::pin(poll_fn(|_| Poll::Ready(())))
    }
}

impl Outcome for Result<()> {
    fn told<'a>(self) -> Phase<'a, Self> {
        match self {
            Ok(()) => Box::pin(poll_fn(|_| Poll::Ready(Ok(())))),
            error => Box::pin(ready(error)),
        }
    }
}

impl Outcome for Result<bool> {
    fn told<'a>(self) -> Phase<'a, Self> {
        match self {
            Ok(true) => Box::pin(poll_fn(|_| Poll::Ready(Ok(true)))),
            other => Box::pin(ready(other)),
        }
    }
}

/// Runs a phase, and leaves its outcome to be waited for.
pub fn run<'a, T: Outcome>(work: impl FnOnce() -> T) -> Phase<'a, T> {
    work().told()
}

/// Methods of `ProxyHttp`, written as if they were not asynchronous. Each borrowed argument has a lifetime of its own,
/// in their order: `async_trait` declares them so.
macro_rules! at_once {
    ($(
        $(#[$doc:meta])*
        fn $name:ident<$($life:lifetime),*>(&$me:ident $(, $argument:tt: $type:ty)* $(,)?) -> $outcome:ty
        $work:block
    )*) => {$(
        $(#[$doc])*
        fn $name<'me, $($life,)* 'phase>(
            &'me $me $(, $argument: $type)*
        ) -> $crate::proxy::at_once::Phase<'phase, $outcome>
        where
            'me: 'phase,
            $($life: 'phase,)*
            Self: 'phase,
        {
            $crate::proxy::at_once::run(|| $work)
        }
    )*};
}
pub(super) use at_once;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_outcome_is_what_the_phase_came_to() {
        assert!(matches!(run(|| Ok(())).await, Ok(())));
        for told in [true, false] {
            assert_eq!(run(|| Ok(told)).await.unwrap(), told);
        }
        let failed: Result<()> = run(|| Error::e_explain(InternalError, "why")).await;
        assert!(failed.unwrap_err().to_string().contains("why"));
        run(|| ()).await;
    }

    #[test]
    fn what_went_well_takes_no_memory() {
        assert_eq!(size_of_val(&*run(|| Ok(()))), 0);
        assert_eq!(size_of_val(&*run(|| Ok(true))), 0);
        assert_eq!(size_of_val(&*run(|| ())), 0);
    }
}
