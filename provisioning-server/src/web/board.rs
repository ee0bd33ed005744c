//! What every open page is told of the whole fleet, and what was last heard of each host.
//!
//! The store counts and the pages are told: nobody scans hosts to know how many have failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use provisioning_core::machine::Phase;
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::{Happening, JournalEntry, Store, StoreError};
use serde::Serialize;
use tokio::sync::watch;

use super::groups::GROUPS;
use super::words::sentence;

/// Changes within this time are told together.
const GATHERED: Duration = Duration::from_millis(50);
/// How far a new process looks back for what was last heard of each host.
const LOOKED_BACK: u64 = 4_000;
/// A read of so many entries has more behind it.
const FULL_READ: usize = 256;
/// How long until a store that did not answer is asked again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// How many hosts are in each phase, and what is wrong with the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    phases: BTreeMap<Phase, u64>,
    notices: Vec<Notice>,
}

/// Something that an operator should know of the server itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What it is about, such as a file.
    pub about: &'static str,
    /// What is wrong.
    pub text: String,
}

/// The last journal entry about a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) at: Timestamp,
    pub(super) said: String,
}

#[derive(Serialize)]
struct Told<'a> {
    counts: BTreeMap<&'static str, u64>,
    phases: &'a BTreeMap<Phase, u64>,
    notices: &'a [Notice],
}

impl Summary {
    /// How many hosts are in one of the phases that `holds` picks.
    pub(super) fn count(&self, holds: fn(Phase) -> bool) -> u64 {
        self.phases.iter().filter(|(phase, _)| holds(**phase)).map(|(_, count)| count).sum()
    }

    /// What is wrong with the configuration.
    pub(super) fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// As pages and programs are told it.
    pub fn to_json(&self) -> String {
        let counts = GROUPS.iter().map(|group| (group.key, self.count(group.holds))).collect();
        let told = Told { counts, phases: &self.phases, notices: &self.notices };
        serde_json::to_string(&told).expect("texts and numbers are JSON")
    }
}

/// See the file's first line.
#[derive(Debug)]
pub struct Board {
    summary: watch::Sender<Summary>,
    news: Mutex<BTreeMap<HostId, News>>,
    /// What is wrong with the last edit of `server-types.yaml`; shared with whoever reads that file.
    server_type_faults: Arc<RwLock<Vec<String>>>,
    /// What the configuration was warned of at the start.
    warnings: Vec<String>,
    /// What keeps the server from its work.
    trouble: RwLock<Vec<Notice>>,
}

impl Board {
    /// A board that has heard nothing yet.
    pub fn new(server_type_faults: Arc<RwLock<Vec<String>>>, warnings: Vec<String>) -> Self {
        Self {
            summary: watch::Sender::default(),
            news: Mutex::default(),
            server_type_faults,
            warnings,
            trouble: RwLock::default(),
        }
    }

    /// Tells the pages what keeps the server from its work; whether that is news.
    pub(crate) fn set_trouble(&self, trouble: Vec<Notice>) -> bool {
        let mut known = self.trouble.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = *known != trouble;
        *known = trouble;
        is_news
    }

    /// How the fleet is now.
    ///
    /// # Errors
    /// What the store says.
    pub async fn summary(&self, store: &dyn Store) -> Result<Summary, StoreError> {
        let phases = store.count_by_phase().await?;
        let notice = |about, text: &String| Notice { about, text: text.clone() };
        let faults = self.server_type_faults.read().unwrap_or_else(PoisonError::into_inner);
        let faults = faults.iter().map(|text| notice("server-types.yaml", text));
        let trouble = self.trouble.read().unwrap_or_else(PoisonError::into_inner);
        let faults = trouble.iter().cloned().chain(faults);
        let notices = faults.chain(self.warnings.iter().map(|text| notice("provisioning.yaml", text))).collect();
        Ok(Summary { phases, notices })
    }

    /// Rings with each change of the summary, changes within 50 ms together.
    pub fn watch(&self) -> watch::Receiver<Summary> {
        self.summary.subscribe()
    }

    /// The last entry about a host, as far as this process has looked back.
    pub(super) fn news(&self, host: HostId) -> Option<News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).get(&host).cloned()
    }

    /// Follows the journal for as long as it is polled.
    pub async fn follow(&self, orchestrator: &Orchestrator) {
        let store = orchestrator.store();
        let last = store.last_seq().await.unwrap_or_default();
        let mut feed = orchestrator.feed(last.saturating_sub(LOOKED_BACK));
        loop {
            match feed.next().await {
                Ok(entries) => {
                    self.note(&entries);
                    if entries.len() < FULL_READ {
                        self.recount(store).await;
                        tokio::time::sleep(GATHERED).await;
                    }
                }
                Err(error) => {
                    // The orchestrator's loop warns of a store that does not answer: once.
                    tracing::debug!(%error, "could not read the journal for the pages, trying again");
                    tokio::time::sleep(AFTER_TROUBLE).await;
                }
            }
        }
    }

    /// Counts anew and tells whoever watches; without a watcher it does nothing.
    pub async fn recount(&self, store: &dyn Store) {
        if self.summary.receiver_count() == 0 {
            return;
        }
        match self.summary(store).await {
            Ok(summary) => drop(self.summary.send_replace(summary)),
            Err(error) => tracing::warn!(%error, "could not count the hosts for the pages"),
        }
    }

    fn note(&self, entries: &[JournalEntry]) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            let Some(host) = entry.host else { continue };
            if matches!(entry.what, Happening::HostRemoved { .. }) {
                news.remove(&host);
            } else {
                news.insert(host, News { at: entry.at, said: sentence(entry) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::ports::Source;

    fn entry(host: u8, at: i64, what: Happening) -> JournalEntry {
        let host = Some(HostId::from_bytes([host; 16]));
        JournalEntry { seq: 1, at: Timestamp::from_millis(at), host, operation: None, source: Source::Operator, what }
    }

    #[test]
    fn the_last_news_of_a_host_is_kept_until_the_host_is_removed() {
        let board = Board::new(Arc::default(), vec![]);
        let name = || "pve-01".parse().expect("it is a name");
        board.note(&[
            entry(1, 10, Happening::HostRegistered { name: name() }),
            entry(1, 20, Happening::HostEdited { name: name() }),
            entry(2, 30, Happening::HostRegistered { name: name() }),
        ]);
        let news = |host: u8| board.news(HostId::from_bytes([host; 16])).map(|news| (news.at.as_millis(), news.said));
        assert_eq!(news(1), Some((20, "pve-01 was edited".to_owned())));
        board.note(&[entry(1, 40, Happening::HostRemoved { name: name() })]);
        assert_eq!(news(1), None);
        assert!(news(2).is_some());
    }

    #[test]
    fn a_summary_tells_counts_by_group_and_by_phase() {
        let phases = [(Phase::PxeReady, 2), (Phase::Failed, 1), (Phase::Joining, 4)].into();
        let notices = vec![Notice { about: "server-types.yaml", text: "line 3: no such key".to_owned() }];
        insta::assert_snapshot!(Summary { phases, notices }.to_json(), @r#"{"counts":{"active":4,"all":7,"failed":1,"needs-you":3,"ready":0,"waiting":2},"phases":{"pxe_ready":2,"joining":4,"failed":1},"notices":[{"about":"server-types.yaml","text":"line 3: no such key"}]}"#);
    }
}
