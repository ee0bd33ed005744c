//! A lab in memory: an orchestrator over fake ports, and hosts that do what a test says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::machine::{HostState, Phase, Policy};
use provisioning_core::memory::{MemoryStore, MemoryVault};
use provisioning_core::model::{
    BootToken, Cluster, DiskSelection, DiskSetup, Filesystem, HostId, Image, ImageId, JoinSecret, LvmOptions, Release,
    Secret, ServerType, Sha256Digest, Site, SshPublicKey, Timestamp,
};
use provisioning_core::orchestrator::{
    AnswerRequest, BootReply, NewHost, Orchestrator, Ports, Rebuild, Report, ServerTypes,
};
use provisioning_core::ports::{
    BootPlan, BootServer, BootServerError, Clock, ClusterMember, ClusterMemberError, ClusterNode, ClusterStatus,
    Command, Entropy, Happening, HostRecord, Inventory, InventoryError, InventoryRecord, JournalQuery, KeyPair, Output,
    PersonAtThePowerButton, RemoteShell, Retry, Shell, ShellError, Store, Target, Vault,
};
use provisioning_core::render::RemoteCommand;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";
pub(crate) const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the fakes remember, and how they shall misbehave.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own, and any of them go together")]
#[derive(Debug, Default)]
pub(crate) struct World {
    /// Whose authorized_keys still hold the one-time key.
    pub(crate) trusted: BTreeMap<IpAddr, bool>,
    pub(crate) members: Vec<String>,
    pub(crate) started_joins: Vec<String>,
    pub(crate) joins_at_once: usize,
    pub(crate) joins_at_once_max: usize,
    pub(crate) inventory: Vec<InventoryRecord>,
    pub(crate) plans: Vec<BootPlan>,
    /// How long the boot server takes for each plan.
    pub(crate) plan_takes: Duration,
    pub(crate) secrets_seen: Vec<String>,
    /// Hosts whose SSH server is not up.
    pub(crate) unreachable: bool,
    /// What `pvecm add` says instead of success.
    pub(crate) join_says: Option<&'static str>,
    /// How long a join takes.
    pub(crate) join_takes: Duration,
    /// What an existing member sees; `None` cannot be asked.
    pub(crate) witness: Option<ClusterStatus>,
    /// Why it cannot be asked now.
    pub(crate) witness_fails: Option<fn() -> ClusterMemberError>,
    /// The witness does not see who joins.
    pub(crate) witness_is_blind: bool,
    /// `pvecm add` ends without its last line.
    pub(crate) join_ends_early: bool,
    /// The key stays where it was when it is revoked.
    pub(crate) revoke_does_nothing: bool,
    pub(crate) inventory_refuses: Option<Retry>,
    runs: BTreeMap<String, (Instant, bool)>,
}

