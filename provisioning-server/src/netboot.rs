//! What the server knows of netbooting beside the boot plan: the programs that firmware loads by HTTP, and the boot
//! server that runs beside us, if one does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use provisioning_core::netboot::Sighting;
use provisioning_core::orchestrator::Orchestrator;
use tokio::sync::mpsc;

/// A future without a result.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Netbooting as it was set up.
pub struct Netboot {
    /// The folder of the boot programs.
    pub programs: PathBuf,
    /// The boot server, when it is ours.
    pub service: Option<Service>,
}

impl Netboot {
    /// Boot programs alone: the operator's DHCP server tells machines of them.
    pub fn without_service(programs: &Path) -> Self {
        Self { programs: programs.to_owned(), service: None }
    }
}

/// A boot server of our own.
pub struct Service {
    /// Keeps it running until the future that it is given ends.
    pub keep: Box<dyn FnOnce(Task) -> Task + Send>,
    /// What it sees.
    pub sightings: mpsc::Receiver<Sighting>,
    /// How it fares.
    pub health: Health,
}

/// How our boot server fares now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootServerHealth {
    /// Why machines are not answered; `None` when they are.
    pub trouble: Option<String>,
    /// How often it was started again since our own start.
    pub restarts: u64,
}

/// Tells how the boot server fares; it has nothing to tell of where none is ours.
#[derive(Clone, Default)]
pub struct Health(Option<Arc<dyn Fn() -> BootServerHealth + Send + Sync>>);

impl Health {
    /// From a question that is asked anew each time.
    pub fn new(ask: impl Fn() -> BootServerHealth + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    /// How it fares; `None` where the operator's DHCP server does its work.
    pub fn report(&self) -> Option<BootServerHealth> {
        self.0.as_ref().map(|ask| ask())
    }

    /// Why machines are not answered; `None` when they are, or when that is not our business.
    pub fn trouble(&self) -> Option<String> {
        self.report()?.trouble
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.report()).finish()
    }
}

/// Passes on what the boot server sees, until it is gone.
pub(crate) async fn pass_on(mut sightings: mpsc::Receiver<Sighting>, orchestrator: Arc<Orchestrator>) {
    while let Some(sighting) = sightings.recv().await {
        tracing::debug!(?sighting, "the boot server saw a machine");
        orchestrator.sighted(sighting).await;
    }
}
