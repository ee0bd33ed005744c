//! How a line looks: short text for people, flat JSON for programs. What machines say can not break out of its line.

use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

use super::context::Fields;
use crate::config::LogFormat;

/// Names that a line of JSON uses itself; a field of such a name gets `field_` before it.
const OWN_NAMES: [&str; 4] = ["timestamp", "level", "target", "message"];
/// What the targets of our own lines begin with: people need not be told.
const OURS: &str = "provisioning";

/// Writes a line for each event, with the fields of the spans around it. The innermost span's value of a name counts.
#[derive(Debug)]
pub struct Lines<W> {
    format: LogFormat,
    writer: W,
    colours: bool,
}

impl<W> Lines<W> {
    /// Lines of this format, without colours.
    pub fn new(format: LogFormat, writer: W) -> Self {
        Self { format, writer, colours: false }
    }

    /// With colours for a terminal, in text.
    #[must_use]
    pub fn with_colours(self, colours: bool) -> Self {
        Self { colours, ..self }
    }
}

impl<S, W> layer::Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.remove("message").unwrap_or_default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(known) = span.extensions().get::<Fields>() {
                for (name, value) in known.iter() {
                    fields.add(name, value);
                }
            }
        }
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let line = Line { at: Timestamp::now(), level: *level, target, message: text_of(&message), fields };
        let text = match self.format {
            LogFormat::Json => line.json(),
            LogFormat::Text => line.text(self.colours),
        };
        // There is nobody left to tell when the log cannot be written.
        self.writer.make_writer_for(event.metadata()).write_all(text.as_bytes()).ok();
    }
}

struct Line<'a> {
    at: Timestamp,
    level: Level,
    target: &'a str,
    message: String,
    fields: Fields,
}

impl Line<'_> {
    fn json(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let mut line = format!(
            "{{\"timestamp\":\"{:.3}\",\"level\":\"{}\",\"target\":{},\"message\":{}",
            self.at,
            self.level,
            quoted(self.target),
            quoted(&self.message)
        );
        for (name, value) in self.fields.iter() {
            let prefix = if OWN_NAMES.contains(&name) { "field_" } else { "" };
            write!(line, ",\"{prefix}{name}\":{value}").expect("a String takes everything");
        }
        line.push_str("}\n");
        line
    }

    /// The host comes first, since people look for it; the operation, long and the same for an hour, last.
    fn text(&self, colours: bool) -> String {
        let (paint, plain) = if colours { (colour(self.level), "\u{1b}[0m") } else { ("", "") };
        let mut line = format!("{:.3} {paint}{:>5}{plain} ", self.at, self.level.as_str());
        if !self.target.starts_with(OURS) {
            write!(line, "{}: ", self.target).expect("a String takes everything");
        }
        line.extend(self.message.chars().flat_map(shown));
        let place = |name: &str| match name {
            "host" => 0,
            "operation" => 2,
            _ => 1,
        };
        for wanted in 0..3 {
            for (name, value) in self.fields.iter().filter(|(name, _)| place(name) == wanted) {
                write!(line, " {name}={}", worded(&text_of(value))).expect("a String takes everything");
            }
        }
        line.push('\n');
        line
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// In quotes where it would not be read as one word.
fn worded(text: &str) -> String {
    let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '='));
    if is_word { text.to_owned() } else { format!("{text:?}") }
}

/// A character of a message as it may be shown: those that steer a terminal, or end the line, are spelt out.
fn shown(c: char) -> impl Iterator<Item = char> {
    let spelt = c.is_control().then(|| c.escape_default());
    spelt.into_iter().flatten().chain((!c.is_control()).then_some(c))
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}
