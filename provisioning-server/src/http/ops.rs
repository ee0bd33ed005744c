//! For operators' tools: is it alive, can it serve, which hardware classes are in force.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::{Kind, Problem};
use super::view::ServerTypeView;

pub(super) fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready))
}

pub(super) fn operators_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(server_types))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "server", operation_id = "alive",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
async fn alive() -> &'static str {
    "ok\n"
}

/// Whether the server can serve: its store answers, and it is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "server", operation_id = "ready",
    responses((status = 200, description = "It can", body = String, content_type = "text/plain")),
    extensions(("x-problems" = json!(["try-later", "internal"]))))]
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if *app.stopping.borrow() {
        return Err(Problem::new(Kind::TryLater, "the server is stopping").retry_after(5));
    }
    app.orchestrator.store().last_seq().await?;
    if let Some(trouble) = app.boot_server.trouble() {
        let problem = Problem::new(Kind::TryLater, format!("netbooting machines are not answered: {trouble}"));
        return Err(problem.retry_after(5));
    }
    Ok("ready\n")
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
