//! `/metrics` in the OpenMetrics text format: what an operator's alerts and graphs are made of.
//!
//! | file | what stands there |
//! |---|---|
//! | `rows` | what is counted when it is asked for: rows, files, slots, the boot server |
//! | `journal` | what the journal tells, from the start of the process on |
//! | `process` | what the process takes of the machine |
//! | `labels` | the labels, and why there are only so many of each |
//!
//! `docs/metrics.md` says what each means and which alerts go with it; a test holds the two together.

mod journal;
mod labels;
mod process;
mod rows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use provisioning_core::orchestrator::Orchestrator;
use tracing::Instrument as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use rows::Surroundings;

use super::App;
use super::auth::Peer;
use super::downloads::Part;
use super::problem::{Kind, Problem};
use super::request_span::{log_answer, request_span};
use crate::notify::{Delivery, Observer};
use labels::{Asked, AtDoor, Build, Delivered, OfPart};

/// The content type that Prometheus asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// From which sources the program was built, as the build told.
const COMMIT: &str = match option_env!("PROVISIONING_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

type MakeHistogram = fn() -> Histogram;

/// All figures of a server. Cheap to clone, which is done for each request.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Figures>);

#[derive(Debug)]
struct Figures {
    registry: Registry,
    rows: rows::Rows,
    journal: journal::Journal,
    process: process::Process,
    requests: Family<Asked, Histogram, MakeHistogram>,
    commits: Histogram,
    subscribers: Gauge,
    served: Family<OfPart, Counter>,
    deliveries: Family<Delivered, Counter>,
    login_failures: Family<AtDoor, Counter>,
}

impl Default for Figures {
    fn default() -> Self {
        let requests: MakeHistogram = || Histogram::new(exponential_buckets(0.0005, 4.0, 9));
        let mut figures = Self {
            registry: Registry::default(),
            rows: rows::Rows::default(),
            journal: journal::Journal::default(),
            process: process::Process::default(),
            requests: Family::new_with_constructor(requests),
            commits: Histogram::new(exponential_buckets(0.00025, 2.0, 14)),
            subscribers: Gauge::default(),
            served: Family::default(),
            deliveries: Family::default(),
            login_failures: Family::default(),
        };
        // What can be counted is there from the start, as 0: a rate misses the first of what was not.
        for part in [Part::Kernel, Part::Initrd, Part::Iso] {
            drop(figures.served.get_or_create(&OfPart { part: part.as_str() }));
        }
        for door in [Door::Login, Door::Token] {
            drop(figures.login_failures.get_or_create(&AtDoor { door: door.as_str() }));
        }
        figures.registry = figures.registered();
        figures
    }
}

impl Figures {
    fn registered(&self) -> Registry {
        let mut root = Registry::default();
        self.process.register(&mut root);
        let registry = root.sub_registry_with_prefix("provisioning");
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), commit: COMMIT }).set(1);
        registry.register("build_info", "The version that runs, always 1", build);
        self.rows.register(registry);
        self.journal.register(registry);
        let help = "How long requests took until their answer's head, by route";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.requests.clone());
        let help = "How long commits took, each with all that shared it";
        registry.register_with_unit("store_commit_duration", help, Unit::Seconds, self.commits.clone());
        registry.register("event_subscribers", "Open event streams", self.subscribers.clone());
        let help = "Bytes of boot artifacts that were handed to connections";
        registry.register_with_unit("artifacts_served", help, Unit::Bytes, self.served.clone());
        let help = "Tries to tell a webhook of an event, by what came of them";
        registry.register("webhook_deliveries", help, self.deliveries.clone());
        let help = "Logins and requests with a token or password that is none";
        registry.register("login_failures", help, self.login_failures.clone());
        root
    }
}

impl Metrics {
    /// Tells where the database stands and which certificate is shown; the first word counts.
    pub fn look_at(&self, surroundings: Surroundings) {
        self.0.rows.look_at(surroundings);
    }

    /// What a store tells of its commits.
    pub fn on_commit(&self) -> Arc<dyn Fn(Duration) + Send + Sync> {
        let commits = self.0.commits.clone();
        Arc::new(move |took| commits.observe(took.as_secs_f64()))
    }

    /// What is told of the tries to tell webhooks of events; the targets are known from the start.
    pub fn on_delivery<'a>(&self, targets: impl Iterator<Item = &'a str>) -> Observer {
        let deliveries = self.0.deliveries.clone();
        let of = |target: &str, outcome: Delivery| Delivered { target: target.to_owned(), outcome: outcome.as_str() };
        for target in targets {
            for outcome in [Delivery::Taken, Delivery::Failed, Delivery::Dropped] {
                drop(deliveries.get_or_create(&of(target, outcome)));
            }
        }
        Arc::new(move |target, outcome| {
            deliveries.get_or_create(&of(target, outcome)).inc();
        })
    }

    /// Counts bytes of boot artifacts.
    pub fn served(&self, part: Part, bytes: u64) {
        self.0.served.get_or_create(&OfPart { part: part.as_str() }).inc_by(bytes);
    }

    /// Counts a refusal if it is one of a token or password.
    pub(super) fn refused(&self, door: Door, why: Kind) {
        if matches!(why, Kind::WrongToken | Kind::ExpiredToken | Kind::RevokedToken | Kind::TooManyTries) {
            self.0.login_failures.get_or_create(&AtDoor { door: door.as_str() }).inc();
        }
    }

    /// Counts a subscriber for as long as the result lives.
    pub fn subscriber(&self) -> Subscriber {
        self.0.subscribers.inc();
        Subscriber(self.0.subscribers.clone())
    }

    /// Counts what the journal tells from now on, for ever.
    pub async fn follow(self, orchestrator: Arc<Orchestrator>) {
        self.0.journal.clone().follow(orchestrator).await;
    }

    fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("a String takes everything");
        text
    }
}

/// Where somebody showed what opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// At the login.
    Login,
    /// With a request.
    Token,
}

impl Door {
    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Token => "token",
        }
    }
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
    app.metrics.0.rows.count(&app).await?;
    app.metrics.0.process.measure();
    let headers = [(header::CONTENT_TYPE, OPEN_METRICS), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, app.metrics.text()).into_response())
}

/// Measures each request by the route it took, and says in the log what belongs to it. A path that is none of ours goes
/// under one name, so that strangers can not make up series.
pub(super) async fn measure(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };
    let client = request.extensions().get::<Peer>().and_then(|peer| peer.ip());
    let span = request_span(method, &route, client);
    let began = Instant::now();
    let answering = async {
        let response = next.run(request).await;
        log_answer(response.status(), began.elapsed());
        response
    };
    let response = answering.instrument(span).await;
    let asked = Asked { method, route, status: response.status().as_u16() };
    metrics.0.requests.get_or_create(&asked).observe(began.elapsed().as_secs_f64());
    response
}

#[cfg(test)]
mod tests;
