//! Every failure is explained by a fault that was done to that host; restarts alone explain none.
//!
//! Without this rule "rebuild until it works" would hide lost work.

use std::collections::BTreeMap;

use provisioning_core::machine::{EventKind, FailureReason, HostState, Leg, Phase};
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::ports::{Happening, JournalEntry};

use super::{Deed, Invariant, Scene, Seen, Verdict};
use crate::world::{Fault, Message};

#[derive(Default)]
pub(super) struct Blame {
    /// What was done to each host since its operation began.
    done: BTreeMap<HostId, Vec<Fault>>,
    /// What was done to the site, and until when it lasted.
    site: Vec<(Fault, Timestamp)>,
    began: BTreeMap<HostId, Timestamp>,
    cancels: BTreeMap<HostId, u32>,
}

impl Blame {
    fn entry(&mut self, entry: &JournalEntry, scene: &Scene) -> Verdict {
        let (Happening::Moved { event, to, .. }, Some(host)) = (&entry.what, entry.host) else { return Ok(()) };
        if *event == EventKind::Started {
            self.done.remove(&host);
            self.began.insert(host, entry.at);
        }
        match (to, scene.hosts.get(&host).map(|record| &record.state)) {
            (Phase::Failed, Some(HostState::Failed { during, why, .. })) => self.explain(host, *during, why),
            _ => Ok(()),
        }
    }

    fn explain(&mut self, host: HostId, during: Leg, why: &FailureReason) -> Verdict {
        if *why == FailureReason::Cancelled {
            return match self.cancels.get_mut(&host) {
                Some(asked) if *asked > 0 => {
                    *asked -= 1;
                    Ok(())
                }
                _ => Err(format!("{host} was cancelled, and nobody asked for it")),
            };
        }
        let began = self.began.get(&host).copied().unwrap_or(Timestamp::from_millis(0));
        let of_site = self.site.iter().filter(|(_, until)| *until >= began).map(|(fault, _)| fault);
        let mut done = self.done.get(&host).into_iter().flatten().chain(of_site);
        if done.any(|fault| explains(*fault, during, why)) {
            return Ok(());
        }
        let known = self.done.get(&host);
        Err(format!("{host} failed while {during:?} ({why}), and nothing was done to it that explains it: {known:?}"))
    }
}

fn explains(fault: Fault, during: Leg, why: &FailureReason) -> bool {
    use Fault as F;
    let a_join_broke = || {
        matches!(
            fault,
            F::JoinRefused
                | F::JoinUnreachable
                | F::JoinDies
                | F::JoinHangs
                | F::JoinKilled
                | F::PowerCut
                | F::OldMembership
                | F::QuorumLost
        )
    };
    match why {
        FailureReason::HostKeyMismatch => fault == F::ForeignHostKey,
        FailureReason::KeyStillOpens => fault == F::KeysComeBack,
        FailureReason::InventoryRefused { .. } => fault == F::InventoryRefused,
        FailureReason::NameTaken { .. }
        | FailureReason::JoinFailed { .. }
        | FailureReason::HalfJoined { .. }
        | FailureReason::JoinUnfinished { .. } => a_join_broke(),
        FailureReason::DeadlinePassed { .. } if fault == F::ClockForward => true,
        FailureReason::DeadlinePassed { .. } => match during {
            Leg::PxeReady => false,
            // Firmware that hears nothing goes on to the old system.
            Leg::PxeBooted
                if matches!(fault, F::LostRequest(Message::BootScript) | F::LostReply(Message::BootScript)) =>
            {
                true
            }
            Leg::PxeBooted | Leg::Installing | Leg::Installed => stops_an_installation(fault),
            Leg::FirstBoot => matches!(fault, F::SshOutage | F::PowerCut),
            Leg::Joining(_) => a_join_broke() || matches!(fault, F::SshOutage | F::KeysComeBack | F::InventoryOutage),
        },
        FailureReason::Cancelled
        | FailureReason::NoHostKey
        | FailureReason::KeyLost
        | FailureReason::Restored
        | FailureReason::NoWitness { .. }
        | FailureReason::Unexpected { .. } => false,
    }
}

/// The first-boot script tries again; the installer asks once, and a lost webhook costs nothing.
fn stops_an_installation(fault: Fault) -> bool {
    match fault {
        Fault::PowerCut | Fault::BootLoop => true,
        Fault::LostRequest(message) | Fault::LostReply(message) | Fault::Reset(message) => {
            matches!(message, Message::Answer | Message::FirstBootScript)
        }
        _ => false,
    }
}

impl Invariant for Blame {
    fn name(&self) -> &'static str {
        "every failure is explained by a fault done to that host"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        match seen {
            Seen::Entry(entry) => return self.entry(entry, scene),
            Seen::Deed(Deed::Fault { host: Some(host), fault, .. }) => {
                self.done.entry(*host).or_default().push(*fault);
            }
            Seen::Deed(Deed::Fault { host: None, fault, until }) => self.site.push((*fault, *until)),
            Seen::Deed(Deed::CancelAsked { host }) => *self.cancels.entry(*host).or_default() += 1,
            Seen::Deed(_) | Seen::Read(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{deed, failed, fault, moved, scene};
    use super::*;

    fn check(faults: &[Fault], during: Leg, why: FailureReason) -> Verdict {
        let scene = scene(failed(why, during));
        let mut rule = Blame::default();
        for done in faults {
            deed(&mut rule, &fault(*done), &scene).unwrap();
        }
        let expired = EventKind::Expired { last_error: None };
        rule.see(Seen::Entry(&moved(1, expired, during.phase(), Phase::Failed)), &scene)
    }

    #[test]
    fn it_fires_on_a_failure_without_a_fault_and_on_one_with_the_wrong_fault() {
        let late = || FailureReason::DeadlinePassed { last_error: None };
        check(&[Fault::PowerCut], Leg::Installing, late()).unwrap();
        assert!(check(&[], Leg::Installing, late()).is_err());
        assert!(check(&[Fault::Crash], Leg::Installing, late()).is_err(), "a restart explains nothing");
        assert!(check(&[Fault::LostReply(Message::Webhook)], Leg::Installing, late()).is_err());
        assert!(
            check(&[Fault::PowerCut], Leg::Joining(provisioning_core::machine::JoinStep::Join), FailureReason::KeyLost)
                .is_err()
        );
        assert!(check(&[], Leg::Installing, FailureReason::Cancelled).is_err());
    }
}
