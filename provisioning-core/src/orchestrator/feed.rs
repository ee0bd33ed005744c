//! The journal as a stream: each subscriber reads from where it stopped, a bell tells it that there is more.
//!
//! Several parts of a server follow the journal, all of them mostly at its end. So what one of them has read is kept
//! for the others: each entry is read from the store, and made from its text, once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::Orchestrator;
use crate::ports::{JournalEntry, JournalQuery, Store, StoreError};

/// How many entries are read at once.
const BATCH: usize = 256;

/// How long an entry can stay unseen when its bell was not rung.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Entries that are kept for the other readers: some batches.
const KEPT_MAX: usize = 4 * BATCH;

/// A reader of the journal. Slow readers lose nothing: they read later.
pub struct Feed {
    store: Arc<dyn Store>,
    recent: Arc<Recent>,
    bell: watch::Receiver<u64>,
    after: u64,
    /// Whether the last read found nothing more.
    is_at_end: bool,
}

/// The end of the journal, as far as feeds have read it.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Tail>);

#[derive(Debug, Default)]
struct Tail {
    /// All entries behind this place are here, up to `end`.
    begin: u64,
    end: u64,
    entries: VecDeque<JournalEntry>,
}

impl Orchestrator {
    /// The journal behind entry `after`, for ever: resume with the last place that was seen.
    pub fn feed(&self, after: u64) -> Feed {
        let (store, recent) = (Arc::clone(&self.ports.store), Arc::clone(&self.recent));
        Feed { store, recent, bell: self.last_seq.subscribe(), after, is_at_end: false }
    }
}

impl Feed {
    /// The next entries, at least one, in order and without gaps. Waits until there are some.
    ///
    /// # Errors
    /// When the store cannot be read; calling again goes on at the same place.
    pub async fn next(&mut self) -> Result<Vec<JournalEntry>, StoreError> {
        loop {
            let entries = self.read().await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            self.rung().await;
        }
    }

