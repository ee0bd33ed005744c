//! What spans know: their fields, kept beside them for whoever tells of them.

use std::fmt::{self, Write as _};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// What a request learns from what is done for it: a machine's request begins without a host, and is about one as soon as
/// its token was read.
const LEARNT: [&str; 2] = ["host", "operation"];

/// Named values in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Puts a value in the place of the one of the same name, or behind all others.
    pub fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Adds a value unless there is one of the same name.
    pub(super) fn add(&mut self, name: &'static str, value: &Value) {
        if self.get(name).is_none() {
            self.0.push((name, value.clone()));
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(place).1)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Names, addresses and ids fit in without growing.
        let mut text = String::with_capacity(40);
        write!(text, "{value:?}").ok();
        self.set(field.name(), text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }
}

/// Keeps the [`Fields`] of each span among its extensions; put it before the layers that read them.
#[derive(Clone, Copy, Debug)]
pub struct Context;

impl<S: Subscriber + for<'a> LookupSpan<'a>> layer::Layer<S> for Context {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields(Vec::with_capacity(attributes.metadata().fields().len()));
        attributes.record(&mut fields);
        teach(&span, &fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: layer::Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut news = Fields(Vec::with_capacity(values.len()));
        values.record(&mut news);
        teach(&span, &news);
        let mut extensions = span.extensions_mut();
        if let Some(fields) = extensions.get_mut::<Fields>() {
            for (name, value) in news.0 {
                fields.set(name, value);
            }
        }
    }
}

/// Tells the spans around this one whom they are about, if they have a place for it and do not know.
fn teach<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>, news: &Fields) {
    for name in LEARNT {
        let Some(value) = news.get(name) else { continue };
        for around in span.scope().skip(1) {
            if declares(around.metadata(), name)
                && let Some(fields) = around.extensions_mut().get_mut::<Fields>()
            {
                fields.add(name, value);
            }
        }
    }
}

fn declares(metadata: &Metadata<'_>, name: &str) -> bool {
    metadata.fields().field(name).is_some()
}
