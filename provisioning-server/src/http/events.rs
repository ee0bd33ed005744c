//! `/events`: the journal as server-sent events, and how far downloads have come.
//!
//! An event's id is its journal entry's place: a reader that comes back with `Last-Event-ID` misses nothing, a
//! restart of the server included. `progress` events, and the `fleet` events that `?fleet=true` adds (how many hosts
//! are in each phase, and what is wrong with the configuration), have no id and are not repeated.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use provisioning_core::ports::{JournalEntry, JournalQuery, StoreError};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use super::App;
use super::body::Params;
use super::hub::{AFTER_TROUBLE, FULL_READ, FleetReader, Piece, Taken, fleet_frame, write_frames, write_progress};
use super::metrics::Subscriber;
use super::problem::Problem;

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
    let reader = Reader::new(app, after.min(last), with_fleet);
    let frames = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
    let frames = stream::once(async move { Bytes::from_static(hello.as_bytes()) }).chain(frames);
    let body = Body::from_stream(frames.map(Ok::<_, Infallible>));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A subscriber: sent the hub's pieces as they are for as long as each continues the one before, and what it has
/// missed from the journal.
struct Reader {
    app: Arc<App>,
    pieces: broadcast::Receiver<Piece>,
    /// The journal was told up to here.
    seen: u64,
    /// And must be read up to here.
    wanted: u64,
    fleet: Option<FleetReader>,
    owes_fleet: bool,
    owes_progress: bool,
    _counted: Subscriber,
}

impl Reader {
    fn new(app: &Arc<App>, seen: u64, with_fleet: bool) -> Self {
        let (pieces, wanted) = app.hub.subscribe();
        let fleet = with_fleet.then(|| app.hub.read_fleet());
        let (app, counted) = (Arc::clone(app), app.metrics.subscriber());
        Self { app, pieces, seen, wanted, fleet, owes_fleet: with_fleet, owes_progress: false, _counted: counted }
    }

    /// What to send next; `None` when there will be nothing any more, since the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.pieces.is_closed() {
                return None;
            }
            match self.owed().await {
                Ok(Some(bytes)) => return Some(bytes),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "could not read the store for a subscriber, trying again");
                    sleep(AFTER_TROUBLE).await;
                    continue;
                }
            }
            match self.pieces.recv().await {
                Ok(piece) => {
                    if let Some(bytes) = self.take(&piece) {
                        return Some(bytes);
                    }
                }
                // It was slow: the next piece shows how much of the journal it has missed. What has no place in the
                // journal is told anew as it stands now.
                Err(RecvError::Lagged(_)) => {
                    self.owes_fleet = self.fleet.is_some();
                    self.owes_progress = true;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn take(&mut self, piece: &Piece) -> Option<Bytes> {
        let bytes = match piece.for_one_at(self.seen, self.fleet.is_some()) {
            Taken::Told { bytes, upto } => {
                self.seen = upto;
                bytes
            }
            Taken::Gap { bytes, upto } => {
                self.wanted = upto;
                bytes
            }
        };
        (!bytes.is_empty()).then_some(bytes)
    }

    /// What it should have been told before.
    async fn owed(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut text = String::new();
        if self.owes_fleet {
            text.push_str(&fleet_frame(&self.app.board.summary(self.app.orchestrator.store()).await?));
            self.owes_fleet = false;
        }
        if self.owes_progress {
            for (operation, download) in self.app.downloads.all() {
                write_progress(&mut text, operation, download);
            }
            self.owes_progress = false;
        }
        if self.seen < self.wanted {
            // The fleet's frame, if there is one, must not be lost for trouble with this.
            match self.read().await {
                Ok(entries) => write_frames(&mut text, &entries),
                Err(error) if text.is_empty() => return Err(error),
                Err(error) => tracing::warn!(%error, "could not read the journal for a subscriber, trying again"),
            }
        }
        Ok((!text.is_empty()).then(|| text.into()))
    }

    /// The next entries up to the wanted place, to which no piece has to be added.
    async fn read(&mut self) -> Result<Vec<JournalEntry>, StoreError> {
        let before = Some(self.wanted.saturating_add(1));
        let query = JournalQuery { before, ..JournalQuery::after(self.seen, FULL_READ) };
        let entries = self.app.orchestrator.store().journal(&query).await?;
        self.seen = match entries.last() {
            Some(last) if entries.len() >= FULL_READ => last.seq,
            _ => self.wanted,
        };
        Ok(entries)
    }
}
