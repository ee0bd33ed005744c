//! `GET /api/events`: the journal as JSON, page by page or held until there is news; as a stream to whoever asks so.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use provisioning_core::model::{HostId, OperationId};
use provisioning_core::ports::{JournalEntry, JournalQuery};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::body::Params;
use super::cursor::{PAGE, PAGE_MAX};
use super::listen::stopped;
use super::problem::Problem;
use super::schema::EntrySchema;
use super::segment::Segment;

/// The longest that a request is held, in seconds: shorter than the patience of proxies.
const WAIT_MAX: u64 = 30;
/// The largest place there can be: what is beyond is a mistake, not a later place.
const AFTER_MAX: u64 = i64::MAX as u64;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(events)).routes(routes!(of_host))
}

/// Entries of the journal.
#[derive(Serialize, ToSchema)]
struct EntryPage {
    /// The earliest first.
    #[schema(value_type = Vec<EntrySchema>)]
    entries: Vec<JournalEntry>,
    /// What to ask for next, as `after`: everything up to this place was looked at.
    next: u64,
    /// The journal has fewer entries than `after` says, since it is another database or an older one; or some behind
    /// `after` were dropped for their age. Load anew what you keep, then go on behind `next`.
    reset: bool,
}

/// Read the journal, and wait for news.
///
/// Ask again with `after` = `next` of the answer before: nothing is missed and nothing told twice. With `wait` an
/// answer without entries is held back until there is one or the time is over. With `Accept: text/event-stream`
/// the answer is an endless stream of server-sent events, the same as `GET /events`: each has its entry's `seq` as
/// its id and resumes by `Last-Event-ID`; `progress` events tell how far downloads have come.
#[utoipa::path(
    get, path = "/api/events", tag = "events", operation_id = "list_events",
    params(
        ("after" = Option<u64>, Query, description = "Only entries behind this place; 0, all, when absent", minimum = 0),
        ("host" = Option<String>, Query, description = "Only entries about this host, by id or name"),
        ("operation" = Option<String>, Query, description = "Only entries of this operation"),
        ("limit" = Option<u64>, Query, description = "Entries at most, 100 when absent", minimum = 1, maximum = 1000),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for an entry", minimum = 0, maximum = 30),
    ),
    responses((status = 200, description = "Entries, the earliest first", content(
        (EntryPage = "application/json"), (String = "text/event-stream")))),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host", "no-such-operation"]))),
)]
async fn events(State(app): State<Arc<App>>, headers: HeaderMap, mut params: Params) -> Result<Response, Problem> {
    if wants_stream(&headers) {
        return super::events::stream(&app, &headers, params).await;
    }
    let after = params.number("after", 0..=AFTER_MAX).unwrap_or(0);
    let host = params.text("host");
    let operation = params.text("operation");
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    let wait = Duration::from_secs(params.number("wait", 0..=WAIT_MAX).unwrap_or(0));
    params.finish()?;
    let host = match host {
        Some(host) => Some(app.host(&host).await?.host.id),
        None => None,
    };
    let operation = match operation {
        Some(operation) => Some(app.operation(&operation).await?.id),
        None => None,
    };
    Ok(Json(app.entries(Filter { host, operation, limit }, after, wait).await?).into_response())
}

/// Read a host's journal.
#[utoipa::path(
    get, path = "/api/hosts/{id}/journal", tag = "events", operation_id = "list_host_events",
    params(
        ("id" = String, Path, description = "The host's id or name"),
        ("after" = Option<u64>, Query, description = "Only entries behind this place; 0, all, when absent", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Entries at most, 100 when absent", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "Entries, the earliest first", body = EntryPage)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host"]))),
)]
async fn of_host(State(app): State<Arc<App>>, Segment(host): Segment, mut params: Params) -> Result<Response, Problem> {
    let after = params.number("after", 0..=AFTER_MAX).unwrap_or(0);
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    params.finish()?;
    let host = Some(app.host(&host).await?.host.id);
    Ok(Json(app.entries(Filter { host, operation: None, limit }, after, Duration::ZERO).await?).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

struct Filter {
    host: Option<HostId>,
    operation: Option<OperationId>,
    limit: usize,
}

impl App {
    async fn entries(&self, filter: Filter, after: u64, wait: Duration) -> Result<EntryPage, Problem> {
        let Filter { host, operation, limit } = filter;
        let store = self.orchestrator.store();
        let until = Instant::now() + wait;
        let mut after = after;
        loop {
            // Read before the entries: each of them up to here is then among them.
            let seen = store.last_seq().await?;
            // At 0 nothing was read yet, and so nothing was missed.
            let is_behind = after > 0 && after < store.pruned_to().await?;
            if after > seen || is_behind {
                return Ok(EntryPage { entries: vec![], next: seen, reset: true });
            }
            let entries = store.journal(&JournalQuery { host, operation, ..JournalQuery::after(after, limit) }).await?;
            let last = entries.last().map(|entry| entry.seq);
            if let Some(last) = last {
                let next = if entries.len() == limit { last } else { last.max(seen) };
                return Ok(EntryPage { entries, next, reset: false });
            }
            after = seen;
            let mut feed = self.orchestrator.feed(seen);
            let is_news = tokio::select! {
                biased;
                () = stopped(self.stopping.clone()) => false,
                news = timeout_at(until, feed.next()) => matches!(news, Ok(Ok(_))),
            };
            if !is_news {
                return Ok(EntryPage { entries: vec![], next: seen, reset: false });
            }
        }
    }
}