pub(crate) struct Lab {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) store: MemoryStore,
    pub(crate) vault: MemoryVault,
    ports: Ports,
    site: Arc<Site>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Lab {
    /// A lab whose orchestrator runs. Call it under a paused clock.
    pub(crate) async fn new(cluster: bool) -> Self {
        Self::handing_over(cluster, JoinSecret::Password).await
    }

    /// The same, where joining hosts are handed this.
    pub(crate) async fn handing_over(cluster: bool, join_secret: JoinSecret) -> Self {
        let world = Arc::new(Mutex::new(World { join_takes: Duration::from_secs(20), ..World::default() }));
        let (store, vault) = (MemoryStore::new(), MemoryVault::default());
        let fakes = Fakes { world: Arc::clone(&world), start: paused_now() };
        let ports = Ports {
            store: Arc::new(store.clone()),
            vault: Arc::new(vault.clone()),
            boot_server: Arc::new(fakes.clone()),
            shell: Arc::new(fakes.clone()),
            member: Arc::new(fakes.clone()),
            inventory: Arc::new(fakes.clone()),
            clock: Arc::new(fakes.clone()),
            entropy: Arc::new(Counting(Mutex::new(1))),
            power: Arc::new(PersonAtThePowerButton),
        };
        let site = Arc::new(site(cluster, join_secret));
        let orchestrator = orchestrator(&ports, &site);
        let mut lab = Self { orchestrator, world, store, vault, ports, site, stop: None, running: None };
        lab.add_image(Release::new(9, 2)).await;
        lab.start_running();
        lab
    }

    fn start_running(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let orchestrator = Arc::clone(&self.orchestrator);
        let run = orchestrator.run(async move { drop(stopped.await) });
        #[expect(clippy::disallowed_methods, reason = "the server's part: somebody has to poll the loop")]
        let running = tokio::spawn(run);
        self.stop = Some(stop);
        self.running = Some(running);
    }

    /// The process dies, wherever it is, and another starts on the same data.
    pub(crate) async fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            running.await.expect_err("the loop was aborted");
        }
        self.orchestrator = orchestrator(&self.ports, &self.site);
        self.start_running();
    }

    async fn add_image(&self, release: Release) {
        let image = Image {
            id: ImageId::from_bytes([9; 16]),
            name: format!("proxmox-ve_{release}-1"),
            release,
            iso_release: "1".into(),
            sha256: Sha256Digest::new([9; 32]),
            size_bytes: 1,
            imported_at: Timestamp::from_millis(0),
        };
        self.orchestrator.add_image(&image).await.expect("the store takes an image");
    }

    pub(crate) async fn register(&self, n: u8) -> HostId {
        let host = NewHost {
            name: format!("pve-{n:02}").parse().expect("a name"),
            macs: vec![mac(n).parse().expect("an address")],
            server_type: "mini".parse().expect("a key"),
            address: None,
        };
        self.orchestrator.register(host).await.expect("a new host").host.id
    }

    pub(crate) async fn rebuild(&self, host: HostId) -> String {
        let started = self.orchestrator.start(host, Rebuild::default()).await.expect("a host that can be rebuilt");
        self.token(started.operation).await
    }

    pub(crate) async fn token(&self, operation: provisioning_core::model::OperationId) -> String {
        let operation = self.store.operation(operation).await.expect("memory").expect("an operation");
        let token: BootToken = operation.token;
        token.expose()
    }

    pub(crate) async fn record(&self, host: HostId) -> HostRecord {
        self.store.host(host).await.expect("memory").expect("a host")
    }

    pub(crate) async fn phase(&self, host: HostId) -> Phase {
        self.record(host).await.state.phase()
    }

    pub(crate) async fn state(&self, host: HostId) -> HostState {
        self.record(host).await.state
    }

    pub(crate) async fn boots(&self, n: u8) -> BootReply {
        self.orchestrator.boot_script(mac(n).parse().expect("an address")).await
    }

    pub(crate) async fn fetches_answer(
        &self,
        n: u8,
        token: Option<&str>,
    ) -> Result<String, provisioning_core::orchestrator::AnswerRefusal> {
        let body = system_info(&[&mac(n)]);
        let request = AnswerRequest { token, body: body.as_bytes(), accept: None, from: None };
        self.orchestrator.answer_file(&request).await.map(|answer| answer.text.expose().clone())
    }

    pub(crate) async fn reports_install(&self, host: HostId, token: &str) {
        let body = format!(
            r#"{{"ssh-public-host-keys":{{"ed25519":"{HOST_KEY}"}},"dmi":{{"system":{{"uuid":"7b2f1c52-93d1"}}}}}}"#
        );
        self.orchestrator
            .report(Report::Installed, host, token, body.as_bytes(), None)
            .await
            .expect("a webhook is never refused");
    }

    pub(crate) async fn phones_home(&self, host: HostId, n: u8, token: &str) {
        self.world.lock().expect("a world").trusted.insert(address(n), true);
        let body = format!(
            r#"{{"ip":"{}","hardware_id":"7b2f1c52-93d1","ssh_host_keys":{{"ed25519":"{HOST_KEY}"}}}}"#,
            address(n)
        );
        self.orchestrator
            .report(Report::PhoneHome, host, token, body.as_bytes(), None)
            .await
            .expect("a phone-home is never refused");
    }

    /// From power-on to phone-home, as a healthy machine does it.
    pub(crate) async fn installs(&self, host: HostId, n: u8, token: &str) {
        assert!(matches!(self.boots(n).await, BootReply::Script(_)));
        self.fetches_answer(n, Some(token)).await.expect("an answer");
        self.orchestrator.first_boot_script(host, token).await.expect("the first-boot script");
        self.reports_install(host, token).await;
        self.phones_home(host, n, token).await;
    }

    /// Waits, in paused time, until the host is in a phase.
    pub(crate) async fn until(&self, host: HostId, phase: Phase) {
        let mut feed = self.orchestrator.feed(0);
        let reached = async {
            while self.phase(host).await != phase {
                feed.next().await.expect("memory");
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(24 * 3_600), reached).await;
        assert!(waited.is_ok(), "still {:?}", self.state(host).await);
    }

    pub(crate) async fn journal(&self, host: HostId) -> Vec<Happening> {
        let entries = self.store.journal(&JournalQuery::of_host(host, 1_000)).await.expect("memory");
        entries.into_iter().map(|entry| entry.what).collect()
    }

    pub(crate) async fn holds_key(&self, host: HostId) -> bool {
        let held = self.vault.held().await.expect("memory");
        let operations = self.store.operations_of(host).await.expect("memory");
        operations.iter().any(|operation| held.contains(&operation.id))
    }
}

