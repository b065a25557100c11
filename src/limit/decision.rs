//! What a limit says to one call; how it comes to say so is the way of counting's.

/// The answer to one call, and what is left after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub admitted: bool,
    /// The quota: calls in a window, in a full bucket, or at the same time.
    pub limit: u32,
    /// Calls that would still be admitted at this very moment.
    pub remaining: u32,
    /// Until nothing of what has been counted counts any more, if nobody calls again: `remaining` is
    /// `limit` then, and not a millisecond earlier. Zero where time alone gives nothing back.
    pub reset_millis: u64,
    /// Until one more call is admitted, if nobody else calls: at this time it is, and a millisecond
    /// earlier it is not. Zero where one more is admitted now.
    pub retry_after_millis: u64,
}

impl Decision {
    /// Refused for what the call lacks, not for how many there were.
    pub(super) const LACKING: Self = Self {
        admitted: false,
        limit: 0,
        remaining: 0,
        reset_millis: 0,
        retry_after_millis: 0,
    };
}
