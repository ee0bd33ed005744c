//! Operations, for operators: what was tried with a host, step by step, and what it left to look at.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use provisioning_core::model::{Operation, OperationId};
use provisioning_core::ports::{JournalEntry, JournalQuery, StoreError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::body::Params;
use super::cursor::{Cursor, PAGE, PAGE_MAX, cut, page};
use super::problem::{Kind, Problem};
use super::segment::Segment;
use super::view::OperationView;

/// Journal entries of one operation that are looked at; the steps of a life are a few dozen.
const ENTRIES_MAX: usize = 2000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(of_host)).routes(routes!(show))
}

/// A page of a host's operations.
#[derive(Serialize, ToSchema)]
struct OperationPage {
    /// The latest first, without their artefacts.
    operations: Vec<OperationView>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// List a host's operations, the latest first.
#[utoipa::path(
    get, path = "/api/hosts/{id}/operations", tag = "operations", operation_id = "list_operations",
    params(
        ("id" = String, Path, description = "The host's id or name"),
        ("outcome" = Option<super::view::OutcomeName>, Query, description = "Only operations with this outcome"),
        ("limit" = Option<u64>, Query, description = "Operations on a page, 100 when absent", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, as it is"),
    ),
    responses((status = 200, description = "A page of operations", body = OperationPage,
        headers(("Link" = Option<String>, description = "The next page, `rel=\"next\"`")))),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host"]))),
)]
async fn of_host(
    State(app): State<Arc<App>>,
    Segment(host): Segment,
    uri: Uri,
    mut params: Params,
) -> Result<Response, Problem> {
    let outcome = params.word("outcome", &OperationView::OUTCOMES.map(|outcome| (outcome, outcome)));
    let after = params.parsed::<Cursor<OperationId>>("cursor").map(|Cursor(id)| id);
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    params.finish()?;
    let record = app.host(&host).await?;
    let mut operations = app.orchestrator.store().operations_of(record.host.id).await?;
    // Ids hold the time they were made at, so that they order operations as the store does.
    operations.retain(|operation| after.is_none_or(|after| operation.id < after));
    let mut views = vec![];
    for operation in &operations {
        let view = OperationView::new(operation, &journal(&app, operation).await?, None);
        if outcome.is_none_or(|outcome| view.outcome() == outcome) {
            views.push((operation.id, view));
        }
        if views.len() > limit {
            break;
        }
    }
    let next = cut(&mut views, limit, |(id, _)| *id);
    let operations = views.into_iter().map(|(_, view)| view).collect();
    Ok(page(&uri, next.clone().as_deref(), &OperationPage { operations, next }))
}

/// Read an operation with its steps and artefacts.
#[utoipa::path(
    get, path = "/api/operations/{id}", tag = "operations", operation_id = "show_operation",
    params(("id" = String, Path, description = "The operation's id")),
    responses((status = 200, description = "The operation; secrets in its artefacts are masked", body = OperationView)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-operation"]))),
)]
async fn show(State(app): State<Arc<App>>, Segment(id): Segment) -> Result<Json<OperationView>, Problem> {
    let operation = app.operation(&id).await?;
    let artefacts = app.orchestrator.store().artefacts(operation.id).await?;
    Ok(Json(OperationView::new(&operation, &journal(&app, &operation).await?, Some(artefacts))))
}

async fn journal(app: &App, operation: &Operation) -> Result<Vec<JournalEntry>, StoreError> {
    app.orchestrator.store().journal(&JournalQuery::of_operation(operation.id, ENTRIES_MAX)).await
}

impl App {
    /// An operation by id.
    ///
    /// # Errors
    /// `NoSuchOperation`, and what the store says.
    pub async fn operation(&self, id: &str) -> Result<Operation, Problem> {
        let found = match id.parse::<OperationId>() {
            Ok(id) => self.orchestrator.store().operation(id).await?,
            Err(_) => None,
        };
        let shown = super::problem::shortened(id);
        found.ok_or_else(|| Problem::new(Kind::NoSuchOperation, format!("no operation has the id {shown}")))
    }
}
