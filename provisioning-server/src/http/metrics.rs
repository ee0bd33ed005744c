//! `/metrics` in the Prometheus text format: what an operator's alerts and graphs are made of.
//!
//! Rows are counted when they are asked for, by the store; what happened is counted as the journal tells
//! it, from the start of the process on. `docs/metrics.md` says what each means and which alerts go with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use provisioning_core::machine::{EventKind, Phase};
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::{Happening, JournalEntry, StoreError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::Problem;

/// The content type that Prometheus asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long until a store that did not answer is asked again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

type MakeHistogram = fn() -> Histogram;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// All figures of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    hosts: Family<OfPhase, Gauge>,
    overdue: Gauge,
    outbox: Gauge,
    outbox_age: Gauge<f64, AtomicU64>,
    time_in_leg: Family<OfPhase, Histogram, MakeHistogram>,
    operations: Family<Ended, Counter>,
    requests: Family<Asked, Histogram, MakeHistogram>,
    commits: Histogram,
    subscribers: Gauge,
    served: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let legs: MakeHistogram = || Histogram::new([5.0, 15.0, 60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0]);
        let requests: MakeHistogram = || Histogram::new(exponential_buckets(0.0005, 4.0, 9));
        let metrics = Self {
            registry: Arc::default(),
            hosts: Family::default(),
            overdue: Gauge::default(),
            outbox: Gauge::default(),
            outbox_age: Gauge::default(),
            time_in_leg: Family::new_with_constructor(legs),
            operations: Family::default(),
            requests: Family::new_with_constructor(requests),
            commits: Histogram::new(exponential_buckets(0.00025, 2.0, 14)),
            subscribers: Gauge::default(),
            served: Counter::default(),
        };
        Self { registry: Arc::new(metrics.registered()), ..metrics }
    }
}

impl Metrics {
    fn registered(&self) -> Registry {
        let mut registry = Registry::with_prefix("provisioning");
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build", "The version that runs", build);
        registry.register("hosts", "Hosts in each phase", self.hosts.clone());
        registry.register("legs_overdue", "Operations whose leg is past its deadline", self.overdue.clone());
        registry.register("outbox_depth", "Work that is owed", self.outbox.clone());
        let help = "How long the work that is owed longest has been due";
        registry.register_with_unit("outbox_age", help, Unit::Seconds, self.outbox_age.clone());
        let help = "How long operations stayed in each leg";
        registry.register_with_unit("time_in_leg", help, Unit::Seconds, self.time_in_leg.clone());
        registry.register("operations", "Operations that ended, by outcome and reason", self.operations.clone());
        let help = "How long requests took until their answer's head, by route";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.requests.clone());
        let help = "How long commits took, each with all that shared it";
        registry.register_with_unit("store_commit_duration", help, Unit::Seconds, self.commits.clone());
        registry.register("event_subscribers", "Open event streams", self.subscribers.clone());
        let help = "Bytes of boot artifacts that were handed to connections";
        registry.register_with_unit("artifacts_served", help, Unit::Bytes, self.served.clone());
        registry
    }

    /// What a store tells of its commits.
    pub fn on_commit(&self) -> Arc<dyn Fn(Duration) + Send + Sync> {
        let commits = self.commits.clone();
        Arc::new(move |took| commits.observe(took.as_secs_f64()))
    }

    /// Counts bytes of boot artifacts.
    pub fn served(&self, bytes: u64) {
        self.served.inc_by(bytes);
    }

    /// Counts a subscriber for as long as the result lives.
    pub fn subscriber(&self) -> Subscriber {
        self.subscribers.inc();
        Subscriber(self.subscribers.clone())
    }

    /// Counts what the journal tells from now on, for ever.
    pub async fn follow(self, orchestrator: Arc<Orchestrator>) {
        let mut entered = BTreeMap::new();
        let mut feed = loop {
            match orchestrator.store().last_seq().await {
                Ok(last) => break orchestrator.feed(last),
                Err(_) => tokio::time::sleep(AFTER_TROUBLE).await,
            }
        };
        loop {
            match feed.next().await {
                Ok(entries) => {
                    for entry in &entries {
                        self.note(entry, &mut entered);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "could not read the journal for the metrics, trying again");
                    tokio::time::sleep(AFTER_TROUBLE).await;
                }
            }
        }
    }

    fn note(&self, entry: &JournalEntry, entered: &mut BTreeMap<HostId, Timestamp>) {
        let (Some(host), Happening::Moved { event, from, to }) = (entry.host, &entry.what) else { return };
        if let Some(since) = entered.insert(host, entry.at) {
            let leg = OfPhase { phase: from.as_str() };
            self.time_in_leg.get_or_create(&leg).observe(entry.at.since(since).as_secs_f64());
        }
        let ended = match (to, event) {
            (Phase::Ready, _) => Ended { outcome: "ready", reason: String::new() },
            (Phase::Failed, EventKind::StepFailed { why, .. }) => failed(why.as_str()),
            (Phase::Failed, EventKind::Expired { .. }) => failed("deadline_passed"),
            (Phase::Failed, event) => failed(event.as_str()),
            _ => return,
        };
        entered.remove(&host);
        self.operations.get_or_create(&ended).inc();
    }

    /// Counts the rows.
    async fn count_rows(&self, app: &App) -> Result<(), StoreError> {
        let store = app.orchestrator.store();
        let now = app.orchestrator.now();
        let counts = store.count_by_phase().await?;
        for phase in Phase::ALL {
            let count = counts.get(&phase).copied().unwrap_or(0);
            self.hosts.get_or_create(&OfPhase { phase: phase.as_str() }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.overdue.set(number(store.overdue(now).await?.len()));
        let work = store.work().await?;
        self.outbox.set(number(work.len()));
        let oldest = work.iter().map(|work| work.due).min();
        self.outbox_age.set(oldest.map_or(0.0, |due| now.since(due).as_secs_f64()));
        Ok(())
    }
}

fn failed(reason: &str) -> Ended {
    Ended { outcome: "failed", reason: reason.to_owned() }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An open event stream.
#[derive(Debug)]
pub struct Subscriber(Gauge);

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Behind an operator's token like all that tells of hosts.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(scrape))
}

/// What is counted and measured, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "server", operation_id = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8")),
    security(("operator" = [])))]
