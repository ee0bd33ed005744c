//! `/events`: the journal as server-sent events, and how far downloads have come.
//!
//! An event's id is its journal entry's place: a reader that comes back with `Last-Event-ID` misses nothing, a
//! restart of the server included. `progress` events, and the `fleet` events that `?fleet=true` adds (how many hosts
//! are in each phase, and what is wrong with the configuration), have no id and are not repeated.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use provisioning_core::model::OperationId;
use provisioning_core::orchestrator::Feed;
use provisioning_core::ports::JournalEntry;
use serde_json::json;

use super::App;
use super::body::Params;
use super::downloads::{Download, Downloads};
use super::listen::stopped;
use super::problem::Problem;

/// How often downloads are looked at.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// After so many looks without news a comment is sent, so that dead connections are noticed: 15 s.
const QUIET_LOOKS: u32 = 30;
/// How long until a store that did not answer is asked again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/events", get(events))
}

async fn events(State(app): State<Arc<App>>, headers: HeaderMap, params: Params) -> Result<Response, Problem> {
    stream(&app, &headers, params).await
}

/// Without `Last-Event-ID` or `?after=` it begins with what happens next.
pub(super) async fn stream(app: &Arc<App>, headers: &HeaderMap, mut params: Params) -> Result<Response, Problem> {
    let after = params.number("after", 0..=u64::MAX);
    let with_fleet = params.truth("fleet").unwrap_or(false);
    params.finish()?;
    let seen = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let last = app.orchestrator.store().last_seq().await?;
    let after = seen.or(after).unwrap_or(last);
    // A reader that has seen more than there is followed another database, and one that has seen less than is kept has
    // missed something: both must load everything anew.
    let is_behind = after > 0 && after < app.orchestrator.store().pruned_to().await?;
    let hello = if after > last || is_behind { "retry: 2000\nevent: reset\ndata: {}\n\n" } else { "retry: 2000\n\n" };
    let feed = app.orchestrator.feed(after.min(last));
    let subscriber = app.metrics.subscriber();
    let summaries = if with_fleet { fleet(Arc::clone(app)).left_stream() } else { stream::pending().right_stream() };
    let frames = stream::select(stream::select(journal(feed), progress(app.downloads.clone())), summaries);
    let frames = stream::once(async move { Bytes::from_static(hello.as_bytes()) }).chain(frames);
    let frames = frames.inspect(move |_| {
        let _open = &subscriber;
    });
    let body = Body::from_stream(frames.take_until(Box::pin(stopped(app.stopping.clone()))).map(Ok::<_, Infallible>));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn journal(feed: Feed) -> impl Stream<Item = Bytes> + Send + use<> {
    stream::unfold(feed, |mut feed| async move {
        loop {
            match feed.next().await {
                Ok(entries) => return Some((frames(&entries), feed)),
                Err(error) => {
                    tracing::warn!(%error, "could not read the journal for a subscriber, trying again");
                    tokio::time::sleep(AFTER_TROUBLE).await;
                }
            }
        }
    })
}

/// Several entries in one piece: one write for the connection.
fn frames(entries: &[JournalEntry]) -> Bytes {
    let mut text = String::new();
    for entry in entries {
        let data = serde_json::to_string(entry).expect("journal entries are JSON");
        write!(text, "id: {}\ndata: {data}\n\n", entry.seq).expect("a String takes everything");
    }
    text.into()
}

/// How the fleet stands: at once, then with each change.
fn fleet(app: Arc<App>) -> impl Stream<Item = Bytes> + Send + use<> {
    let watch = app.board.watch();
    stream::unfold((app, watch, None), |(app, mut watch, told)| async move {
        loop {
            let summary = if told.is_none() {
                app.board.summary(app.orchestrator.store()).await
            } else {
                watch.changed().await.ok()?;
                Ok(watch.borrow_and_update().clone())
            };
            match summary {
                Ok(summary) if told.as_ref() != Some(&summary) => {
                    let frame = Bytes::from(format!("event: fleet\ndata: {}\n\n", summary.to_json()));
                    return Some((frame, (app, watch, Some(summary))));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "could not count the hosts for a subscriber, trying again");
                    tokio::time::sleep(AFTER_TROUBLE).await;
                }
            }
        }
    })
}

/// What a subscriber has been told of downloads.
struct Told {
    downloads: Downloads,
    generation: u64,
    known: BTreeMap<OperationId, Download>,
    quiet: u32,
}

fn progress(downloads: Downloads) -> impl Stream<Item = Bytes> + Send + use<> {
    let told = Told { known: downloads.all(), generation: downloads.generation(), downloads, quiet: 0 };
    stream::unfold(told, |mut told| async move {
        loop {
            tokio::time::sleep(PROGRESS_EVERY).await;
            if let Some(frame) = told.news() {
                return Some((frame, told));
            }
        }
    })
}

impl Told {
    fn news(&mut self) -> Option<Bytes> {
        let generation = self.downloads.generation();
        if generation == self.generation {
            self.quiet += 1;
            if self.quiet < QUIET_LOOKS {
                return None;
            }
            self.quiet = 0;
            return Some(Bytes::from_static(b": still here\n\n"));
        }
        (self.generation, self.quiet) = (generation, 0);
        let now = self.downloads.all();
        let mut text = String::new();
        for (operation, download) in now.iter().filter(|(operation, now)| self.known.get(operation) != Some(now)) {
            let data = json!({ "operation": operation.to_string(), "bytes": download.bytes, "total": download.total });
            write!(text, "event: progress\ndata: {data}\n\n").expect("a String takes everything");
        }
        self.known = now;
        (!text.is_empty()).then(|| text.into())
    }
}
