//! One run: hours of trouble, then healing, then silence.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::machine::Phase;
use provisioning_core::ports::{JournalQuery, Store};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::options::Options;
use super::plant::Plant;
use super::record::at_once;
use super::report::Outcome;
use super::state::World;
use super::{machine, person, process, weather};

/// How long healing may take, by the hosts' own time limits.
pub const HEALING_TIME: Duration = Duration::from_secs(3 * 3_600);

/// How long the outbox may need until it is empty.
const SETTLING_TIME: Duration = Duration::from_secs(20 * 60);

/// Runs a world from beginning to end. The same options give the same journal, byte for byte.
pub fn run(options: Options, plant: Plant) -> Outcome {
    let runtime = runtime();
    let world = runtime.block_on(async { World::new(options, plant) });
    let mut tasks = JoinSet::new();
    runtime.block_on(live(&world, &mut tasks));
    end(runtime, tasks, &world)
}

/// A runtime whose time stands still until everybody waits.
pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system")
}

/// Starts everything that does not belong to one host.
pub(super) async fn begin(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    tasks.spawn(process::supervise(Arc::clone(world)));
    tasks.spawn(process::subscribe(Arc::clone(world)));
    tasks.spawn(weather::inspect(Arc::clone(world)));
    for number in 0..world.seats.len() {
        tasks.spawn(machine::run(Arc::clone(world), number));
    }
    process::import_image(Arc::clone(world)).await;
}

async fn live(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    begin(world, tasks).await;
    tasks.spawn(weather::run(Arc::clone(world)));
    let mut people = JoinSet::new();
    for number in 0..world.seats.len() {
        people.spawn(person::run(Arc::clone(world), number));
    }
    let trouble = Duration::from_secs(3_600) * world.options.hours;
    tokio::select! {
        biased;
        () = world.stopped.thrown() => return,
        () = tokio::time::sleep(trouble) => {}
    }
    world.heal();
    let healed = async { while people.join_next().await.is_some() {} };
    tokio::select! {
        biased;
        () = world.stopped.thrown() => return,
        healed = tokio::time::timeout(HEALING_TIME, healed) => if healed.is_err() {
            world.breaks("everything heals", unhealed(world));
            return;
        },
    }
    settle(world).await;
    world.look(true);
}

fn unhealed(world: &World) -> String {
    let record = world.record();
    let rows = record.scene.hosts.values().filter(|row| row.state.phase() != Phase::Ready);
    let rows: Vec<String> = rows.map(|row| format!("{}: {:?}", row.host.name, row.state)).collect();
    format!("after {} hours without faults: {}", HEALING_TIME.as_secs() / 3_600, rows.join(", "))
}

/// Waits until nothing is owed, and the subscriber has read everything.
pub(super) async fn settle(world: &World) {
    let settled = async {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if world.record().scene.work.is_empty() {
                break;
            }
        }
        // A last plan, a last entry.
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    if tokio::time::timeout(SETTLING_TIME, settled).await.is_err() {
        let owed = format!("{:?}", world.record().scene.work);
        world.breaks("the outbox empties", owed);
    }
}

/// Ends the world and writes down what became of it.
pub(super) fn end(runtime: Runtime, mut tasks: JoinSet<()>, world: &Arc<World>) -> Outcome {
    tasks.abort_all();
    drop(tasks);
    drop(runtime);
    world.process.bury();
    let journal = at_once(world.store.journal(&JournalQuery::after(0, usize::MAX))).unwrap_or_default();
    let mut record = world.record();
    let mut statistics = std::mem::take(&mut record.statistics);
    statistics.points = world.points();
    let deeds = std::mem::take(&mut record.deeds);
    Outcome { options: world.options.clone(), broken: record.broken.clone(), statistics, journal, deeds }
}
