//! Ids of traces and spans. An operation's id is a trace's as it is: both are sixteen bytes, and not zero.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use provisioning_core::model::{OperationId, Timestamp};

/// The trace of an operation.
pub(super) fn trace_of(operation: OperationId) -> TraceId {
    TraceId::from_bytes(*operation.as_bytes())
}

/// The span that stands for the whole operation: the half of its id that is drawn by chance. It has a bit that is always
/// set (RFC 9562 §5.7), so that it is not zero.
pub(super) fn span_of(operation: OperationId) -> SpanId {
    let [_, _, _, _, _, _, _, _, rest @ ..] = *operation.as_bytes();
    SpanId::from_bytes(rest)
}

/// A trace of its own.
pub(super) fn new_trace() -> TraceId {
    TraceId::from_bytes(random())
}

/// A span.
pub(super) fn new_span() -> SpanId {
    SpanId::from_bytes(random())
}

pub(super) fn context(trace: TraceId, span: SpanId) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// When an operation was started: its id begins with that (UUIDv7).
pub(super) fn began(operation: OperationId) -> SystemTime {
    let [time @ .., _, _, _, _, _, _, _, _, _, _] = *operation.as_bytes();
    let millis = time.iter().fold(0, |millis, byte| millis << 8 | u64::from(*byte));
    UNIX_EPOCH + Duration::from_millis(millis)
}

pub(super) fn time_of(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

/// Without the system's randomness a trace is not worth stopping for: then spans share the id that stands for none.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_and_its_trace_have_the_same_id_and_begin_together() {
        let at = Timestamp::from_millis(1_795_000_000_123);
        let operation = OperationId::new(at, [0; 10]);
        assert_eq!(trace_of(operation).to_string(), operation.to_string().replace('-', ""));
        assert_ne!(span_of(operation), SpanId::INVALID);
        assert_eq!(began(operation), time_of(at));
    }
}
