//! The cluster never loses its quorum through us.

use super::{Deed, Invariant, Scene, Seen, Verdict};
use crate::world::Fault;

#[derive(Default)]
pub(super) struct Quorum {
    /// Losses that were done to the cluster.
    excused: u32,
}

impl Invariant for Quorum {
    fn name(&self) -> &'static str {
        "the cluster never loses its quorum through us"
    }

    fn see(&mut self, seen: Seen<'_>, _: &Scene) -> Verdict {
        if let Seen::Deed(Deed::Fault { fault: Fault::QuorumLost, .. }) = seen {
            self.excused += 1;
        }
        Ok(())
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        let losses = scene.cluster.quorum_losses;
        if losses > self.excused {
            Err(format!("it was lost {losses} times, {} by others", self.excused))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::JoinStep;

    use super::super::sample::{deed, fault, joining, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_loss_that_nobody_else_brought_about() {
        let mut scene = scene(joining(JoinStep::Join));
        let mut rule = Quorum::default();
        scene.cluster.quorum_losses = 1;
        assert!(rule.look(&scene).is_err());
        deed(&mut rule, &fault(Fault::QuorumLost), &scene).unwrap();
        rule.look(&scene).unwrap();
    }
}
