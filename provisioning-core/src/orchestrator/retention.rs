//! How long the past is kept.

use std::time::Duration;

use super::Orchestrator;
use crate::ports::{Prune, Pruned, StoreError};

/// So many entries, and as many artefacts, are dropped in one commit: some milliseconds.
const BATCH: usize = 500;

/// How long the past is kept. What belongs to a host's last operation is kept longer: as long as that is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The journal's entries; `None` keeps them for ever. Default 365 days.
    pub journal: Option<Duration>,
    /// What operations left to look at: answer files, reports, transcripts; `None` keeps them for ever. Default 365 days.
    pub artefacts: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        let year = Duration::from_secs(365 * 24 * 3600);
        Self { journal: Some(year), artefacts: Some(year) }
    }
}

impl Orchestrator {
    /// Drops some of what is older than it is kept, and tells how much; nothing is left once it tells of none.
    ///
    /// # Errors
    /// What the store says; nothing is half-done then.
    pub async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        let now = self.ports.clock.now();
        let before = |kept: Option<Duration>| kept.map(|kept| now - kept);
        let prune = Prune {
            journal_before: before(retention.journal),
            artefacts_before: before(retention.artefacts),
            at_most: BATCH,
        };
        self.ports.store.prune(&prune).await
    }
}
