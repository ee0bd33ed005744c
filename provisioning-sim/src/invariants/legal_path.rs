//! The journal is a path of legal steps, without gaps, and folds to the row.

use std::collections::BTreeMap;

use provisioning_core::machine::{HostState, Outcome, step};
use provisioning_core::model::HostId;
use provisioning_core::ports::{Happening, JournalEntry};

use super::{Invariant, Scene, Seen, Verdict};

#[derive(Default)]
pub(super) struct LegalPath {
    last_seq: u64,
    folded: BTreeMap<HostId, HostState>,
}

impl LegalPath {
    fn fold(&mut self, entry: &JournalEntry, scene: &Scene) -> Verdict {
        if entry.seq != self.last_seq + 1 {
            return Err(format!("entry {} follows entry {}", entry.seq, self.last_seq));
        }
        self.last_seq = entry.seq;
        let Some(host) = entry.host else { return Ok(()) };
        match &entry.what {
            Happening::HostRegistered { .. } => {
                self.folded.insert(host, HostState::Registered);
            }
            Happening::HostRemoved { .. } => {
                self.folded.remove(&host);
            }
            Happening::Moved { event, from, to } => {
                let Some(before) = self.folded.get(&host) else {
                    return Err(format!("entry {} moves a host that was never registered", entry.seq));
                };
                let operation = entry.operation.ok_or("a move without an operation")?;
                let outcome = step(before, &event.clone().of(operation), entry.at, &scene.policy);
                let Ok(Outcome::Advanced(transition)) = outcome else {
                    return Err(format!("entry {}: {} does not move {before:?}", entry.seq, event.as_str()));
                };
                if (before.phase(), transition.next.phase()) != (*from, *to) {
                    return Err(format!("entry {} says {from} to {to}, the path was at {}", entry.seq, before.phase()));
                }
                self.folded.insert(host, transition.next);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Invariant for LegalPath {
    fn name(&self) -> &'static str {
        "the journal is a path of legal steps and folds to the row"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        match seen {
            Seen::Entry(entry) => self.fold(entry, scene),
            Seen::Deed(_) | Seen::Read(_) => Ok(()),
        }
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        for (id, record) in &scene.hosts {
            let folded = self.folded.get(id);
            if folded != Some(&record.state) {
                return Err(format!("{} is {:?}, its journal says {folded:?}", record.host.name, record.state));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::{EventKind, Leg, Phase};

    use super::super::sample::{entry, moved, provisioning, scene};
    use super::*;

    fn registered() -> Happening {
        Happening::HostRegistered { name: "pve-01".parse().unwrap() }
    }

    #[test]
    fn it_fires_on_a_gap_an_illegal_step_and_a_row_of_its_own() {
        let row = scene(HostState::Registered);
        let mut rule = LegalPath::default();
        rule.see(Seen::Entry(&entry(1, registered())), &row).unwrap();
        rule.look(&row).unwrap();
        assert!(rule.look(&scene(provisioning(Leg::PxeReady))).is_err(), "a row without its entry");
        let skips = moved(2, EventKind::AnswerFetched, Phase::Registered, Phase::Installing);
        assert!(rule.see(Seen::Entry(&skips), &row).is_err(), "an illegal step");
        let gap = moved(9, EventKind::Started, Phase::Registered, Phase::PxeReady);
        assert!(rule.see(Seen::Entry(&gap), &row).is_err(), "a gap");
    }
}