async fn scrape(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    app.metrics.count_rows(&app).await?;
    let mut text = String::new();
    encode(&mut text, &app.metrics.registry).expect("a String takes everything");
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// Measures each request by the route it took; a path that is none of ours counts under one name, so that strangers
/// can not make up series.
pub(super) async fn measure(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let began = Instant::now();
    let response = next.run(request).await;
    let asked = Asked { method, route, status: response.status().as_u16() };
    metrics.requests.get_or_create(&asked).observe(began.elapsed().as_secs_f64());
    response
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::FailureReason;
    use provisioning_core::machine::JoinStep;
    use provisioning_core::ports::Source;

    use super::*;

    fn moved(seconds: i64, event: EventKind, from: Phase, to: Phase) -> JournalEntry {
        let at = Timestamp::from_millis(1_000_000 + seconds * 1000);
        let host = Some(HostId::new(Timestamp::from_millis(1), [1; 10]));
        let what = Happening::Moved { event, from, to };
        JournalEntry { seq: 1, at, host, operation: None, source: Source::Provisioning, what }
    }

    fn told(entries: &[JournalEntry]) -> String {
        let metrics = Metrics::default();
        let mut entered = BTreeMap::new();
        for entry in entries {
            metrics.note(entry, &mut entered);
        }
        let mut text = String::new();
        encode(&mut text, &metrics.registry).expect("a String takes everything");
        text
    }

    #[test]
    fn the_time_in_a_leg_runs_from_one_move_to_the_next() {
        let text = told(&[
            moved(0, EventKind::Started, Phase::Registered, Phase::PxeReady),
            moved(20, EventKind::BootScriptFetched, Phase::PxeReady, Phase::PxeBooted),
            moved(100, EventKind::AnswerFetched, Phase::PxeBooted, Phase::Installing),
        ]);
        assert!(text.contains("provisioning_time_in_leg_seconds_sum{phase=\"pxe_ready\"} 20.0"), "{text}");
        assert!(text.contains("provisioning_time_in_leg_seconds_sum{phase=\"pxe_booted\"} 80.0"), "{text}");
        assert!(
            text.contains("provisioning_time_in_leg_seconds_bucket{le=\"180.0\",phase=\"pxe_booted\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn an_operations_end_is_counted_by_its_reason() {
        let why = FailureReason::KeyStillOpens;
        let text = told(&[
            moved(0, EventKind::Expired { last_error: None }, Phase::Installing, Phase::Failed),
            moved(1, EventKind::StepFailed { step: JoinStep::RevokeKey, why }, Phase::Joining, Phase::Failed),
            moved(2, EventKind::StepDone { step: JoinStep::Register }, Phase::Joining, Phase::Ready),
        ]);
        for line in [
            "provisioning_operations_total{outcome=\"failed\",reason=\"deadline_passed\"} 1",
            "provisioning_operations_total{outcome=\"failed\",reason=\"key_still_opens\"} 1",
            "provisioning_operations_total{outcome=\"ready\",reason=\"\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
