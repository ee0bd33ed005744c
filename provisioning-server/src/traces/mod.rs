//! Traces over OTLP: one for each operation, from its start to its end, under the operation's own id.
//!
//! | file | what stands there |
//! |---|---|
//! | `layer` | spans of the program, gathered until the outermost one ends: by then it is known whom they are about |
//! | `life` | spans of operations and their phases, which outlive processes: told by the journal |
//! | `ids` | how an operation's id becomes a trace's |
//! | `sender` | the queue, and the task that empties it |
//!
//! The usual bridge from `tracing` to OpenTelemetry chooses a trace's id when its first span begins. A machine's request
//! does not know its operation then, so the spans are put together here, and only sent with OpenTelemetry's own exporter.

mod ids;
mod layer;
mod life;
mod sender;

use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use layer::TraceLayer;
pub(crate) use life::follow;
pub use sender::Queue;

/// What the server is called unless `OTEL_SERVICE_NAME` names it.
const SERVICE_NAME: &str = "provisioning";
/// The variables of which one turns traces on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// How long the last spans may take to go out when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// Traces that are sent to a collector, until [`finish`](Self::finish).
#[derive(Debug)]
pub struct Traces {
    queue: Queue,
    stop: watch::Sender<bool>,
    sending: JoinHandle<()>,
}

impl Traces {
    /// To the collector that OpenTelemetry's variables name; `None` when they name none.
    ///
    /// # Errors
    /// When what they say cannot be used.
    pub fn from_environment() -> Result<Option<Self>, ExporterBuildError> {
        if ENDPOINTS.iter().all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty())) {
            return Ok(None);
        }
        Ok(Some(Self::through(SpanExporter::builder().with_http().build()?)))
    }

    /// To the collector at this address, its path in full: `http://collector.lab:4318/v1/traces`.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn to(endpoint: &str) -> Result<Self, ExporterBuildError> {
        Ok(Self::through(SpanExporter::builder().with_http().with_endpoint(endpoint).build()?))
    }

    fn through(mut exporter: SpanExporter) -> Self {
        let resource = Resource::builder();
        let resource = if std::env::var_os("OTEL_SERVICE_NAME").is_some() {
            resource
        } else {
            resource.with_service_name(SERVICE_NAME)
        };
        exporter.set_resource(&resource.build());
        let (stop, stopping) = watch::channel(false);
        let (queue, spans) = Queue::new();
        let sending = tokio::spawn(sender::send(exporter, spans, queue.clone(), stopping));
        Self { queue, stop, sending }
    }

    /// What gathers the program's spans; it reads the fields that [`Context`](crate::logging::Context) keeps.
    pub fn layer(&self) -> TraceLayer {
        TraceLayer::new(self.queue.clone())
    }

    /// Where spans are put to be sent.
    pub fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Sends what is left, for at most five seconds.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        if !matches!(tokio::time::timeout(FAREWELL, self.sending).await, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}
