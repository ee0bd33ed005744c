//! A subscriber of `/events` who comes back after every restart with the last id it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use provisioning_core::machine::{EventKind, Phase};
use provisioning_core::model::{HostId, OperationId};
use provisioning_core::ports::{Happening, JournalEntry};
use reqwest::{Client, Response};
use tokio::time::{Interval, interval};

use crate::server::{Server, TOKEN};

/// The journal as a subscriber sees it: each entry once, in order, whatever happens to the server.
pub(crate) struct Journal {
    client: Client,
    url: String,
    stream: Option<Response>,
    received: Vec<u8>,
    retry: Interval,
    entries: Vec<JournalEntry>,
    phases: BTreeMap<HostId, Phase>,
    open_keys: BTreeSet<OperationId>,
}

impl Journal {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            client: Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap(),
            url: format!("{}/events", server.base()),
            stream: None,
            received: vec![],
            retry: interval(Duration::from_millis(20)),
            entries: vec![],
            phases: BTreeMap::new(),
            open_keys: BTreeSet::new(),
        }
    }

    /// The next entry. May be dropped and asked again at any time.
    pub(crate) async fn next(&mut self, server: &mut Server) -> JournalEntry {
        loop {
            if let Some(entry) = self.take_frame() {
                return self.keep(entry);
            }
            let Some(stream) = &mut self.stream else {
                server.lives();
                self.connect().await;
                continue;
            };
            if let Ok(Some(bytes)) = stream.chunk().await {
                self.received.extend_from_slice(&bytes);
            } else {
                // Half a frame is worth nothing: it comes again.
                self.stream = None;
                self.received.clear();
            }
        }
    }

    /// Whether so many hosts have come to their end, and no key waits for being erased.
    pub(crate) fn is_quiet(&self, hosts: u16) -> bool {
        let settled = self.phases.values().filter(|phase| matches!(phase, Phase::Ready | Phase::Failed)).count();
        settled == usize::from(hosts) && self.phases.len() == settled && self.open_keys.is_empty()
    }

    pub(crate) fn entries(&self) -> &[JournalEntry] {
        &self.entries
    }

    async fn connect(&mut self) {
        self.retry.tick().await;
        let last = self.entries.len();
        let request = self.client.get(&self.url).bearer_auth(TOKEN).header("last-event-id", last.to_string());
        self.stream = request.send().await.ok().filter(|response| response.status() == 200);
    }

    /// The first whole frame that is an entry; others are left out.
    fn take_frame(&mut self) -> Option<JournalEntry> {
        loop {
            let end = self.received.windows(2).position(|pair| pair == b"\n\n")?;
            let frame: Vec<u8> = self.received.drain(..end + 2).collect();
            let frame = String::from_utf8(frame).unwrap();
            assert!(!frame.contains("event: reset"), "the journal has become shorter than it was");
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                let entry: JournalEntry = serde_json::from_str(data).unwrap();
                assert_eq!(id, entry.seq.to_string());
                return Some(entry);
            }
        }
    }

    fn keep(&mut self, entry: JournalEntry) -> JournalEntry {
        let expected = self.entries.len() as u64 + 1;
        assert_eq!(entry.seq, expected, "an entry was lost or told twice: {entry:?}");
        match (&entry.what, entry.host, entry.operation) {
            (Happening::HostRegistered { .. }, Some(host), _) => {
                self.phases.insert(host, Phase::Registered);
            }
            (Happening::Moved { event, to, .. }, Some(host), Some(operation)) => {
                self.phases.insert(host, *to);
                if *event == EventKind::Started {
                    self.open_keys.insert(operation);
                }
            }
            (Happening::KeyErased, _, Some(operation)) => {
                self.open_keys.remove(&operation);
            }
            _ => {}
        }
        self.entries.push(entry.clone());
        entry
    }
}
