//! What a phase owes stands in the outbox as long as the phase lasts.

use provisioning_core::machine::{HostState, JoinStep, Leg, WorkKind};

use super::{Invariant, Scene, Verdict};

pub(super) struct Outbox;

impl Invariant for Outbox {
    fn name(&self) -> &'static str {
        "what a phase owes stands in the outbox"
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        for record in scene.hosts.values() {
            let HostState::Provisioning { leg, run } = &record.state else { continue };
            let kind = match leg {
                Leg::FirstBoot => WorkKind::OpenShell,
                Leg::Joining(JoinStep::Join) => WorkKind::Join,
                Leg::Joining(JoinStep::RevokeKey) => WorkKind::RevokeKey,
                Leg::Joining(JoinStep::Register) => WorkKind::Register,
                Leg::PxeReady | Leg::PxeBooted | Leg::Installing | Leg::Installed => continue,
            };
            if !scene.work.iter().any(|work| work.id.kind == kind && work.id.operation == run.operation) {
                return Err(format!("{} is {leg:?}, and nobody owes it {}", record.host.name, kind.as_str()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{joining, provisioning, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_join_that_nobody_will_do() {
        assert!(Outbox.look(&scene(joining(JoinStep::Join))).is_err());
        assert!(Outbox.look(&scene(provisioning(Leg::FirstBoot))).is_err());
        Outbox.look(&scene(provisioning(Leg::Installing))).unwrap();
    }
}
