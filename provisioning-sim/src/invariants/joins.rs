//! Joins never overlap, and never begin without quorum unless the quorum was taken from us.

use std::collections::BTreeMap;

use provisioning_core::model::{HostId, OperationId, Timestamp};

use super::{Deed, Invariant, Scene, Seen, Verdict};
use crate::world::Fault;

#[derive(Default)]
pub(super) struct Joins {
    /// Until when members are gone through no fault of ours.
    outage_until: Option<Timestamp>,
    /// Who began the latest join.
    latest: BTreeMap<HostId, OperationId>,
}

impl Invariant for Joins {
    fn name(&self) -> &'static str {
        "joins never overlap and never begin without quorum"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        match seen {
            Seen::Deed(Deed::Fault { fault: Fault::QuorumLost, until, .. }) => {
                self.outage_until = Some(*until);
                Ok(())
            }
            Seen::Deed(Deed::JoinStarted { host, operation, quorate }) => {
                self.latest.insert(*host, *operation);
                if !quorate && self.outage_until.is_none_or(|until| scene.now > until) {
                    return Err(format!("{operation} began to join a cluster without quorum"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        if scene.cluster.joins_at_once_max > 1 {
            return Err(format!("{} joins were at work at once: {:?}", scene.cluster.joins_at_once_max, self.latest));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::JoinStep;

    use super::super::sample::{at, deed, host, joining, operation, scene};
    use super::*;

    #[test]
    fn it_fires_on_two_joins_at_once_and_on_one_without_quorum() {
        let mut scene = scene(joining(JoinStep::Join));
        let mut rule = Joins::default();
        let began = |quorate| Deed::JoinStarted { host: host(), operation: operation(1), quorate };
        deed(&mut rule, &began(true), &scene).unwrap();
        assert!(deed(&mut rule, &began(false), &scene).is_err());
        let outage = Deed::Fault { host: None, fault: Fault::QuorumLost, until: at(60) };
        deed(&mut rule, &outage, &scene).unwrap();
        deed(&mut rule, &began(false), &scene).unwrap();
        rule.look(&scene).unwrap();
        scene.cluster.joins_at_once_max = 2;
        assert!(rule.look(&scene).is_err());
    }
}
