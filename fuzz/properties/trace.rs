//! `traceparent` and `tracestate`: what is handed on is read again as the same, and is bounded.

use airside::base::trace::TraceContext;
use airside::base::trace_state::kept;
use http::HeaderValue;

pub fn check(bytes: &[u8]) {
    let trace = TraceContext::continue_or_start([bytes]);
    let handed = trace.header(trace.span());
    let next = TraceContext::continue_or_start([&handed[..]]);
    assert_eq!((next.id(), next.parent()), (trace.id(), Some(trace.span())));
    assert_eq!(
        (next.flags(), next.is_sampled()),
        (trace.flags(), trace.is_sampled())
    );
    if trace.is_continued() {
        let said = str::from_utf8(&bytes[3..35]).unwrap();
        assert_eq!(u128::from_str_radix(said, 16), Ok(trace.id()));
        assert!(!TraceContext::continue_or_start([bytes, bytes]).is_continued());
    }

    let lines = bytes.split(|byte| *byte == b'\n');
    let lines: Vec<HeaderValue> = lines
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect();
    if let Some(value) = kept(&lines) {
        assert!(value.len() <= 512 && !value.is_empty(), "{value:?}");
        assert!(value.as_bytes().split(|byte| *byte == b',').count() <= 32 + 512);
        assert_eq!(kept([&value]).as_ref(), Some(&value));
    }
}
