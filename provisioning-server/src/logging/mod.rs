//! The log: lines on stderr, as text for people or JSON for programs, each with what it belongs to.
//!
//! Spans say what goes on (a request, a try of some work); `context` keeps their fields, and `lines` repeats those of all
//! spans around a line in that line, so that whoever looks for a host or an operation finds all of it by one word.

mod context;
mod lines;

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, registry};

use crate::config::{LogFormat, LoggingConfig};

pub use context::{Context, Fields};
pub use lines::Lines;

/// Logs to stderr from now on.
///
/// # Errors
/// When the level is none, or when something logs already.
pub fn start(config: &LoggingConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.level).context("logging.level")?;
    let colours = config.format == LogFormat::Text && io::stderr().is_terminal();
    let lines = Lines::new(config.format, io::stderr).with_colours(colours);
    let started = registry().with(filter).with(Context).with(lines).try_init();
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

#[cfg(test)]
mod tests;
