//! The PXE doctor's consultation: gathers what is known of a NIC and lets [`doctor::diagnose`] judge.

use super::Orchestrator;
use crate::machine::EventKind;
use crate::model::{HostId, MacAddr};
use crate::netboot::doctor::{self, Case, Diagnosis, Progress};
use crate::netboot::{Footprint, Trace};
use crate::ports::{Happening, JournalEntry, JournalQuery, StoreError};

/// Journal entries that are read at once.
const PAGE: usize = 1_000;
/// Footprints that are looked at, the latest: weeks of a quiet machine, an hour of one that goes round.
const FOOTPRINTS_MAX: usize = 400;
/// How far back the journal of all hosts is read, in entries, until something is found of this one.
const LOOKS_BACK: [u64; 3] = [5_000, 100_000, u64::MAX];

impl Orchestrator {
    /// What is the matter with a machine's netboot: of a host's NIC from its journal, of a discovered machine from its
    /// trail, and of one that was never seen from that. `progress` is the download of the host's running operation,
    /// for those who count the bytes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn diagnose(&self, mac: MacAddr, progress: Option<Progress>) -> Result<Diagnosis, StoreError> {
        let record = self.ports.store.host_by_mac(mac).await?;
        let (trail, other_nic) = match &record {
            Some(record) => self.trail_of_host(record.host.id, mac).await?,
            None => (self.discovered_machine(mac).await?.map(|machine| machine.trail).unwrap_or_default(), None),
        };
        Ok(doctor::diagnose(&Case {
            mac,
            at: self.ports.clock.now(),
            phase: record.as_ref().map(|record| record.state.phase()),
            other_nic,
            turned_away: self.whereabouts.turns_away(self.ports.clock.now()),
            trail: &trail,
            progress,
            public_url: &self.site.public_url,
        }))
    }

    /// The footprints of one NIC, in order of time; and another NIC of the host that was seen, when this one was not.
    async fn trail_of_host(&self, host: HostId, mac: MacAddr) -> Result<(Vec<Footprint>, Option<MacAddr>), StoreError> {
        let last = self.ports.store.last_seq().await?;
        let (mut trail, mut other_nic) = (vec![], None);
        for look_back in LOOKS_BACK {
            (trail, other_nic) = self.trail_since(host, mac, last.saturating_sub(look_back)).await?;
            if !trail.is_empty() || last <= look_back {
                break;
            }
        }
        Ok((trail, other_nic))
    }

    async fn trail_since(
        &self,
        host: HostId,
        mac: MacAddr,
        mut after: u64,
    ) -> Result<(Vec<Footprint>, Option<MacAddr>), StoreError> {
        let (mut trail, mut other_nic, mut has_netbooted) = (vec![], None, false);
        loop {
            let query = JournalQuery { after, ..JournalQuery::of_host(host, PAGE) };
            let entries = self.ports.store.journal(&query).await?;
            for entry in &entries {
                match footprint(entry) {
                    Some((Some(nic), print)) if nic == mac => {
                        has_netbooted = true;
                        trail.push(print);
                    }
                    Some((Some(nic), _)) => other_nic = Some(nic),
                    // The installer's and the system's steps are the whole host's.
                    Some((None, print)) => trail.push(print),
                    None => {}
                }
            }
            let surplus = trail.len().saturating_sub(FOOTPRINTS_MAX);
            trail.drain(..surplus);
            match entries.last() {
                Some(entry) if entries.len() == PAGE => after = entry.seq,
                _ => break,
            }
        }
        // What was seen by an address alone is written down late.
        trail.sort_by_key(|print| print.at);
        if has_netbooted {
            return Ok((trail, None));
        }
        if other_nic.is_some() {
            trail.clear();
        }
        Ok((trail, other_nic))
    }
}

/// What an entry shows of a machine, and of which NIC.
fn footprint(entry: &JournalEntry) -> Option<(Option<MacAddr>, Footprint)> {
    let (nic, trace) = match &entry.what {
        Happening::Sighted { mac, what, .. } => (Some(*mac), Trace::BootServer { what: what.clone() }),
        Happening::Booted { mac, answer, agent, .. } => {
            (Some(*mac), Trace::ScriptAsked { told: *answer, agent: agent.clone() })
        }
        Happening::Moved { event: EventKind::AnswerFetched, .. } => (None, Trace::AnswerFetched),
        Happening::Moved { event: EventKind::InstallReported(_) | EventKind::FirstBootReported(_), .. } => {
            (None, Trace::Installed)
        }
        Happening::AnswerDenied { why, .. } => (None, Trace::AnswerRefused { why: why.clone() }),
        _ => return None,
    };
    Some((nic, Footprint { at: entry.at, trace }))
}
