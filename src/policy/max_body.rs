//! `max_body`: a request whose length says too much is refused at once; the others are counted while
//! their body passes.

use http::header;

use super::{Call, Keys, Names, Policy, Refused, Rule, Verdict};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::Report;
use crate::base::units::ByteSize;
use crate::base::yaml::At;

/// The largest request body.
#[derive(Debug)]
pub struct MaxBody(At<ByteSize>);

impl Policy for MaxBody {
    fn compile(keys: &Keys, _: &Names, _: &mut Report) -> Option<Self> {
        keys.max_body.map(Self)
    }

    fn request(&self, call: &mut Call) -> Verdict {
        let most = self.0.value.0;
        call.findings.max_body = Some(most);
        let length = call.header.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        match length {
            Some(length) if length > most => {
                Verdict::refuse(Reply::refuse(Refusal::BodyTooLarge).reason("content_length"))
            }
            _ => Verdict::Continue,
        }
    }

    fn rule(&self, refused: &Refused) -> Option<Rule> {
        (refused.refusal == Refusal::BodyTooLarge).then(|| Rule::new("max_body", self.0.place))
    }
}