    /// The next entries that are there already, in order and without gaps. None means that there are none; some do not
    /// mean that these were all.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn read(&mut self) -> Result<Vec<JournalEntry>, StoreError> {
        // Marked before reading: what is committed in between rings again.
        let told = *self.bell.borrow_and_update();
        let entries = self.recent.behind(self.after, told, &*self.store).await?;
        self.is_at_end = entries.is_empty();
        if let Some(last) = entries.last() {
            self.after = last.seq;
        }
        Ok(entries)
    }

    /// Waits until there may be more than was read: not at all before a read has found nothing. May be dropped and
    /// called again.
    pub async fn rung(&mut self) {
        if !self.is_at_end {
            return;
        }
        let rung = tokio::time::timeout(LOOK_EVERY, self.bell.changed()).await;
        self.is_at_end = false;
        // A write whose success could not be told rang no bell.
        if let Ok(Err(_)) = rung {
            // The orchestrator is gone: nothing will be written any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Recent {
    /// The next entries behind a place, a batch at most: all of them up to the one that the bell has told of, or whoever
    /// gathers entries for a while would be given what another reader had found some while before.
    async fn behind(&self, place: u64, told: u64, store: &dyn Store) -> Result<Vec<JournalEntry>, StoreError> {
        // Held while the store is read, so that readers that come together read once.
        let mut tail = self.0.lock().await;
        if place < tail.begin {
            drop(tail);
            return store.journal(&JournalQuery::after(place, BATCH)).await;
        }
        if tail.end <= place || tail.end < told {
            let end = tail.end.max(place);
            let read = store.journal(&JournalQuery::after(end, BATCH)).await?;
            tail.extend(end, read);
        }
        let first = tail.entries.partition_point(|entry| entry.seq <= place);
        Ok(tail.entries.range(first..).take(BATCH).cloned().collect())
    }
}

impl Tail {
    /// Takes what was read behind a place, which is not before the end.
    fn extend(&mut self, place: u64, read: Vec<JournalEntry>) {
        if place > self.end {
            *self = Self { begin: place, end: place, entries: VecDeque::new() };
        }
        self.end = read.last().map_or(self.end, |last| last.seq);
        self.entries.extend(read);
        let surplus = self.entries.len().saturating_sub(KEPT_MAX);
        if let Some(last) = self.entries.drain(..surplus).next_back() {
            self.begin = last.seq;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryStore;
    use crate::model::Timestamp;
    use crate::ports::{Happening, NewEntry, Source};

    fn entries(places: std::ops::RangeInclusive<u64>) -> Vec<JournalEntry> {
        let entry = |seq| JournalEntry {
            seq,
            at: Timestamp::from_millis(0),
            host: None,
            operation: None,
            source: Source::Provisioning,
            what: Happening::Warning { text: seq.to_string() },
        };
        places.map(entry).collect()
    }

    fn new_entry() -> NewEntry {
        let what = Happening::Warning { text: "there is more".to_owned() };
        let at = Timestamp::from_millis(0);
        NewEntry { at, host: None, operation: None, source: Source::Provisioning, what }
    }

    fn at_once<F: Future<Output = ()>>(future: F) -> tokio::time::Timeout<F> {
        tokio::time::timeout(Duration::ZERO, future)
    }

    /// Two feeds of one store, of whose two entries the first feed has read one; and their bell, which has not rung.
    async fn one_ahead_of_the_other() -> (Feed, watch::Sender<u64>) {
        let store = Arc::new(MemoryStore::new());
        let bell = watch::Sender::new(0);
        let recent = Arc::new(Recent::default());
        let feed = || Feed {
            store: Arc::<MemoryStore>::clone(&store),
            recent: Arc::clone(&recent),
            bell: bell.subscribe(),
            after: 0,
            is_at_end: false,
        };
        let (mut ahead, behind) = (feed(), feed());
        store.append(vec![new_entry()]).await.unwrap();
        assert_eq!(ahead.read().await.unwrap().len(), 1);
        store.append(vec![new_entry()]).await.unwrap();
        (behind, bell)
    }

    #[tokio::test]
    async fn an_entry_behind_what_another_feed_has_read_is_not_waited_for() {
        let (mut behind, _bell) = one_ahead_of_the_other().await;
        assert_eq!(behind.read().await.unwrap().len(), 1, "what the other has read");
        at_once(behind.rung()).await.expect("there is more");
        assert_eq!(behind.read().await.unwrap().len(), 1);
        at_once(behind.rung()).await.expect("there may be more");
        assert_eq!(behind.read().await.unwrap().len(), 0);
        assert!(at_once(behind.rung()).await.is_err(), "there is nothing more");
    }

    #[tokio::test]
    async fn all_that_the_bell_has_told_of_is_read_however_far_another_feed_has_read() {
        let (mut behind, bell) = one_ahead_of_the_other().await;
        bell.send_replace(2);
        let places: Vec<u64> = behind.read().await.unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(places, [1, 2]);
    }

    #[test]
    fn the_tail_holds_all_entries_between_its_ends() {
        let mut tail = Tail::default();
        tail.extend(7, entries(8..=9));
        assert_eq!((tail.begin, tail.end), (7, 9));
        tail.extend(9, entries(10..=12));
        assert_eq!((tail.begin, tail.end, tail.entries.len()), (7, 12, 5));
        // A reader that begins further on leaves no hole.
        tail.extend(20, entries(21..=21));
        assert_eq!((tail.begin, tail.end, tail.entries.len()), (20, 21, 1));
    }

    #[test]
    fn the_tail_forgets_its_oldest_entries_and_says_so() {
        let mut tail = Tail::default();
        let kept = KEPT_MAX as u64;
        tail.extend(0, entries(1..=kept + 10));
        assert_eq!((tail.begin, tail.end, tail.entries.len()), (10, kept + 10, KEPT_MAX));
        assert_eq!(tail.entries.front().map(|entry| entry.seq), Some(11));
    }
}
