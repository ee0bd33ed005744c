//! One reader of the journal for all event streams: each entry is read and encoded once, however many pages are open.
//!
//! What happens within 50 ms (80 ms for hundreds of subscribers) is told in one piece, which every subscriber is sent
//! as it is: one write each. Nothing depends on a subscriber getting every piece: each knows the journal's place up to
//! which it was told, and reads for itself what a piece does not continue.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use provisioning_core::model::OperationId;
use provisioning_core::ports::JournalEntry;
use serde_json::json;
use tokio::sync::{broadcast, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::App;
use super::downloads::{Download, Downloads};
use crate::web::board::Summary;

/// What happens within this time is told together: people do not see the difference, and a write for each entry and
/// subscriber would be what a server with many open pages does most (`docs/performance.md`).
const GATHERED: Duration = Duration::from_millis(50);
/// The same for a crowd of subscribers, to whom a piece takes longer to write than to wait for.
const GATHERED_FOR_CROWD: Duration = Duration::from_millis(80);
/// So many are a crowd.
const CROWD: usize = 500;
/// A read of so many entries has more behind it.
pub(super) const FULL_READ: usize = 256;
/// Pieces that are kept for subscribers that are slow to take them: three seconds at the busiest. Slower ones read
/// the journal themselves.
const KEPT_MAX: usize = 64;
/// How often downloads are looked at.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// After so many looks without news a comment is sent, so that dead connections are noticed: 15 s.
const QUIET_LOOKS: u32 = 30;
/// How long until a store that did not answer is asked again.
pub(super) const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// What all subscribers are told in one piece.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The journal's place behind which this piece goes on.
    after: u64,
    /// The journal's place up to which it tells.
    upto: u64,
    /// Frames: first the journal's, then those of downloads, then those of the fleet.
    bytes: Bytes,
    journal_end: usize,
    fleet_begin: usize,
}

/// What a subscriber makes of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It continues what was told before: send this, which may be nothing; the journal is told up to `upto`.
    Told {
        /// Frames.
        bytes: Bytes,
        /// The new place.
        upto: u64,
    },
    /// Entries before it were not told: read the journal up to `upto`, and send this as well.
    Gap {
        /// Frames that are not the journal's.
        bytes: Bytes,
        /// Where the journal is to be read to.
        upto: u64,
    },
}

impl Piece {
    /// What is in it for a subscriber that was told the journal up to `seen`.
    pub(super) fn for_one_at(&self, seen: u64, with_fleet: bool) -> Taken {
        let end = if with_fleet { self.bytes.len() } else { self.fleet_begin };
        if self.after == seen {
            return Taken::Told { bytes: self.bytes.slice(..end), upto: self.upto };
        }
        let bytes = self.bytes.slice(self.journal_end..end);
        if self.upto <= seen { Taken::Told { bytes, upto: seen } } else { Taken::Gap { bytes, upto: self.upto } }
    }
}

/// See the file's first line.
#[derive(Debug)]
pub struct Hub {
    /// `None` once it is closed.
    pieces: RwLock<Option<broadcast::Sender<Piece>>>,
    /// The journal's place up to which pieces were made.
    told: AtomicU64,
    /// How many subscribers want to know how the fleet stands: without any it is not counted.
    fleet_readers: Arc<AtomicUsize>,
}

/// A subscriber's wish to know how the fleet stands, for as long as it lives.
#[derive(Debug)]
pub(super) struct FleetReader(Arc<AtomicUsize>);

impl Drop for FleetReader {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Hub {
    fn default() -> Self {
        let (pieces, _) = broadcast::channel(KEPT_MAX);
        Self { pieces: RwLock::new(Some(pieces)), told: AtomicU64::new(0), fleet_readers: Arc::default() }
    }
}

impl Hub {
    /// All pieces from now on, and the place up to which pieces were made before: what lies behind a subscriber's own
    /// place and not behind that one is in no piece that it will get.
    pub(super) fn subscribe(&self) -> (broadcast::Receiver<Piece>, u64) {
        // In this order: a piece that is made in between is both counted and received.
        let pieces = match &*self.pieces() {
            Some(pieces) => pieces.subscribe(),
            None => broadcast::channel(1).1,
        };
        (pieces, self.told.load(Ordering::Acquire))
    }

