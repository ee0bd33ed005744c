//! The inventory learns of a host when all else is done, and agrees with its last phase.

use provisioning_core::machine::{HostState, JoinStep, Leg};

use super::{Deed, Invariant, Scene, Seen, Verdict};

pub(super) struct Inventory;

impl Invariant for Inventory {
    fn name(&self) -> &'static str {
        "the inventory agrees with the hosts"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        let Seen::Deed(Deed::Registered { host, operation }) = seen else { return Ok(()) };
        let state = scene.hosts.get(host).map(|record| &record.state);
        // A request that was under way when the operation ended arrives after its end.
        let is_due = match state {
            Some(HostState::Provisioning { leg, run }) => {
                run.operation != *operation || *leg == Leg::Joining(JoinStep::Register)
            }
            Some(HostState::Failed { during, .. }) => *during == Leg::Joining(JoinStep::Register),
            Some(HostState::Ready { by, .. }) => by == operation,
            Some(HostState::Registered) | None => false,
        };
        if is_due { Ok(()) } else { Err(format!("the inventory was told of {operation} while its host is {state:?}")) }
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        for (id, record) in &scene.hosts {
            let HostState::Ready { by, .. } = record.state else { continue };
            if scene.inventory.get(id) != Some(&by) {
                let known = scene.inventory.get(id);
                return Err(format!("{} is ready by {by}, the inventory knows {known:?}", record.host.name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{deed, host, joining, operation, ready, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_host_that_is_published_early_or_never() {
        let told = Deed::Registered { host: host(), operation: operation(1) };
        assert!(deed(&mut Inventory, &told, &scene(joining(JoinStep::Join))).is_err());
        deed(&mut Inventory, &told, &scene(joining(JoinStep::Register))).unwrap();
        let mut ready = scene(ready());
        assert!(Inventory.look(&ready).is_err());
        ready.inventory.insert(host(), operation(1));
        Inventory.look(&ready).unwrap();
    }
}
