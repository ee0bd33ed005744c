//! What the journal says of a machine, that machine has said, under that operation's token.

use std::collections::BTreeSet;

use provisioning_core::machine::EventKind;
use provisioning_core::model::{HostId, OperationId};
use provisioning_core::ports::{Happening, JournalEntry};

use super::{Deed, Invariant, Scene, Seen, Verdict};
use crate::world::Message;

#[derive(Default)]
pub(super) struct Told {
    said: BTreeSet<(HostId, Option<OperationId>, Message)>,
}

impl Told {
    fn check(&self, entry: &JournalEntry) -> Verdict {
        let Happening::Moved { event, .. } = &entry.what else { return Ok(()) };
        let message = match event {
            EventKind::BootScriptFetched => Message::BootScript,
            EventKind::AnswerFetched => Message::Answer,
            EventKind::InstallerBegan => Message::FirstBootScript,
            EventKind::InstallReported(_) => Message::Webhook,
            EventKind::FirstBootReported(_) => Message::PhoneHome,
            _ => return Ok(()),
        };
        let host = entry.host.ok_or("a move without a host")?;
        // Firmware has no token: what it asks belongs to whatever runs.
        let operation = if message == Message::BootScript { None } else { entry.operation };
        if self.said.contains(&(host, operation, message)) {
            Ok(())
        } else {
            Err(format!("entry {} says {}, the machine never did", entry.seq, event.as_str()))
        }
    }
}

impl Invariant for Told {
    fn name(&self) -> &'static str {
        "what the journal says of a machine, the machine has said"
    }

    fn see(&mut self, seen: Seen<'_>, _: &Scene) -> Verdict {
        match seen {
            Seen::Entry(entry) => self.check(entry),
            Seen::Deed(Deed::Told { host, operation, message }) => {
                self.said.insert((*host, *operation, *message));
                Ok(())
            }
            Seen::Deed(_) | Seen::Read(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::{Contact, Leg, Phase};

    use super::super::sample::{deed, host, moved, operation, provisioning, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_report_that_came_under_another_operations_token() {
        let scene = scene(provisioning(Leg::Installing));
        let mut rule = Told::default();
        let said = |n| Deed::Told { host: host(), operation: Some(operation(n)), message: Message::Webhook };
        let report = EventKind::InstallReported(Contact::default());
        let entry = moved(1, report, Phase::Installing, Phase::Installed);
        deed(&mut rule, &said(2), &scene).unwrap();
        assert!(rule.see(Seen::Entry(&entry), &scene).is_err());
        deed(&mut rule, &said(1), &scene).unwrap();
        rule.see(Seen::Entry(&entry), &scene).unwrap();
    }
}