    /// Ends all subscriptions, and those to come: the server stops.
    pub fn close(&self) {
        *self.pieces.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn pieces(&self) -> RwLockReadGuard<'_, Option<broadcast::Sender<Piece>>> {
        self.pieces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribers(&self) -> usize {
        self.pieces().as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// Lets the pieces tell how the fleet stands.
    pub(super) fn read_fleet(&self) -> FleetReader {
        self.fleet_readers.fetch_add(1, Ordering::Relaxed);
        FleetReader(Arc::clone(&self.fleet_readers))
    }

    /// Makes pieces for as long as it is polled.
    pub async fn run(&self, app: &App) {
        let begin = loop {
            match app.orchestrator.store().last_seq().await {
                Ok(last) => break last,
                Err(error) => {
                    tracing::warn!(%error, "could not read the journal for event streams, trying again");
                    sleep(AFTER_TROUBLE).await;
                }
            }
        };
        self.told.store(begin, Ordering::Release);
        let mut feed = app.orchestrator.feed(begin);
        let mut looks = interval(PROGRESS_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut progress = Progress::new(app.downloads.clone());
        let mut fleet = FleetNews::default();
        let mut at = begin;
        loop {
            fleet.watch_if(self.fleet_readers.load(Ordering::Relaxed) > 0, app);
            let mut piece = Draft::behind(at);
            // Whatever it was that ended the waiting, all that there is goes into the piece.
            tokio::select! {
                biased;
                _ = looks.tick() => piece.progress = progress.news(),
                () = feed.rung() => {}
                () = fleet.changed() => {}
            }
            let is_full = match feed.read().await {
                Ok(entries) => {
                    self.write(&entries, &mut piece);
                    entries.len() >= FULL_READ
                }
                Err(error) => {
                    tracing::warn!(%error, "could not read the journal for event streams, trying again");
                    sleep(AFTER_TROUBLE).await;
                    false
                }
            };
            piece.fleet = fleet.news(app).await;
            at = piece.upto;
            if self.tell(piece) && !is_full {
                let is_crowd = self.subscribers() >= CROWD;
                sleep(if is_crowd { GATHERED_FOR_CROWD } else { GATHERED }).await;
            }
        }
    }

    /// Entries as frames, unless nobody listens: whoever comes now reads for itself what it wants of them.
    fn write(&self, entries: &[JournalEntry], piece: &mut Draft) {
        if let Some(last) = entries.last() {
            piece.upto = last.seq;
        }
        if self.subscribers() > 0 {
            write_frames(&mut piece.journal, entries);
        }
    }

    /// Sends a piece on; whether there was anything in it.
    fn tell(&self, draft: Draft) -> bool {
        // Before the piece goes out: see `subscribe`.
        self.told.store(draft.upto, Ordering::Release);
        if draft.is_empty() {
            return false;
        }
        if let Some(pieces) = &*self.pieces() {
            // An error means that nobody listens.
            pieces.send(draft.into_piece()).ok();
        }
        true
    }
}

/// A piece in the making.
#[derive(Debug, Default)]
struct Draft {
    after: u64,
    upto: u64,
    journal: String,
    progress: String,
    fleet: String,
}

impl Draft {
    fn behind(after: u64) -> Self {
        Self { after, upto: after, ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.after == self.upto && self.progress.is_empty() && self.fleet.is_empty()
    }

    fn into_piece(self) -> Piece {
        let Self { after, upto, mut journal, progress, fleet } = self;
        let journal_end = journal.len();
        journal.push_str(&progress);
        let fleet_begin = journal.len();
        journal.push_str(&fleet);
        Piece { after, upto, bytes: journal.into(), journal_end, fleet_begin }
    }
}

/// Entries as frames of a stream.
pub fn write_frames(text: &mut String, entries: &[JournalEntry]) {
    for entry in entries {
        let data = serde_json::to_string(entry).expect("journal entries are JSON");
        write!(text, "id: {}\ndata: {data}\n\n", entry.seq).expect("a String takes everything");
    }
}

/// The frame that tells how the fleet stands.
pub(super) fn fleet_frame(summary: &Summary) -> String {
    format!("event: fleet\ndata: {}\n\n", summary.to_json())
}

/// The frame that tells how far a download has come.
pub(super) fn write_progress(text: &mut String, operation: OperationId, download: Download) {
    let data = json!({ "operation": operation.to_string(), "bytes": download.bytes, "total": download.total });
    write!(text, "event: progress\ndata: {data}\n\n").expect("a String takes everything");
}

/// How the fleet stands, as long as somebody wants to know.
#[derive(Debug, Default)]
struct FleetNews {
    watch: Option<watch::Receiver<Summary>>,
    is_due: bool,
    /// Waiting for a change takes it off the watch: this remembers it.
    has_changed: bool,
    told: Option<Summary>,
}

impl FleetNews {
    fn watch_if(&mut self, is_wanted: bool, app: &App) {
        if is_wanted && self.watch.is_none() {
            self.watch = Some(app.board.watch());
            // What changed before now was counted for nobody.
            self.is_due = true;
        } else if !is_wanted {
            *self = Self::default();
        }
    }

    /// Waits until there may be news; for ever when nobody wants to know.
    async fn changed(&mut self) {
        match &mut self.watch {
            Some(_) if self.is_due || self.has_changed => {}
            // An error means that the board is gone, and with it all news.
            Some(watch) => match watch.changed().await {
                Ok(()) => self.has_changed = true,
                Err(_) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// The frame, when it differs from what was told last.
    async fn news(&mut self, app: &App) -> String {
        let Some(watch) = &mut self.watch else { return String::new() };
        let summary = if self.is_due {
            match app.board.summary(app.orchestrator.store()).await {
                Ok(summary) => summary,
                Err(error) => {
                    tracing::warn!(%error, "could not count the hosts for event streams, trying again");
                    sleep(AFTER_TROUBLE).await;
                    return String::new();
                }
            }
        } else if self.has_changed || watch.has_changed().unwrap_or(false) {
            watch.borrow_and_update().clone()
        } else {
            return String::new();
        };
        (self.is_due, self.has_changed) = (false, false);
        if self.told.as_ref() == Some(&summary) {
            return String::new();
        }
        let frame = fleet_frame(&summary);
        self.told = Some(summary);
        frame
    }
}

/// What was told of downloads.
struct Progress {
    downloads: Downloads,
    generation: u64,
    known: BTreeMap<OperationId, Download>,
    quiet: u32,
}

impl Progress {
    fn new(downloads: Downloads) -> Self {
        Self { known: downloads.all(), generation: downloads.generation(), downloads, quiet: 0 }
    }

    /// Frames of the downloads that have moved; a comment when nothing has for long.
    fn news(&mut self) -> String {
        let generation = self.downloads.generation();
        if generation == self.generation {
            self.quiet += 1;
            if self.quiet < QUIET_LOOKS {
                return String::new();
            }
            self.quiet = 0;
            return ": still here\n\n".to_owned();
        }
        (self.generation, self.quiet) = (generation, 0);
        let now = self.downloads.all();
        let mut text = String::new();
        for (operation, download) in now.iter().filter(|(operation, now)| self.known.get(operation) != Some(now)) {
            write_progress(&mut text, *operation, *download);
        }
        self.known = now;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece() -> Piece {
        let draft =
            Draft { after: 10, upto: 12, journal: "J".to_owned(), progress: "P".to_owned(), fleet: "F".to_owned() };
        draft.into_piece()
    }

    #[test]
    fn a_piece_continues_what_was_told_before() {
        let told = |bytes: &'static str, upto| Taken::Told { bytes: Bytes::from_static(bytes.as_bytes()), upto };
        assert_eq!(piece().for_one_at(10, true), told("JPF", 12));
        assert_eq!(piece().for_one_at(10, false), told("JP", 12));
    }

    #[test]
    fn entries_that_were_told_are_not_told_again() {
        let told = |bytes: &'static str, upto| Taken::Told { bytes: Bytes::from_static(bytes.as_bytes()), upto };
        assert_eq!(piece().for_one_at(12, true), told("PF", 12));
        assert_eq!(piece().for_one_at(40, false), told("P", 40));
    }

    #[test]
    fn a_gap_before_a_piece_and_one_within_it_are_seen() {
        let gap = Taken::Gap { bytes: Bytes::from_static(b"PF"), upto: 12 };
        assert_eq!(piece().for_one_at(9, true), gap);
        assert_eq!(piece().for_one_at(11, true), gap);
    }
}
