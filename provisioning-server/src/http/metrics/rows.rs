//! What is counted when it is asked for: rows, files, slots, the boot server, the certificate.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use nix::sys::statvfs::statvfs;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use provisioning_core::machine::{Phase, WorkKind};
use provisioning_core::ports::StoreError;

use super::labels::{OfFile, OfPhase, OfSlots, OfWork, Sometimes};
use crate::http::App;
use crate::tls::Tls;

/// What stands around the server, where that is known.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The database's file.
    pub database: PathBuf,
    /// The certificate that is shown.
    pub tls: Option<Tls>,
}

/// The figures.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    hosts: Family<OfPhase, Gauge>,
    overdue: Gauge,
    outbox: Family<OfWork, Gauge>,
    outbox_age: Gauge<f64, AtomicU64>,
    images: Gauge,
    type_faults: Gauge,
    slots: Family<OfSlots, Gauge>,
    slots_max: Family<Sometimes, Gauge>,
    boot_server: Family<Sometimes, Gauge>,
    boot_server_restarts: Family<Sometimes, Counter>,
    certificate_end: Family<Sometimes, Gauge<f64, AtomicU64>>,
    files: Family<OfFile, Gauge>,
    disk_free: Family<Sometimes, Gauge>,
    disk_size: Family<Sometimes, Gauge>,
    surroundings: Arc<OnceLock<Surroundings>>,
}

impl Rows {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("hosts", "Hosts in each phase", self.hosts.clone());
        registry.register("legs_overdue", "Operations whose leg is past its deadline", self.overdue.clone());
        registry.register("outbox_depth", "Work that is owed, by its kind", self.outbox.clone());
        let help = "How long the work that is owed longest has been due";
        registry.register_with_unit("outbox_age", help, Unit::Seconds, self.outbox_age.clone());
        registry.register("images", "Images that can be installed", self.images.clone());
        let help = "What is wrong with the last edit of server-types.yaml";
        registry.register("server_type_faults", help, self.type_faults.clone());
        registry.register("download_slots", "Machines that download, and that wait for it", self.slots.clone());
        registry.register("download_slots_max", "How many machines may download at once", self.slots_max.clone());
        registry.register("boot_server_up", "Whether our boot server answers machines", self.boot_server.clone());
        let help = "How often our boot server was started again";
        registry.register("boot_server_restarts", help, self.boot_server_restarts.clone());
        let help = "When the certificate ends, since 1970";
        registry.register_with_unit("certificate_end_time", help, Unit::Seconds, self.certificate_end.clone());
        let help = "Sizes of the database and of its write-ahead log";
        registry.register_with_unit("store_file_size", help, Unit::Bytes, self.files.clone());
        let help = "Room that is left where the data is kept";
        registry.register_with_unit("data_disk_free", help, Unit::Bytes, self.disk_free.clone());
        let help = "Room that there is where the data is kept";
        registry.register_with_unit("data_disk_size", help, Unit::Bytes, self.disk_size.clone());
    }

    /// Tells where to look; the first word counts.
    pub(super) fn look_at(&self, surroundings: Surroundings) {
        self.surroundings.get_or_init(|| surroundings);
    }

    /// Counts.
    pub(super) async fn count(&self, app: &App) -> Result<(), StoreError> {
        let store = app.orchestrator.store();
        let now = app.orchestrator.now();
        let counts = store.count_by_phase().await?;
        for phase in Phase::ALL {
            let count = counts.get(&phase).copied().unwrap_or(0);
            self.hosts.get_or_create(&OfPhase { phase: phase.as_str() }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.overdue.set(number(store.overdue(now).await?.len()));
        let work = store.work().await?;
        for kind in WorkKind::ALL {
            let owed = work.iter().filter(|work| work.id.kind == kind).count();
            self.outbox.get_or_create(&OfWork { work: kind.as_str() }).set(number(owed));
        }
        let oldest = work.iter().map(|work| work.due).min();
        self.outbox_age.set(oldest.map_or(0.0, |due| now.since(due).as_secs_f64()));
        self.images.set(number(store.images().await?.len()));
        self.look_around(app);
        Ok(())
    }

    fn look_around(&self, app: &App) {
        let faults = app.server_type_faults.read().unwrap_or_else(PoisonError::into_inner).len();
        self.type_faults.set(number(faults));
        let slots = app.downloads.slots_taken(app.orchestrator.now());
        for (state, count) in [("in_use", slots.in_use), ("waiting", slots.waiting)] {
            self.slots.get_or_create(&OfSlots { state }).set(number(count));
        }
        if let Some(limit) = slots.limit {
            self.slots_max.get_or_create(&Sometimes {}).set(number(limit));
        }
        if let Some(health) = app.boot_server.report() {
            self.boot_server.get_or_create(&Sometimes {}).set(i64::from(health.trouble.is_none()));
            let restarts = self.boot_server_restarts.get_or_create(&Sometimes {});
            restarts.inner().store(health.restarts, Ordering::Relaxed);
        }
        let Some(Surroundings { database, tls }) = self.surroundings.get() else { return };
        if let Some(end) = tls.as_ref().and_then(Tls::ends) {
            let end = std::time::Duration::from_millis(u64::try_from(end.as_millis()).unwrap_or(0));
            self.certificate_end.get_or_create(&Sometimes {}).set(end.as_secs_f64());
        }
        self.look_at_disk(database);
    }

    fn look_at_disk(&self, database: &Path) {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        for (file, path) in [("database", database), ("log", Path::new(&log))] {
            let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            self.files.get_or_create(&OfFile { file }).set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        if let Ok(disk) = statvfs(database.parent().unwrap_or(Path::new("/"))) {
            let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(disk.fragment_size())).unwrap_or(i64::MAX);
            self.disk_free.get_or_create(&Sometimes {}).set(bytes(disk.blocks_available()));
            self.disk_size.get_or_create(&Sometimes {}).set(bytes(disk.blocks()));
        }
    }
}

pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
impl Rows {
    /// Gives a value to what is left out while there is none.
    pub(super) fn fill(&self) {
        self.hosts.get_or_create(&OfPhase { phase: Phase::Ready.as_str() }).set(1);
        self.outbox.get_or_create(&OfWork { work: WorkKind::Join.as_str() }).set(1);
        self.slots.get_or_create(&OfSlots { state: "in_use" }).set(1);
        self.files.get_or_create(&OfFile { file: "database" }).set(1);
        for figure in [&self.slots_max, &self.boot_server, &self.disk_free, &self.disk_size] {
            figure.get_or_create(&Sometimes {}).set(1);
        }
        self.boot_server_restarts.get_or_create(&Sometimes {}).inc();
        self.certificate_end.get_or_create(&Sometimes {}).set(1.0);
    }
}
