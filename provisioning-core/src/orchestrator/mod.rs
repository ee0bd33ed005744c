//! The orchestrator: thin async around the machine. Every change of a host's state passes `Orchestrator::apply`.
//!
//! Read on in `operators` (what people ask), `machines`, `answers` and `reports`
//! (what hosts ask and tell), `sightings`, `discovery` and `diagnosis` (machines on their way here), `clockwork`
//! (deadlines and the outbox), `work`, `join` and `verdict` (what is done on a host), `lane` and `witness` (when, and who
//! confirms it), `retention` and `restored` (what becomes of old and of restored data).

mod answers;
mod apply;
mod clockwork;
mod damper;
mod diagnosis;
mod discovery;
mod error;
mod feed;
mod hardware;
mod join;
mod lane;
mod leaps;
mod machines;
mod operators;
mod outcry;
mod patience;
mod preflight;
mod reports;
mod restored;
mod retention;
mod sightings;
mod spans;
mod verdict;
mod whereabouts;
mod witness;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::{Notify, watch};

use crate::machine::Policy;
use crate::model::{CertFingerprint, OperationId, ServerType, ServerTypeKey, Site};
use crate::ports::{
    BootServer, Clock, ClusterMember, Entropy, Inventory, NewEntry, Power, RemoteShell, Store, StoreError, Vault,
};

pub use answers::{AnswerRequest, ServedAnswer};
pub use error::{AnswerRefusal, OperatorError, ReportRefusal, TokenError};
pub use feed::Feed;
pub use lane::{JoinPlace, JoinQueue, JoinTurn, JoinWait};
pub use machines::{BootReply, BootRequest};
pub use operators::{AddressEdit, HostEdit, NewHost, Rebuild, Started};
pub use preflight::Preflight;
pub use reports::Report;
pub use retention::Retention;

/// Everything the orchestrator asks of the world.
#[derive(Clone)]
pub struct Ports {
    /// Hosts, operations, journal, outbox, images.
    pub store: Arc<dyn Store>,
    /// One-time keys.
    pub vault: Arc<dyn Vault>,
    /// What answers netbooting firmware.
    pub boot_server: Arc<dyn BootServer>,
    /// Root's shell on hosts.
    pub shell: Arc<dyn RemoteShell>,
    /// An existing member of the cluster, where one may be asked.
    pub member: Arc<dyn ClusterMember>,
    /// The operator's inventory.
    pub inventory: Arc<dyn Inventory>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Power cycles.
    pub power: Arc<dyn Power>,
}

/// The hardware classes that hosts may name.
pub type ServerTypes = BTreeMap<ServerTypeKey, ServerType>;

/// Brings hosts to ready. Share it in an [`Arc`]; exactly one may [`run`](Self::run) on a store at a time.
pub struct Orchestrator {
    ports: Ports,
    site: Arc<Site>,
    /// The site with the certificate that machines are shown now.
    shown: RwLock<Arc<Site>>,
    policy: Policy,
    server_types: RwLock<Arc<ServerTypes>>,
    /// Wakes the clockwork: something may be due.
    bell: Notify,
    /// The boot plan may have changed.
    boot_is_stale: AtomicBool,
    /// The vault may hold keys of operations that never began.
    vault_is_unswept: AtomicBool,
    /// How many turns the loop of `run` has made.
    turns: watch::Sender<u64>,
    /// Place of the last journal entry that we know of: the bell of all feeds.
    last_seq: watch::Sender<u64>,
    /// Operations whose key is in the vault while their row is not yet in the store.
    /// The end of the journal, for all feeds.
    recent: Arc<feed::Recent>,
    starting: Mutex<BTreeSet<OperationId>>,
    damper: damper::Damper,
    trail_damper: damper::TrailDamper,
    whereabouts: whereabouts::Whereabouts,
    discovery: discovery::Discovery,
    /// The trouble with the store that the log has told of.
    store_outcry: outcry::Outcry,
    /// The same of the boot server.
    boot_outcry: outcry::Outcry,
}

