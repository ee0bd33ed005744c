//! Operations, for operators: what was tried with a host, step by step, and what it left to look at.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use provisioning_core::model::{Operation, OperationId};
use provisioning_core::ports::{JournalEntry, JournalQuery, StoreError};
use serde_json::{Value, json};

use super::App;
use super::problem::{Kind, Problem};
use super::view::OperationView;

/// Journal entries of one operation that are looked at; the steps of a life are a few dozen.
const ENTRIES_MAX: usize = 2000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/hosts/{id}/operations", get(of_host)).route("/api/operations/{id}", get(show))
}

async fn of_host(State(app): State<Arc<App>>, Path(host): Path<String>) -> Result<Json<Value>, Problem> {
    let record = app.host(&host).await?;
    let operations = app.orchestrator.store().operations_of(record.host.id).await?;
    let mut views = vec![];
    for operation in &operations {
        views.push(OperationView::new(operation, &journal(&app, operation).await?, None));
    }
    Ok(Json(json!({ "operations": views })))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<OperationView>, Problem> {
    let store = app.orchestrator.store();
    let operation = match id.parse::<OperationId>() {
        Ok(id) => store.operation(id).await?,
        Err(_) => None,
    };
    let shown = super::problem::shortened(&id);
    let operation =
        operation.ok_or_else(|| Problem::new(Kind::NoSuchOperation, format!("no operation has the id {shown}")))?;
    let artefacts = store.artefacts(operation.id).await?;
    Ok(Json(OperationView::new(&operation, &journal(&app, &operation).await?, Some(artefacts))))
}

async fn journal(app: &App, operation: &Operation) -> Result<Vec<JournalEntry>, StoreError> {
    app.orchestrator.store().journal(&JournalQuery::of_operation(operation.id, ENTRIES_MAX)).await
}
