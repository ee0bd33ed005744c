//! Nobody stays in a leg past its deadline, plus a tick of the clockwork.

use std::time::Duration;

use super::{Invariant, Scene, Verdict};

/// The clockwork sleeps 30 s at most, and a leap of the clock is seen when it wakes. The rest is for a store that
/// is slow.
const TICK: Duration = Duration::from_secs(60);

pub(super) struct Deadlines;

impl Invariant for Deadlines {
    fn name(&self) -> &'static str {
        "nobody stays in a leg past its deadline"
    }

    fn look(&mut self, scene: &Scene) -> Verdict {
        for record in scene.hosts.values() {
            let Some(deadline) = record.state.deadline() else { continue };
            if scene.now > deadline.max(scene.disturbed_at) + TICK {
                return Err(format!("{} is {} since before {deadline}", record.host.name, record.state.phase()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::machine::{HostState, Leg, Run};

    use super::super::sample::{at, operation, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_host_that_nobody_gave_up() {
        let run = Run::new(operation(1), at(0), Some(at(10)));
        let mut scene = scene(HostState::Provisioning { leg: Leg::Installing, run });
        scene.now = at(69);
        Deadlines.look(&scene).unwrap();
        scene.now = at(71);
        assert!(Deadlines.look(&scene).is_err());
        scene.disturbed_at = at(30);
        Deadlines.look(&scene).unwrap();
    }
}