impl Orchestrator {
    /// An orchestrator over `ports`. Nothing happens by itself before [`run`](Self::run) is polled.
    pub fn new(ports: Ports, site: Arc<Site>, policy: Policy, server_types: ServerTypes) -> Self {
        Self {
            ports,
            shown: RwLock::new(Arc::clone(&site)),
            site,
            policy,
            server_types: RwLock::new(Arc::new(server_types)),
            bell: Notify::new(),
            boot_is_stale: AtomicBool::new(true),
            vault_is_unswept: AtomicBool::new(true),
            turns: watch::Sender::new(0),
            last_seq: watch::Sender::new(0),
            recent: Arc::default(),
            starting: Mutex::default(),
            damper: damper::Damper::default(),
            trail_damper: damper::TrailDamper::default(),
            whereabouts: whereabouts::Whereabouts::default(),
            discovery: discovery::Discovery::default(),
            store_outcry: outcry::Outcry::default(),
            boot_outcry: outcry::Outcry::default(),
        }
    }

    /// Puts other hardware classes in force. Running operations keep what they were started with.
    pub fn replace_server_types(&self, server_types: ServerTypes) {
        *self.server_types.write().expect("no caller panics while it holds the server types") = Arc::new(server_types);
    }

    /// The hardware classes in force.
    pub fn server_types(&self) -> Arc<ServerTypes> {
        Arc::clone(&self.server_types.read().expect("no caller panics while it holds the server types"))
    }

    /// The store, for reading. Writing past the orchestrator would go unheard.
    pub fn store(&self) -> &dyn Store {
        &*self.ports.store
    }

    /// What all hosts share, as it was given at the start.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The same with the certificate that is shown now: what machines are told is made from this.
    pub fn site_now(&self) -> Arc<Site> {
        Arc::clone(&self.shown.read().expect("no caller panics while it holds the site"))
    }

    /// Another certificate is shown from now on. Machines that were told of the one before trust only that: an
    /// installation under way may fail by it.
    pub fn replace_certificate(&self, tls_fingerprint: Option<CertFingerprint>) {
        let site = Site { tls_fingerprint, ..Site::clone(&self.site) };
        *self.shown.write().expect("no caller panics while it holds the site") = Arc::new(site);
    }

    /// The time limits in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Writes journal entries that change no row.
    ///
    /// # Errors
    /// What the store says.
    pub async fn write_down(&self, entries: Vec<NewEntry>) -> Result<(), StoreError> {
        let last = self.ports.store.append(entries).await?;
        self.heard_of(last);
        Ok(())
    }

    /// Tells the clockwork and all feeds that something was written behind the orchestrator's back, such as an
    /// image's journal entry.
    pub async fn heed_store(&self) -> Result<(), StoreError> {
        let last = self.ports.store.last_seq().await?;
        self.heard_of(last);
        Ok(())
    }

    /// Asks the loop of [`run`](Self::run) for a turn and resolves once it has ended one: then nothing in it hangs, the
    /// store and the boot server included, though they may have failed. Never resolves while nobody runs it.
    pub async fn turned(&self) {
        let mut turns = self.turns.subscribe();
        self.bell.notify_one();
        // The sender lives as long as we do.
        turns.changed().await.ok();
    }

    /// Something was committed: readers of the journal have news, and something may be due.
    fn heard_of(&self, last_seq: u64) {
        self.last_seq.send_if_modified(|known| {
            let is_news = last_seq > *known;
            *known = last_seq.max(*known);
            is_news
        });
        self.bell.notify_one();
    }

    fn ring_for_sweep(&self) {
        self.vault_is_unswept.store(true, Ordering::SeqCst);
        self.bell.notify_one();
    }

    fn ring_for_boot(&self) {
        self.boot_is_stale.store(true, Ordering::SeqCst);
        self.bell.notify_one();
    }
}
