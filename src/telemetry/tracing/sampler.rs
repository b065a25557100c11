//! Which requests are sampled. The trace's own bits decide, so that gateways with the same share choose the same
//! traces, and one with a larger share chooses those and more (OpenTelemetry, "Probability sampling").

use http::HeaderValue;

use crate::base::trace::TraceContext;
use crate::base::units::Share;

/// The share of traces that begin here of which spans are wanted.
#[derive(Debug)]
pub struct Sampler {
    /// The least 56 random bits of a sampled trace.
    threshold: u64,
    /// `ot=th:…`: how likely a trace was to be sampled, for those who count by spans.
    state: HeaderValue,
}

impl Sampler {
    pub fn new(share: Share) -> Self {
        // Whole at both ends: none and all are exactly that.
        let threshold = ((1.0 - share.0) * ALL as f64).round() as u64;
        let digits = format!("{threshold:014x}");
        let digits = match digits.trim_end_matches('0') {
            "" => "0",
            digits => digits,
        };
        Self {
            threshold,
            // Invariant: digits and letters.
            state: HeaderValue::try_from(format!("ot=th:{digits}"))
                .unwrap_or_else(|_| HeaderValue::from_static("ot=th:0")),
        }
    }

    /// Who began the trace has decided; of those that begin here the trace's bits do.
    pub fn decide(&self, trace: &mut TraceContext, state: &mut Option<HeaderValue>) -> bool {
        if trace.is_continued() {
            return trace.is_sampled();
        }
        if trace.randomness() < self.threshold {
            return false;
        }
        trace.sample();
        *state = Some(self.state.clone());
        true
    }
}

const ALL: u64 = 1 << 56;

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(sampler: &Sampler, mut trace: TraceContext) -> Option<HeaderValue> {
        let mut state = None;
        let wanted = sampler.decide(&mut trace, &mut state);
        assert_eq!(wanted, trace.is_sampled());
        assert_eq!(wanted, state.is_some());
        state
    }

    #[test]
    fn gateways_choose_the_same_traces_and_about_as_many_as_said() {
        let [none, tenth, again, half, all] =
            [0.0, 0.1, 0.1, 0.5, 1.0].map(|share| Sampler::new(Share(share)));
        let mut tenths = 0;
        for _ in 0..20_000 {
            let trace = TraceContext::continue_or_start([]);
            let of = |sampler| sampled(sampler, trace).is_some();
            assert!(!of(&none) && of(&all));
            assert_eq!(of(&tenth), of(&again));
            assert!(
                !of(&tenth) || of(&half),
                "a larger share holds a smaller one"
            );
            tenths += usize::from(of(&tenth));
        }
        assert!((1_700..2_300).contains(&tenths), "{tenths}");
    }

    #[test]
    fn the_state_says_how_likely_it_was() {
        for (share, state) in [(1.0, "ot=th:0"), (0.5, "ot=th:8"), (0.25, "ot=th:c")] {
            let sampler = Sampler::new(Share(share));
            let said = std::iter::repeat_with(|| TraceContext::continue_or_start([]))
                .find_map(|trace| sampled(&sampler, trace));
            assert_eq!(said.unwrap(), state);
        }
    }

    #[test]
    fn who_began_the_trace_has_decided() {
        let all = Sampler::new(Share(1.0));
        let none = Sampler::new(Share(0.0));
        for (flags, wanted) in [("00", false), ("01", true)] {
            let line = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            for sampler in [&all, &none] {
                let mut trace = TraceContext::continue_or_start([line.as_bytes()]);
                let mut state = Some(HeaderValue::from_static("a=b"));
                assert_eq!(sampler.decide(&mut trace, &mut state), wanted);
                assert_eq!(state.unwrap(), "a=b");
            }
        }
    }
}
