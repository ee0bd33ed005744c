//! What lines say, and that nothing breaks out of one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing::field::{Empty, display};
use tracing::{Span, error_span};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, registry};

use super::{Context, Lines};
use crate::config::LogFormat;

/// A log in memory.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What is logged meanwhile.
fn logged(format: LogFormat, filter: &str, what: impl FnOnce()) -> String {
    let log = Log::default();
    let lines = Lines::new(format, log.clone());
    let subscriber = registry().with(EnvFilter::new(filter)).with(Context).with(lines);
    tracing::subscriber::with_default(subscriber, what);
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8(bytes).expect("lines are UTF-8")
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn a_line_repeats_what_the_spans_around_it_know_and_the_innermost_counts() {
    let text = logged(LogFormat::Json, "info", || {
        let _outer = error_span!("work", host = "pve-07", attempt = 1, step = "outer").entered();
        let _inner = error_span!("login", step = "inner").entered();
        tracing::info!(tries = 3, "logged in");
    });
    let line = &parsed(&text)[0];
    assert_eq!(line["message"], "logged in");
    assert_eq!(line["level"], "INFO");
    assert_eq!((&line["host"], &line["step"]), (&"pve-07".into(), &"inner".into()));
    assert_eq!((&line["attempt"], &line["tries"]), (&1.into(), &3.into()));
    assert!(line["timestamp"].as_str().is_some_and(|at| at.len() == "2026-01-01T00:00:00.000Z".len()), "{text}");
}

#[test]
fn a_request_learns_whom_it_is_about_from_what_is_done_for_it() {
    let text = logged(LogFormat::Json, "info", || {
        let request = error_span!("request", host = Empty, operation = Empty).entered();
        error_span!("answer", host = Empty).in_scope(|| {
            Span::current().record("host", display("pve-07"));
        });
        error_span!("apply", operation = "first").in_scope(|| {});
        error_span!("apply", operation = "second").in_scope(|| {});
        tracing::info!("answered");
        drop(request);
        tracing::info!("idle");
    });
    let lines = parsed(&text);
    assert_eq!((&lines[0]["host"], &lines[0]["operation"]), (&"pve-07".into(), &"first".into()));
    assert_eq!(lines[1].get("host"), None, "outside of the request nothing is known");
}

#[test]
fn a_log_of_warnings_alone_still_says_whom_they_are_about() {
    let text = logged(LogFormat::Json, "warn", || {
        let _span = error_span!("work", host = "pve-07").entered();
        tracing::info!("not told");
        tracing::warn!("told");
    });
    let lines = parsed(&text);
    assert_eq!(lines.len(), 1, "{text}");
    assert_eq!(lines[0]["host"], "pve-07");
}

#[test]
fn text_is_short_and_begins_with_the_host() {
    let text = logged(LogFormat::Text, "info", || {
        let _span = error_span!("work", operation = "0199", host = "pve-07").entered();
        tracing::warn!(error = "no route", tries = 2, "will try again");
        tracing::info!(target: "dnsmasq", "started");
    });
    let lines: Vec<&str> = text.lines().collect();
    let (_, first) = lines[0].split_once("Z ").expect("a time");
    assert_eq!(first, " WARN will try again host=pve-07 error=\"no route\" tries=2 operation=0199");
    assert!(lines[1].ends_with(" INFO dnsmasq: started host=pve-07 operation=0199"), "{text}");
}

#[test]
fn what_a_machine_says_stays_within_its_line() {
    let hostile = "ok\n2026-01-01T00:00:00Z INFO all is well\u{1b}[2J\r";
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = logged(format, "info", || tracing::info!(said = hostile, "{hostile}"));
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(!text.trim_end().contains(|c: char| c.is_control()), "{text:?}");
    }
}

#[test]
fn a_field_does_not_take_the_place_of_a_line_s_own() {
    let text = logged(LogFormat::Json, "info", || tracing::info!(level = "none", timestamp = 1, "told"));
    let line = &parsed(&text)[0];
    assert_eq!((&line["level"], &line["field_level"]), (&"INFO".into(), &"none".into()));
    assert_eq!(line["field_timestamp"], 1);
}
