//! The world in the hands of a test or an example: it moves only while somebody waits for something.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::machine::{BootAnswer, FailureReason, HostState, Phase};
use provisioning_core::ports::Clock as _;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::fault::Fault;
use super::options::Options;
use super::person;
use super::plant::Plant;
use super::report::Outcome;
use super::run;
use super::seat::Seat;
use super::state::World;

/// A world that a script drives. Nothing goes wrong in it but what is asked for.
pub struct Lab {
    world: Arc<World>,
    runtime: Runtime,
    tasks: JoinSet<()>,
}

/// How long [`Lab::until`] waits, by the world's clock.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);

impl Lab {
    /// A world of as many hosts as the options say; their names are `pve-01`, `pve-02` …
    pub fn new(options: Options) -> Self {
        Self::with_bug(options, Plant::default())
    }

    /// The same with a planted bug.
    pub fn with_bug(options: Options, plant: Plant) -> Self {
        let runtime = run::runtime();
        let world = runtime.block_on(async { World::new(options, plant) });
        let mut tasks = JoinSet::new();
        runtime.block_on(run::begin(&world, &mut tasks));
        Self { world, runtime, tasks }
    }

    /// Puts an operator in charge of every host: registers it, rebuilds it, presses its button, follows the advice
    /// of its failures, and goes home when it is ready.
    pub fn operators_begin(&mut self) {
        self.world.healing.throw();
        for number in 0..self.world.seats.len() {
            self.tasks.spawn_on(person::run(Arc::clone(&self.world), number), self.runtime.handle());
        }
    }

    /// Waits until the host has come to a phase, and past it if the phase is short. `false` when it never does.
    pub fn until(&mut self, host: &str, phase: Phase) -> bool {
        let world = &self.world;
        let seat = seat(world, host);
        self.runtime.block_on(async {
            let arrived = async {
                loop {
                    if world.state(seat).is_some_and(|state| state.phase() == phase) {
                        return true;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! {
                biased;
                () = world.stopped.thrown() => false,
                arrived = tokio::time::timeout(PATIENCE, arrived) => arrived.unwrap_or(false),
            }
        })
    }

    /// Makes something go wrong at its next occasion: on a host, or on the site.
    pub fn afflict(&mut self, host: Option<&str>, fault: Fault) {
        self.world.schedule(host.map(|name| seat(&self.world, name)), fault);
    }

    /// Kills the process, wherever it is; it starts again by itself.
    pub fn kill_process(&mut self) {
        self.world.process.kill();
    }

    /// Makes the wall clock leap.
    pub fn leap_forward(&mut self, time: Duration) {
        self.leap(Fault::ClockForward, i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets the wall clock back.
    pub fn leap_back(&mut self, time: Duration) {
        self.leap(Fault::ClockBack, i64::try_from(time.as_millis()).map_or(i64::MIN, |millis| -millis));
    }

    fn leap(&mut self, fault: Fault, millis: i64) {
        // Outside of the runtime its paused clock is not seen.
        let _inside = self.runtime.enter();
        self.world.did(None, fault, Duration::ZERO);
        self.world.leap(millis);
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// Waits until nothing is owed, and has every rule look at the silence.
    pub fn settle(&mut self) {
        self.runtime.block_on(run::settle(&self.world));
        // Outside of the runtime its paused clock is not seen.
        let _inside = self.runtime.enter();
        self.world.look(true);
    }

    /// The host's phase.
    pub fn phase(&self, host: &str) -> Option<Phase> {
        self.world.state(seat(&self.world, host)).map(|state| state.phase())
    }

    /// Why the host's latest operation failed, if it has.
    pub fn why(&self, host: &str) -> Option<FailureReason> {
        match self.world.state(seat(&self.world, host)) {
            Some(HostState::Failed { why, .. }) => Some(why),
            _ => None,
        }
    }

    /// Whether the one-time key is out of the vault and out of every file of the host.
    pub fn key_is_gone(&self, host: &str) -> bool {
        // Outside of the runtime its paused clock is not seen.
        let _inside = self.runtime.enter();
        self.world.look(true);
        let id = seat(&self.world, host).id();
        let record = self.world.record();
        let stands = id.and_then(|id| record.scene.nodes.get(&id)).is_none_or(|node| node.key_stands);
        record.scene.held.is_empty() && !stands
    }

    /// Whether the boot plan sends the host to its disk.
    pub fn boots_from_disk(&self, host: &str) -> bool {
        let mac = seat(&self.world, host).mac;
        let record = self.world.record();
        let entry = record.scene.plan.iter().flat_map(|plan| &plan.entries).find(|entry| entry.mac == mac);
        entry.is_some_and(|entry| entry.answer == BootAnswer::LocalDisk)
    }

    /// The wall clock, in words.
    pub fn clock(&self) -> String {
        // Outside of the runtime its paused clock is not seen.
        let _inside = self.runtime.enter();
        self.world.clock.now().to_string()
    }

    /// Ends the world and tells what happened.
    pub fn end(self) -> Outcome {
        run::end(self.runtime, self.tasks, &self.world)
    }
}

fn seat<'a>(world: &'a World, host: &str) -> &'a Seat {
    world.seats.iter().find(|seat| seat.name.as_str() == host).expect("the lab has a host of this name")
}
