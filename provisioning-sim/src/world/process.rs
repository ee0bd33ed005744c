//! Our process in the world: it starts, it is killed anywhere, and after a while it starts again.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use provisioning_core::machine::Policy;
use provisioning_core::orchestrator::{OperatorError, Orchestrator};
use provisioning_core::ports::StoreError;
use tokio::sync::Notify;

use super::plant::Server;
use super::state::{World, lock};
use super::switch::Switch;
use super::{ports, site};
use crate::invariants::Deed;

/// The process, dead or alive.
#[derive(Default)]
pub(crate) struct Process {
    life: Mutex<Option<Life>>,
    up: Notify,
    lives: AtomicU64,
}

/// From a start to a death.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) server: Arc<dyn Server>,
    pub(crate) dead: Switch,
}

/// The process died under the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Died;

impl Process {
    /// How many processes there were.
    pub(crate) fn count(&self) -> u64 {
        self.lives.load(Ordering::SeqCst)
    }

    /// The process that lives now, or the next one: the listening socket outlives it.
    pub(crate) async fn life(&self) -> Life {
        loop {
            // Made before the look, so that no start in between is missed.
            let up = self.up.notified();
            if let Some(life) = lock(&self.life).clone() {
                return life;
            }
            up.await;
        }
    }

    /// Kills it, if it lives.
    pub(crate) fn kill(&self) {
        if let Some(life) = &*lock(&self.life) {
            life.dead.throw();
        }
    }

    fn set(&self, life: Option<Life>) {
        *lock(&self.life) = life;
        self.up.notify_waiters();
    }

    /// The end of the world: nothing keeps it alive any longer.
    pub(crate) fn bury(&self) {
        lock(&self.life).take();
    }
}

impl Life {
    fn begin(world: &Arc<World>) -> Self {
        world.process.lives.fetch_add(1, Ordering::SeqCst);
        let dead = Switch::default();
        let ports = (world.plant.ports)(ports::ports(world, &dead));
        let orchestrator = Arc::new(Orchestrator::new(ports, site::site(), Policy::default(), site::server_types()));
        let server = (world.plant.server)(Arc::clone(&orchestrator));
        Self { orchestrator, server, dead }
    }

    /// Does something with the process, unless it dies meanwhile.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> Result<T, Died> {
        tokio::select! {
            biased;
            () = self.dead.thrown() => Err(Died),
            done = call => Ok(done),
        }
    }
}

/// Runs the process, again and again.
pub(crate) async fn supervise(world: Arc<World>) {
    loop {
        let life = Life::begin(&world);
        world.deed(Deed::ProcessStarted);
        world.process.set(Some(life.clone()));
        let run = Arc::clone(&life.orchestrator).run(std::future::pending());
        life.call(run).await.ok();
        world.process.set(None);
        drop(life);
        tokio::time::sleep(world.draw_seconds(1, 40)).await;
    }
}

/// The site's one image: imported once, whatever happens.
pub(crate) async fn import_image(world: Arc<World>) {
    loop {
        let life = world.process.life().await;
        match life.call(life.orchestrator.add_image(&site::image())).await {
            Ok(Ok(()) | Err(OperatorError::Store(StoreError::ImageExists(_)))) => return,
            Ok(Err(_)) | Err(Died) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

/// Reads the journal as a browser does: resumes where it stopped, after every death, and after quarrels of its own.
pub(crate) async fn subscribe(world: Arc<World>) {
    let mut after = 0;
    let mut dice = world.dice(2_000_000);
    loop {
        let life = world.process.life().await;
        let mut feed = life.orchestrator.feed(after);
        while let Ok(Ok(entries)) = life.call(feed.next()).await {
            world.read(&entries);
            after = entries.last().map_or(after, |entry| entry.seq);
            if dice.strikes(300) {
                break;
            }
        }
        // A reader that was told of trouble comes back a little later.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
