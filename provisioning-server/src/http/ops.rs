//! For operators' tools: is it alive, can it serve, which hardware classes are in force.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::health::Report;
use super::problem::{Kind, Problem};
use super::view::ServerTypeView;

/// When to look again, in seconds.
const RETRY_AFTER: &str = "5";

pub(super) fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready))
}

pub(super) fn operators_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(server_types))
}

/// Whether the process lives: it answers, and the loop that looks after deadlines and work turns. Restart it when not.
#[utoipa::path(get, path = "/healthz", tag = "server", operation_id = "alive",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
    extensions(("x-problems" = json!(["try-later"]))))]
async fn alive(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if *app.stopping.borrow() || app.health.is_alive(&app).await {
        return Ok("ok\n");
    }
    let problem = Problem::new(Kind::TryLater, "the orchestrator makes no turn");
    Err(problem.advise("see the server's log, and restart it: nothing is lost by that").retry_after(5))
}

/// Whether the server can do its work, and what keeps it from it. Names and states are told to everybody, details and
/// advice to operators. A warning is no reason to be not ready.
#[utoipa::path(get, path = "/readyz", tag = "server", operation_id = "ready",
    responses((status = 200, description = "It can", body = Report),
        (status = 503, description = "It cannot: a check has failed", body = Report, headers(("Retry-After" = i32)))))]
async fn ready(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let report = app.health.report(&app).await;
    let (report, cookie) = match app.operators.admit(&parts) {
        Ok(admitted) => (report, admitted.cookie),
        Err(_) => (report.for_strangers(), None),
    };
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (status, Json(report)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The hardware classes in force.
#[derive(Serialize, ToSchema)]
struct ServerTypes<'a> {
    /// By key.
    server_types: Vec<ServerTypeView<'a>>,
    /// What is wrong with the last edit of server-types.yaml; the classes before it stay in force.
    faults: Vec<String>,
}

/// List the hardware classes in force, and what is wrong with the last edit of their file.
#[utoipa::path(get, path = "/api/server-types", tag = "server", operation_id = "list_server_types",
    responses((status = 200, description = "The classes", body = ServerTypes<'static>)),
    security(("operator" = [])))]
async fn server_types(State(app): State<Arc<App>>) -> Response {
    let types = app.orchestrator.server_types();
    let server_types = types.values().map(ServerTypeView::new).collect();
    let faults = app.server_type_faults.read().unwrap_or_else(PoisonError::into_inner).clone();
    Json(ServerTypes { server_types, faults }).into_response()
}
