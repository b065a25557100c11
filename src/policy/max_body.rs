//! `max_body`: a request whose length says too much is refused at once; the others are counted while
//! their body passes.

use http::header;

use super::{Call, Keys, Names, Policy, Verdict};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::Report;

/// The largest request body, in bytes.
#[derive(Debug)]
pub struct MaxBody(u64);

impl Policy for MaxBody {
    fn compile(keys: &Keys, _: &Names, _: &mut Report) -> Option<Self> {
        keys.max_body.map(|size| Self(size.0))
    }

    fn request(&self, call: &mut Call) -> Verdict {
        call.findings.max_body = Some(self.0);
        let length = call.header.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        match length {
            Some(length) if length > self.0 => {
                Verdict::refuse(Reply::refuse(Refusal::BodyTooLarge).reason("content_length"))
            }
            _ => Verdict::Continue,
        }
    }
}