pub(crate) fn mac(n: u8) -> String {
    format!("52:54:00:00:00:{n:02x}")
}

pub(crate) fn address(n: u8) -> IpAddr {
    [10, 0, 0, n].into()
}

pub(crate) fn system_info(macs: &[&str]) -> String {
    let nics: Vec<String> = macs.iter().map(|mac| format!(r#"{{"link":"eno1","mac":"{mac}"}}"#)).collect();
    format!(r#"{{"product":{{"product":"pve"}},"iso":{{"release":"9.2"}},"network_interfaces":[{}]}}"#, nics.join(","))
}

fn orchestrator(ports: &Ports, site: &Arc<Site>) -> Arc<Orchestrator> {
    let selection = DiskSelection::Named(vec!["sda".parse().expect("a disk")]);
    let disk = DiskSetup::new(selection, Filesystem::Ext4(LvmOptions::default())).expect("a disk setup");
    let key: provisioning_core::model::ServerTypeKey = "mini".parse().expect("a key");
    let server_type = ServerType {
        key: key.clone(),
        display_name: "Mini PC".into(),
        disk,
        management_nic: None,
        gpu: None,
        hostname_prefix: None,
    };
    let types = ServerTypes::from([(key, server_type)]);
    Arc::new(Orchestrator::new(ports.clone(), Arc::clone(site), Policy::default(), types))
}

fn site(cluster: bool, join_secret: JoinSecret) -> Site {
    let hash = format!("$6$0123456789abcdef${}", "x".repeat(86));
    Site {
        public_url: "http://10.0.0.2:8080".parse().expect("a URL"),
        boot_url: None,
        artifact_url: None,
        tls_fingerprint: None,
        domain: "lab.example".parse().expect("a domain"),
        country: "at".parse().expect("a country"),
        timezone: "UTC".parse().expect("a zone"),
        keyboard: "de".parse().expect("a keyboard"),
        mailto: "root@lab.example".parse().expect("an address"),
        root_password_hash: hash.parse().expect("a hash"),
        root_ssh_keys: vec![],
        static_network: None,
        cluster: cluster.then(|| Cluster {
            member: "pve1.lab.example".parse().expect("a member"),
            fingerprint: provisioning_core::model::CertFingerprint::new([7; 32]),
            password: Secret::new("the cluster's password".into()),
            join_secret,
        }),
    }
}

#[expect(clippy::disallowed_methods, reason = "the lab's clock port and its hosts stand on tokio's paused clock")]
fn paused_now() -> Instant {
    Instant::now()
}

/// Entropy that never repeats.
struct Counting(Mutex<u64>);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().expect("a counter");
        for byte in buffer {
            // A linear congruential generator: any sequence will do that does not repeat soon.
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
    }
}

/// All ports but store and vault.
#[derive(Clone)]
struct Fakes {
    world: Arc<Mutex<World>>,
    start: Instant,
}

impl Clock for Fakes {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000) + self.start.elapsed()
    }
}

#[async_trait]
impl BootServer for Fakes {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        let takes = self.world.lock().expect("a world").plan_takes;
        if !takes.is_zero() {
            tokio::time::timeout(takes, std::future::pending::<()>()).await.ok();
        }
        self.world.lock().expect("a world").plans.push(plan.clone());
        Ok(())
    }
}

#[async_trait]
impl ClusterMember for Fakes {
    async fn status(&self) -> Result<Option<ClusterStatus>, ClusterMemberError> {
        let world = self.world.lock().expect("a world");
        world.witness_fails.map_or_else(|| Ok(world.witness.clone()), |error| Err(error()))
    }

    async fn ticket(&self, password: &Secret<String>) -> Result<Secret<String>, ClusterMemberError> {
        let world = self.world.lock().expect("a world");
        match world.witness_fails {
            Some(error) => Err(error()),
            None => Ok(Secret::new(format!("a ticket for {} bytes", password.expose().len()))),
        }
    }
}

