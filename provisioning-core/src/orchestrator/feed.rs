//! The journal as a stream: each subscriber reads from where it stopped, a bell tells it that there is more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Orchestrator;
use crate::ports::{JournalEntry, JournalQuery, Store, StoreError};

/// How many entries are read at once.
const BATCH: usize = 256;

/// How long an entry can stay unseen when its bell was not rung.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A reader of the journal. Slow readers lose nothing: they read later.
pub struct Feed {
    store: Arc<dyn Store>,
    bell: watch::Receiver<u64>,
    after: u64,
}

impl Orchestrator {
    /// The journal behind entry `after`, for ever: resume with the last place that was seen.
    pub fn feed(&self, after: u64) -> Feed {
        Feed { store: Arc::clone(&self.ports.store), bell: self.last_seq.subscribe(), after }
    }
}

impl Feed {
    /// The next entries, at least one, in order and without gaps. Waits until there are some.
    ///
    /// # Errors
    /// When the store cannot be read; calling again goes on at the same place.
    pub async fn next(&mut self) -> Result<Vec<JournalEntry>, StoreError> {
        loop {
            // Mark before reading: what is committed in between rings again.
            self.bell.mark_unchanged();
            let entries = self.store.journal(&JournalQuery::after(self.after, BATCH)).await?;
            if let Some(last) = entries.last() {
                self.after = last.seq;
                return Ok(entries);
            }
            // A write whose success could not be told rang no bell.
            if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, self.bell.changed()).await {
                // The orchestrator is gone: nothing will be written any more.
                std::future::pending::<()>().await;
            }
        }
    }
}
