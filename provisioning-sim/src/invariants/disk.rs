//! A disk is written at most once per operation, and only while that operation had the host armed.

use std::collections::BTreeSet;

use provisioning_core::machine::{EventKind, HostState, Leg};
use provisioning_core::model::OperationId;
use provisioning_core::ports::Happening;

use super::{Deed, Invariant, Scene, Seen, Verdict};

#[derive(Default)]
pub(super) struct Disk {
    /// Operations that handed out their answer while armed.
    armed: BTreeSet<OperationId>,
    written: BTreeSet<OperationId>,
}

impl Invariant for Disk {
    fn name(&self) -> &'static str {
        "a disk is written at most once per operation and only while armed"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        match seen {
            Seen::Entry(entry) => {
                if let (Happening::Moved { event: EventKind::AnswerFetched, .. }, Some(operation)) =
                    (&entry.what, entry.operation)
                {
                    self.armed.insert(operation);
                }
                Ok(())
            }
            Seen::Deed(Deed::DiskWritten { host, operation }) => {
                let Some(record) = scene.hosts.get(host) else { return Err("a stranger's disk was written".into()) };
                let name = &record.host.name;
                if !self.armed.contains(operation) {
                    return Err(format!("{name}'s disk was written by {operation}, which was not armed"));
                }
                if !self.written.insert(*operation) {
                    return Err(format!("{name}'s disk was written twice by {operation}"));
                }
                match &record.state {
                    HostState::Provisioning { leg: Leg::PxeReady | Leg::PxeBooted, run }
                        if run.operation == *operation =>
                    {
                        Err(format!("{name}'s disk was written before anybody wrote down its answer"))
                    }
                    HostState::Ready { by, .. } if by == operation => {
                        Err(format!("{name}'s disk was written when it was ready"))
                    }
                    _ => Ok(()),
                }
            }
            Seen::Deed(_) | Seen::Read(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::Phase;

    use super::super::sample::{deed, host, moved, operation, provisioning, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_disk_that_is_written_unarmed_or_twice() {
        let scene = scene(provisioning(Leg::Installing));
        let mut rule = Disk::default();
        let written = Deed::DiskWritten { host: host(), operation: operation(1) };
        assert!(deed(&mut rule, &written, &scene).is_err(), "no answer was handed out");
        let answered = moved(1, EventKind::AnswerFetched, Phase::PxeBooted, Phase::Installing);
        rule.see(Seen::Entry(&answered), &scene).unwrap();
        deed(&mut rule, &written, &scene).unwrap();
        assert!(deed(&mut rule, &written, &scene).is_err(), "twice");
    }
}
