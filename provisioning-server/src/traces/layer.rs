//! Spans of the program, gathered below the outermost one until that ends. What turned out to be about an operation on the
//! way goes into that operation's trace, as a whole.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{Event as SpanEvent, SpanId, SpanKind, Status, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue, Value as Attribute};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use provisioning_core::model::OperationId;
use serde_json::Value;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

use super::ids;
use super::sender::Queue;
use crate::logging::Fields;

/// What the targets of our own spans begin with. Those of libraries are left out, the exporter's own among them.
const OURS: &str = "provisioning";
/// Spans below one outermost span; a join that is looked at every second has some hundreds.
const TREE_MAX: usize = 1024;
/// Lines of the log that are kept with a span.
const EVENTS_MAX: usize = 64;

/// Gathers spans, and puts them into the queue when the outermost one ends.
#[derive(Debug)]
pub struct TraceLayer {
    queue: Queue,
}

/// A span that goes on.
struct Begun {
    id: SpanId,
    parent: Option<SpanId>,
    at: SystemTime,
    events: Vec<SpanEvent>,
    fault: Option<String>,
    tree: Arc<Mutex<Vec<SpanData>>>,
}

impl TraceLayer {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// The outermost span has ended: all below it are known, and so is whom they are about.
    fn put(&self, spans: Vec<SpanData>) {
        let operation = spans.iter().rev().find_map(operation_of);
        let trace = operation.map_or_else(ids::new_trace, ids::trace_of);
        for mut span in spans {
            span.span_context = ids::context(trace, span.span_context.span_id());
            if span.parent_span_id == SpanId::INVALID
                && let Some(operation) = operation
            {
                span.parent_span_id = ids::span_of(operation);
            }
            self.queue.put(span);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> layer::Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        let Some(span) = context.span(id).filter(|_| attributes.metadata().target().starts_with(OURS)) else { return };
        let around = span.scope().skip(1).find_map(|around| {
            let extensions = around.extensions();
            extensions.get::<Begun>().map(|begun| (begun.id, Arc::clone(&begun.tree)))
        });
        let (parent, tree) = around.map_or_else(|| (None, Arc::default()), |(id, tree)| (Some(id), tree));
        let (id, at) = (ids::new_span(), SystemTime::now());
        span.extensions_mut().insert(Begun { id, parent, at, events: vec![], fault: None, tree });
    }

    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::INFO || !event.metadata().target().starts_with(OURS) {
            return;
        }
        let Some(span) = context.event_span(event) else { return };
        let mut extensions = span.extensions_mut();
        let Some(begun) = extensions.get_mut::<Begun>().filter(|begun| begun.events.len() < EVENTS_MAX) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.get("message").map(text_of).unwrap_or_default();
        if level == Level::ERROR {
            begun.fault = Some(message.clone());
        }
        begun.events.push(SpanEvent::new(message, SystemTime::now(), attributes_of(&fields), 0));
    }

    fn on_close(&self, id: Id, context: layer::Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let mut extensions = span.extensions_mut();
        let Some(begun) = extensions.remove::<Begun>() else { return };
        let attributes = extensions.get_mut::<Fields>().map(|fields| attributes_of(fields)).unwrap_or_default();
        drop(extensions);
        let mut events = SpanEvents::default();
        events.events = begun.events;
        let data = SpanData {
            span_context: ids::context(TraceId::INVALID, begun.id),
            parent_span_id: begun.parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: false,
            span_kind: kind_of(span.name()),
            name: span.name().into(),
            start_time: begun.at,
            end_time: SystemTime::now(),
            attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: begun.fault.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope(),
        };
        let mut tree = begun.tree.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.parent.is_none() {
            tree.push(data);
            self.put(std::mem::take(&mut tree));
        } else if tree.len() < TREE_MAX {
            tree.push(data);
        }
    }
}

/// Who has made the spans.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("provisioning").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// What we ask of others, what others ask of us, and the rest.
fn kind_of(name: &str) -> SpanKind {
    match name {
        "request" => SpanKind::Server,
        "ssh_login" | "ssh_command" | "inventory" | "proxmox" => SpanKind::Client,
        _ => SpanKind::Internal,
    }
}

fn operation_of(span: &SpanData) -> Option<OperationId> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == "operation")?;
    attribute.value.as_str().parse().ok()
}

fn attributes_of(fields: &Fields) -> Vec<KeyValue> {
    let named = fields.iter().filter(|(name, _)| *name != "message");
    named.map(|(name, value)| KeyValue::new(name, attribute_of(value))).collect()
}

fn attribute_of(value: &Value) -> Attribute {
    match value {
        Value::Bool(truth) => Attribute::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Attribute::I64(whole),
            (None, Some(broken)) => Attribute::F64(broken),
            (None, None) => number.to_string().into(),
        },
        other => text_of(other).into(),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
