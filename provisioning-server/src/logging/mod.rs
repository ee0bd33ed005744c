//! The log: lines on stderr, as text for people or JSON for programs, each with what it belongs to.
//!
//! Spans say what goes on (a request, a try of some work); `context` keeps their fields, and `lines` repeats those of all
//! spans around a line in that line, so that whoever looks for a host or an operation finds all of it by one word.

mod context;
mod lines;

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use tracing_subscriber::layer::{Identity, Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, registry};

use crate::config::{LogFormat, LoggingConfig};

pub use context::{Context, Fields};
pub use lines::Lines;

/// What a further layer stands upon.
type Told = Layered<Lines<fn() -> io::Stderr>, Layered<Context, Layered<EnvFilter, Registry>>>;

/// Logs to stderr from now on.
///
/// # Errors
/// When the level is none, or when something logs already.
pub fn start(config: &LoggingConfig) -> anyhow::Result<()> {
    start_with(config, None::<Identity>)
}

/// The same, and sends traces to the collector that the environment names, if it names one.
///
/// # Errors
/// As [`start`], or when what the environment says of the collector cannot be used.
#[cfg(feature = "otel")]
pub fn start_with_traces(config: &LoggingConfig) -> anyhow::Result<Option<crate::traces::Traces>> {
    let traces = crate::traces::Traces::from_environment().context("OTEL_EXPORTER_OTLP_*")?;
    start_with(config, traces.as_ref().map(crate::traces::Traces::layer))?;
    Ok(traces)
}

fn start_with<L>(config: &LoggingConfig, further: Option<L>) -> anyhow::Result<()>
where
    L: Layer<Told> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.level).context("logging.level")?;
    let colours = config.format == LogFormat::Text && io::stderr().is_terminal();
    let lines = Lines::new(config.format, io::stderr as fn() -> io::Stderr).with_colours(colours);
    let started = registry().with(filter).with(Context).with(lines).with(further).try_init();
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

#[cfg(test)]
mod tests;
