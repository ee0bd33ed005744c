//! No one-time key outlives its operation by more than a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use provisioning_core::machine::HostState;
use provisioning_core::model::{OperationId, Timestamp};

use super::{Invariant, Scene, Verdict};

/// How long a key that nobody needs may lie in the vault: longer than our process is ever down and the vault
/// fails in a row.
const BOUND: Duration = Duration::from_secs(15 * 60);

#[derive(Default)]
pub(super) struct Keys {
    /// Keys that nobody needs, and since when.
    idle: BTreeMap<OperationId, Timestamp>,
}

fn is_needed(operation: OperationId, scene: &Scene) -> bool {
    scene.hosts.values().any(|record| match &record.state {
        HostState::Provisioning { run, .. } => run.operation == operation,
        HostState::Failed { by, resumable_until, .. } => {
            *by == operation && resumable_until.is_some_and(|until| scene.now < until)
        }
        HostState::Registered | HostState::Ready { .. } => false,
    })
}

impl Invariant for Keys {
    fn name(&self) -> &'static str {
        "no key outlives its operation"
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        self.idle.retain(|operation, _| scene.held.contains(operation) && !is_needed(*operation, scene));
        for operation in &scene.held {
            if is_needed(*operation, scene) {
                continue;
            }
            let since = *self.idle.entry(*operation).or_insert(scene.now);
            if scene.now.since(since.max(scene.disturbed_at)) > BOUND {
                return Err(format!("the key of {operation} is of no use since {since} and lies in the vault still"));
            }
        }
        Ok(())
    }

    fn quiet(&mut self, scene: &Scene) -> Verdict {
        match scene.held.iter().find(|operation| !is_needed(**operation, scene)) {
            Some(left) => Err(format!("the key of {left} was left in the vault")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{operation, ready, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_key_that_stays() {
        let mut scene = scene(ready());
        let mut rule = Keys::default();
        scene.held = vec![operation(1)];
        rule.look(&scene).unwrap();
        scene.now = scene.now + BOUND + Duration::from_secs(1);
        assert!(rule.look(&scene).is_err());
        assert!(rule.quiet(&scene).is_err());
        scene.held.clear();
        rule.look(&scene).unwrap();
        rule.quiet(&scene).unwrap();
    }
}
