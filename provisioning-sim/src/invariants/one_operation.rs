//! At most one operation runs on a host, and the outbox holds work of no other.

use provisioning_core::machine::WorkKind;

use super::{Invariant, Scene, Verdict};

pub(super) struct OneOperation;

impl Invariant for OneOperation {
    fn name(&self) -> &'static str {
        "outbox work is only for the one running operation"
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        for work in &scene.work {
            let Some(record) = scene.hosts.get(&work.host) else {
                return Err(format!("{} is owed for a host that is gone", work.id.kind.as_str()));
            };
            let runs = record.state.running() == Some(work.id.operation);
            // The key goes when its operation is over, and only then.
            if runs == (work.id.kind == WorkKind::EraseKey) {
                let (kind, name, phase) = (work.id.kind.as_str(), &record.host.name, record.state.phase());
                return Err(format!("{kind} of {} is owed while {name} is {phase}", work.id.operation));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::JoinStep;
    use provisioning_core::ports::{Work, WorkId};

    use super::super::sample::{at, host, joining, operation, ready, scene};
    use super::*;

    #[test]
    fn it_fires_on_work_of_an_operation_that_does_not_run() {
        let mut scene = scene(joining(JoinStep::Join));
        let id = WorkId { operation: operation(1), kind: WorkKind::Join };
        scene.work = vec![Work { id, host: host(), due: at(0), attempts: 0, last_error: None }];
        OneOperation.look(&scene).unwrap();
        scene.work[0].id.operation = operation(2);
        assert!(OneOperation.look(&scene).is_err());
        scene.work[0].id = WorkId { operation: operation(1), kind: WorkKind::EraseKey };
        assert!(OneOperation.look(&scene).is_err(), "a running operation needs its key");
        scene.hosts.values_mut().for_each(|record| record.state = ready());
        OneOperation.look(&scene).unwrap();
    }
}
