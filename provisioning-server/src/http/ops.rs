//! For operators' tools: is it alive, can it serve, which hardware classes are in force.

use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::App;
use super::problem::{Kind, Problem};
use super::view::ServerTypeView;

pub(super) fn public_routes() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

pub(super) fn operators_routes() -> Router<Arc<App>> {
    Router::new().route("/api/server-types", get(server_types))
}

async fn alive() -> &'static str {
    "ok\n"
}

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

async fn server_types(State(app): State<Arc<App>>) -> Json<Value> {
    let types = app.orchestrator.server_types();
    let views: Vec<ServerTypeView<'_>> = types.values().map(ServerTypeView::new).collect();
    let faults = app.server_type_faults.read().unwrap_or_else(PoisonError::into_inner).clone();
    Json(json!({ "server_types": views, "faults": faults }))
}
