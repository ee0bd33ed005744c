//! Operations and their phases as spans. They last an hour and outlive the process, so that they are told by the journal
//! when they end, with ids that the next process knows as well.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use provisioning_core::machine::{EventKind, HostState, Phase};
use provisioning_core::model::{OperationId, Timestamp};
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::{Happening, HostFilter, JournalEntry, StoreError};

use super::ids;
use super::layer::scope;
use super::sender::Queue;

/// How long until a store that did not answer is asked again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// What is known of an operation that runs.
#[derive(Clone, Copy, Debug)]
struct Course {
    /// Since when it is in its phase.
    since: Timestamp,
    /// When it was resumed after a failure, if it was.
    resumed: Option<Timestamp>,
}

/// Tells of operations from now on, for ever.
pub(crate) async fn follow(orchestrator: &Orchestrator, queue: &Queue) {
    loop {
        if follow_on(orchestrator, queue).await.is_err() {
            // The orchestrator's loop says that the store does not answer.
            tokio::time::sleep(AFTER_TROUBLE).await;
        }
    }
}

async fn follow_on(orchestrator: &Orchestrator, queue: &Queue) -> Result<(), StoreError> {
    let last = orchestrator.store().last_seq().await?;
    let mut running = BTreeMap::new();
    for record in orchestrator.store().hosts(&HostFilter::default()).await? {
        if let HostState::Provisioning { run, .. } = &record.state {
            running.insert(run.operation, Course { since: run.since, resumed: None });
        }
    }
    let mut feed = orchestrator.feed(last);
    loop {
        for entry in feed.next().await? {
            for mut span in spans_of(&entry, &mut running) {
                if let Some(host) = entry.host
                    && let Ok(Some(record)) = orchestrator.store().host(host).await
                {
                    span.attributes.push(KeyValue::new("host", record.host.name.to_string()));
                }
                queue.put(span);
            }
        }
    }
}

/// What has ended with this entry: a phase, and the operation if it was its last.
fn spans_of(entry: &JournalEntry, running: &mut BTreeMap<OperationId, Course>) -> Vec<SpanData> {
    let (Some(operation), Happening::Moved { event, from, to }) = (entry.operation, &entry.what) else { return vec![] };
    let before = running.get(&operation).copied();
    let mut spans = vec![];
    match (before, event) {
        (Some(course), _) if from == to => {
            running.insert(operation, course);
            return spans;
        }
        (Some(course), _) => {
            let mut span = ended(operation, ids::new_span(), from.as_str(), ids::time_of(course.since), entry.at);
            span.parent_span_id = ids::span_of(operation);
            spans.push(span);
            running.insert(operation, Course { since: entry.at, ..course });
        }
        (None, event) => {
            let resumed = matches!(event, EventKind::Resumed).then_some(entry.at);
            running.insert(operation, Course { since: entry.at, resumed });
        }
    }
    if matches!(to, Phase::Ready | Phase::Failed) {
        running.remove(&operation);
        spans.push(whole(operation, before.and_then(|course| course.resumed), event, *to, entry.at));
    }
    spans
}

/// The operation itself; what followed a failure is a span of its own below it.
fn whole(operation: OperationId, resumed: Option<Timestamp>, event: &EventKind, to: Phase, at: Timestamp) -> SpanData {
    let mut span = match resumed {
        None => ended(operation, ids::span_of(operation), "operation", ids::began(operation), at),
        Some(resumed) => {
            let mut span = ended(operation, ids::new_span(), "resumed operation", ids::time_of(resumed), at);
            span.parent_span_id = ids::span_of(operation);
            span
        }
    };
    span.attributes.push(KeyValue::new("outcome", to.as_str()));
    if to == Phase::Failed {
        let why = match event {
            EventKind::StepFailed { why, .. } => why.to_string(),
            EventKind::Expired { .. } => "deadline_passed".to_owned(),
            event => event.as_str().to_owned(),
        };
        span.status = Status::error(why);
    }
    span
}

fn ended(operation: OperationId, id: SpanId, name: &'static str, since: SystemTime, at: Timestamp) -> SpanData {
    SpanData {
        span_context: ids::context(ids::trace_of(operation), id),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: since,
        end_time: ids::time_of(at),
        attributes: vec![KeyValue::new("operation", operation.to_string())],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope(),
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::JoinStep;
    use provisioning_core::ports::Source;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    fn moved(seconds: i64, operation: OperationId, event: EventKind, from: Phase, to: Phase) -> JournalEntry {
        let what = Happening::Moved { event, from, to };
        let (at, operation) = (at(seconds), Some(operation));
        JournalEntry { seq: 1, at, host: None, operation, source: Source::Provisioning, what }
    }

    fn told(entries: &[JournalEntry]) -> Vec<SpanData> {
        let mut running = BTreeMap::new();
        entries.iter().flat_map(|entry| spans_of(entry, &mut running)).collect()
    }

    fn seconds(span: &SpanData) -> u64 {
        span.end_time.duration_since(span.start_time).expect("it ends after it begins").as_secs()
    }

    #[test]
    fn an_operation_has_a_span_with_its_phases_below_it() {
        let id = OperationId::new(at(0), [7; 10]);
        let spans = told(&[
            moved(0, id, EventKind::Started, Phase::Registered, Phase::PxeReady),
            moved(20, id, EventKind::BootScriptFetched, Phase::PxeReady, Phase::PxeBooted),
            moved(21, id, EventKind::InstallerBegan, Phase::PxeBooted, Phase::PxeBooted),
            moved(50, id, EventKind::Expired { last_error: None }, Phase::PxeBooted, Phase::Failed),
        ]);
        let shape: Vec<_> = spans.iter().map(|span| (span.name.as_ref(), seconds(span))).collect();
        assert_eq!(shape, [("pxe_ready", 20), ("pxe_booted", 30), ("operation", 50)]);
        let whole = spans.last().expect("the operation");
        assert!(spans.iter().all(|span| span.span_context.trace_id() == ids::trace_of(id)));
        assert!(spans[..2].iter().all(|span| span.parent_span_id == whole.span_context.span_id()));
        assert_eq!(whole.status, Status::error("deadline_passed"));
    }

    #[test]
    fn a_resumed_join_goes_on_below_the_operation_that_had_failed() {
        let id = OperationId::new(at(0), [7; 10]);
        let done = EventKind::StepDone { step: JoinStep::Register };
        let spans = told(&[
            moved(0, id, EventKind::Started, Phase::Registered, Phase::Joining),
            moved(5, id, EventKind::Expired { last_error: None }, Phase::Joining, Phase::Failed),
            moved(60, id, EventKind::Resumed, Phase::Failed, Phase::Joining),
            moved(90, id, done, Phase::Joining, Phase::Ready),
        ]);
        let shape: Vec<_> = spans.iter().map(|span| (span.name.as_ref(), seconds(span))).collect();
        assert_eq!(shape, [("joining", 5), ("operation", 5), ("joining", 30), ("resumed operation", 30)]);
        let ids: std::collections::BTreeSet<_> =
            spans.iter().map(|span| span.span_context.span_id().to_string()).collect();
        assert_eq!(ids.len(), spans.len(), "no two spans share an id");
    }
}
