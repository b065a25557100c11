//! What the bytes of an HTTP/2 connection say of its client: heads that never end, and streams that are taken back.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::frames::Frames;
use crate::server::calm::Calm;
use crate::server::crowd::{Crowd, MOST_OF_CONNECTION};

/// One connection.
pub struct Two {
    frames: Frames,
    calm: Calm,
    peer: IpAddr,
    cut: Cut,
}

/// Why a connection is to end; its driver looks here.
pub type Cut = Arc<OnceLock<&'static str>>;

impl Two {
    pub fn new(peer: IpAddr, cut: Cut) -> Self {
        Self {
            frames: Frames::default(),
            calm: Calm::default(),
            peer,
            cut,
        }
    }

    /// Bytes came; true where a head came to its end with them.
    pub fn took(&mut self, got: &[u8], crowd: &Crowd) -> bool {
        let seen = self.frames.read(got);
        (0..seen.opened).for_each(|_| self.calm.opened());
        if seen.resets > 0 {
            let now = crowd.now();
            let mut over = crowd.reset(self.peer, seen.resets);
            for _ in 0..seen.resets {
                over |= self.calm.reset(now, MOST_OF_CONNECTION);
            }
            if over {
                self.cut("resets", crowd);
            }
        }
        seen.heads > 0
    }

    /// Is there something that has to be here in time?
    pub fn waits(&self) -> bool {
        !self.frames.has_begun() || self.frames.in_head()
    }

    /// Is it no HTTP/2 from its first frame on?
    pub fn is_wrong(&self) -> bool {
        self.frames.is_wrong()
    }

    pub fn has_begun(&self) -> bool {
        self.frames.has_begun()
    }

    pub fn cut(&self, why: &'static str, crowd: &Crowd) {
        if self.cut.set(why).is_ok() {
            crowd.cut(why);
        }
    }
}