#[async_trait]
impl Inventory for Fakes {
    async fn register(&self, record: &InventoryRecord) -> Result<(), InventoryError> {
        let mut world = self.world.lock().expect("a world");
        if let Some(retry) = world.inventory_refuses {
            return Err(InventoryError { said: "no such rack".into(), retry, source: None });
        }
        world.inventory.retain(|other| other.host != record.host);
        world.inventory.push(record.clone());
        Ok(())
    }
}

#[async_trait]
impl RemoteShell for Fakes {
    fn key_pair(&self, seed: &Secret<[u8; 32]>) -> KeyPair {
        let public: SshPublicKey = OTHER_KEY.parse().expect("a key");
        KeyPair { public, private: Secret::new(format!("private {:?}", seed.expose())) }
    }

    async fn open(&self, target: &Target, _: &Secret<String>) -> Result<Box<dyn Shell>, ShellError> {
        let address = target.address;
        let world = self.world.lock().expect("a world");
        if world.unreachable {
            return Err(ShellError::Unreachable { address, source: None });
        }
        if !target.host_keys.iter().any(|key| key.as_str() == HOST_KEY) {
            return Err(ShellError::HostKeyMismatch { address });
        }
        if !world.trusted.get(&address).copied().unwrap_or(false) {
            return Err(ShellError::KeyRefused { address });
        }
        Ok(Box::new(FakeShell { world: Arc::clone(&self.world), address }))
    }
}

struct FakeShell {
    world: Arc<Mutex<World>>,
    address: IpAddr,
}

impl FakeShell {
    /// The node's name follows from its address.
    fn node(&self) -> String {
        let IpAddr::V4(v4) = self.address else { return String::new() };
        format!("pve-{:02}", v4.octets()[3])
    }

    fn members(&self, world: &World) -> String {
        let node = self.node();
        if world.members.contains(&node) {
            format!(r#"{{"nodename":"{node}","cluster":{{"quorate":1}},"nodelist":{{"{node}":{{"online":1}}}}}}"#)
        } else {
            format!(r#"{{"nodename":"{node}","nodelist":{{"{node}":{{"online":1}}}}}}"#)
        }
    }

    fn follow(&self, world: &mut World) -> (String, String) {
        let node = self.node();
        let says = world.join_says;
        let takes = world.join_takes;
        match world.runs.get_mut(&node) {
            None => ("absent\n".into(), String::new()),
            Some((started, _)) if started.elapsed() < takes => ("running\nLogin succeeded.\n".into(), String::new()),
            Some((_, is_over)) => {
                let ends_now = !std::mem::replace(is_over, true);
                if ends_now {
                    world.joins_at_once -= 1;
                    if says.is_none() {
                        let sees = !world.witness_is_blind;
                        if let Some(witness) = world.witness.as_mut().filter(|_| sees) {
                            witness.nodes.push(ClusterNode { name: node.clone(), online: true, ip: None });
                        }
                        world.members.push(node.clone());
                    }
                }
                let last = match says {
                    None if !world.join_ends_early => format!("successfully added node '{node}' to cluster.\n"),
                    _ => String::new(),
                };
                (format!("ended 0\nLogin succeeded.\n{last}"), says.unwrap_or_default().into())
            }
        }
    }
}

#[async_trait]
impl Shell for FakeShell {
    async fn run(&self, command: &Command) -> Result<Output, ShellError> {
        let mut world = self.world.lock().expect("a world");
        if world.unreachable {
            return Err(ShellError::Disconnected { source: None });
        }
        let known = RemoteCommand::from_line(&command.line).expect("only known commands are run on hosts");
        let (stdout, stderr) = match known {
            RemoteCommand::Foothold { .. } => (String::new(), String::new()),
            RemoteCommand::Members => (self.members(&world), String::new()),
            RemoteCommand::StartJoin { .. } => {
                let stdin = command.stdin.as_ref().expect("the password comes by stdin");
                world.secrets_seen.push(stdin.expose().clone());
                world.started_joins.push(self.node());
                world.joins_at_once += 1;
                world.joins_at_once_max = world.joins_at_once_max.max(world.joins_at_once);
                world.runs.insert(self.node(), (paused_now(), false));
                ("started\n".into(), String::new())
            }
            RemoteCommand::FollowJoin { .. } => self.follow(&mut world),
            RemoteCommand::ClearJoin { .. } => {
                world.runs.remove(&self.node());
                (String::new(), String::new())
            }
            RemoteCommand::Revoke { .. } => {
                if !world.revoke_does_nothing {
                    world.trusted.insert(self.address, false);
                }
                (String::new(), String::new())
            }
        };
        Ok(Output { status: 0, stdout, stderr })
    }

    async fn close(self: Box<Self>) {}
}
