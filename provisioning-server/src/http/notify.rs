//! Webhooks out, for operators: how each target is doing, and a message to try it with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use provisioning_core::model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::body::Fields;
use super::problem::{Kind, Problem};
use super::schema::Time;
use crate::notify::TargetReport;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(test))
}

/// All targets.
#[derive(Serialize, ToSchema)]
struct TargetList {
    /// In the order of the configuration.
    targets: Vec<TargetView>,
}

/// A service that is told of events.
#[derive(Serialize, ToSchema)]
struct TargetView {
    /// Its name in the configuration.
    name: String,
    /// Scheme, host and port of its address; the rest may be a secret.
    origin: String,
    /// Which events it is told of.
    events: Vec<&'static str>,
    /// Events that wait for it, among the next 1000 journal entries.
    backlog: usize,
    /// When it took an event last, since the server was started.
    #[schema(value_type = Option<Time>)]
    last_success_at: Option<Timestamp>,
    /// When it last did not, since the server was started.
    #[schema(value_type = Option<Time>)]
    last_error_at: Option<Timestamp>,
    /// Why it did not.
    last_error: Option<String>,
    /// How often the next event was tried in vain.
    attempts: u32,
    /// When it is tried next, if it was tried in vain.
    #[schema(value_type = Option<Time>)]
    next_try_at: Option<Timestamp>,
    /// Events that were given up on, since the server was started.
    dropped: u64,
}

impl From<TargetReport> for TargetView {
    fn from(report: TargetReport) -> Self {
        let TargetReport { name, origin, events, status, backlog } = report;
        let (last_error_at, last_error) = status.last_error.unzip();
        Self {
            name,
            origin,
            events: events.into_iter().map(crate::notify::EventName::as_str).collect(),
            backlog,
            last_success_at: status.last_success_at,
            last_error_at,
            last_error,
            attempts: status.attempts,
            next_try_at: status.next_try_at,
            dropped: status.dropped,
        }
    }
}

/// Whom to try.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
struct TestBody {
    /// The target's name; all of them when absent.
    target: Option<String>,
}

/// What became of test messages.
#[derive(Serialize, ToSchema)]
struct TestResults {
    /// One for each target that was tried.
    results: Vec<TestResult>,
}

/// What became of a test message.
#[derive(Serialize, ToSchema)]
struct TestResult {
    /// The target's name.
    target: String,
    /// Whether it took the message.
    delivered: bool,
    /// The status code that it took it with.
    status: Option<u16>,
    /// Why it did not.
    error: Option<String>,
}

/// List the services that are told of events, and how they are doing.
#[utoipa::path(get, path = "/api/notify", tag = "notify", operation_id = "list_notify_targets",
    responses((status = 200, description = "All targets", body = TargetList)),
    security(("operator" = [])))]
async fn list(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let targets = app.notify.report(&app.orchestrator).await?.into_iter().map(TargetView::from).collect();
    Ok(Json(TargetList { targets }).into_response())
}

/// Send a test message, once, to one target or to all.
#[utoipa::path(post, path = "/api/notify/test", tag = "notify", operation_id = "test_notify_targets",
    request_body = Option<TestBody>,
    responses((status = 200, description = "What became of it, also when a target did not take it", body = TestResults)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-target"]))))]
async fn test(State(app): State<Arc<App>>, mut fields: Fields) -> Result<Response, Problem> {
    let target = fields.text("target");
    fields.finish()?;
    let known: Vec<&str> = app.notify.names().collect();
    if let Some(target) = target.as_deref().filter(|target| !known.contains(target)) {
        let allowed = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
        return Err(Problem::new(Kind::NoSuchTarget, "no notify target has this name")
            .at("target", target, allowed)
            .advise("targets stand under notify in the configuration"));
    }
    let wanted = known.into_iter().filter(|name| target.as_deref().is_none_or(|target| target == *name));
    let tries = wanted.map(|name| async {
        let outcome = app.notify.test(name, &app.orchestrator).await?;
        let (status, error) = match outcome {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Some(TestResult { target: name.to_owned(), delivered: error.is_none(), status, error })
    });
    let results = futures_util::future::join_all(tries).await.into_iter().flatten().collect();
    Ok(Json(TestResults { results }).into_response())
}
