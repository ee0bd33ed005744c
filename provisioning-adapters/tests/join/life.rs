//! The production orchestrator with the real SSH client: from an armed host to the end of its operation.

use std::sync::Arc;
use std::time::Duration;

use provisioning_adapters::ssh::SshShell;
use provisioning_adapters::system::{SystemClock, SystemEntropy};
use provisioning_core::machine::{FailureReason, HostState, Phase, Policy};
use provisioning_core::memory::{MemoryStore, MemoryVault};
use provisioning_core::model::{
    CertFingerprint, Cluster, DiskSelection, DiskSetup, Filesystem, HostId, Image, ImageId, JoinSecret, LvmOptions,
    Operation, Release, Secret, ServerType, Sha256Digest, Site, Timestamp,
};
use provisioning_core::orchestrator::{AnswerRequest, NewHost, Orchestrator, Ports, Rebuild, Report, ServerTypes};
use provisioning_core::ports::{
    BootPlan, BootServer, BootServerError, Happening, JournalQuery, NoInventory, NobodyToAsk, PersonAtThePowerButton,
    RemoteShell as _, ShellError, Store as _, Target, Vault as _,
};

use crate::node::{Node, PASSWORD};

const MAC: &str = "52:54:00:00:00:07";

/// What the cluster is believed to be.
#[derive(Clone, Copy)]
pub(crate) struct Belief {
    pub(crate) password: &'static str,
    pub(crate) fingerprint: [u8; 32],
}

impl Default for Belief {
    fn default() -> Self {
        Self { password: PASSWORD, fingerprint: [0xab; 32] }
    }
}

pub(crate) struct Life {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) node: Node,
    pub(crate) host: HostId,
    pub(crate) operation: Operation,
    /// The one-time key, as whoever had stolen it would have it.
    key: Secret<String>,
    store: MemoryStore,
    vault: MemoryVault,
    running: tokio::task::JoinHandle<()>,
}

struct NoBootServer;

#[async_trait::async_trait]
impl BootServer for NoBootServer {
    async fn apply(&self, _: &BootPlan) -> Result<(), BootServerError> {
        Ok(())
    }
}

impl Life {
    /// Brings a host to the point where it phones home; what follows is done over SSH.
    pub(crate) async fn begin(node: Node, belief: Belief) -> Self {
        let (store, vault) = (MemoryStore::new(), MemoryVault::default());
        let ports = Ports {
            store: Arc::new(store.clone()),
            vault: Arc::new(vault.clone()),
            boot_server: Arc::new(NoBootServer),
            shell: Arc::new(SshShell::new().with_port(node.port)),
            member: Arc::new(NobodyToAsk),
            inventory: Arc::new(NoInventory),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            power: Arc::new(PersonAtThePowerButton),
        };
        let orchestrator = Arc::new(Orchestrator::new(ports, Arc::new(site(&belief)), Policy::default(), types()));
        orchestrator.add_image(&image()).await.unwrap();
        let running = tokio::spawn(Arc::clone(&orchestrator).run(std::future::pending()));
        let new = NewHost {
            name: "pve-07".parse().unwrap(),
            macs: vec![MAC.parse().unwrap()],
            server_type: "mini".parse().unwrap(),
            address: None,
        };
        let host = orchestrator.register(new).await.unwrap().host.id;
        let started = orchestrator.start(host, Rebuild::default()).await.unwrap();
        let operation = store.operation(started.operation).await.unwrap().unwrap();
        let key = vault.open(operation.id).await.unwrap().unwrap();
        node.trusts(&operation.public_key);
        let life = Self { orchestrator, node, host, operation, key, store, vault, running };
        life.installs().await;
        life
    }

    async fn installs(&self) {
        let token = self.operation.token.expose();
        let facts = format!(
            r#"{{"product":{{"product":"pve"}},"iso":{{"release":"9.2"}},"network_interfaces":[{{"link":"e","mac":"{MAC}"}}]}}"#
        );
        let request = AnswerRequest { token: Some(&token), body: facts.as_bytes(), accept: None, from: None };
        self.orchestrator.answer_file(&request).await.unwrap();
        let home = format!(r#"{{"ip":"127.0.0.1","ssh_host_keys":{{"ed25519":"{}"}}}}"#, self.node.host_key());
        self.orchestrator.report(Report::PhoneHome, self.host, &token, home.as_bytes(), None).await.unwrap();
    }

    pub(crate) async fn state(&self) -> HostState {
        self.store.host(self.host).await.unwrap().unwrap().state
    }

    /// Waits for an end that lies behind the journal entry `after`.
    async fn ends(&self) -> HostState {
        let mut feed = self.orchestrator.feed(0);
        let ended = async {
            loop {
                let state = self.state().await;
                if matches!(state.phase(), Phase::Ready | Phase::Failed) {
                    return state;
                }
                feed.next().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it comes to an end")
    }

    pub(crate) async fn fails(&self) -> FailureReason {
        match self.ends().await {
            HostState::Failed { why, .. } => why,
            other => panic!("not failed: {other:?}; {}", self.transcript().await),
        }
    }

    pub(crate) async fn becomes_ready(&self) {
        let state = self.ends().await;
        assert_eq!(state.phase(), Phase::Ready, "{state:?}; {}", self.transcript().await);
        assert!(matches!(self.log_in().await, Err(ShellError::KeyRefused { .. })), "the key opens nothing");
        assert!(!self.everywhere().contains(self.operation.public_key.blob()), "the key stands in no file");
    }

    /// The first reason for which work was put off.
    pub(crate) async fn postponed(&self) -> String {
        let mut feed = self.orchestrator.feed(0);
        let found = async {
            loop {
                let journal = self.store.journal(&JournalQuery::of_host(self.host, 1000)).await.unwrap();
                for entry in journal {
                    if let Happening::WorkPostponed { error, .. } = entry.what {
                        return error;
                    }
                }
                feed.next().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("it is put off")
    }

    async fn log_in(&self) -> Result<(), ShellError> {
        let target = Target { address: [127, 0, 0, 1].into(), host_keys: vec![self.node.host_key()] };
        SshShell::new().with_port(self.node.port).open(&target, &self.key).await.map(|_| ())
    }

    pub(crate) async fn keeps_key(&self) -> bool {
        self.vault.open(self.operation.id).await.unwrap().is_some()
    }

    pub(crate) async fn transcript(&self) -> String {
        let artefacts = self.store.artefacts(self.operation.id).await.unwrap();
        artefacts.into_iter().map(|artefact| artefact.text).collect()
    }

    pub(crate) async fn everything_written(&self) -> String {
        let journal = self.store.journal(&JournalQuery::after(0, 1000)).await.unwrap();
        format!("{journal:?}{}", self.transcript().await)
    }

    /// Every file in which a key can stand.
    fn everywhere(&self) -> String {
        let files = ["etc/pve/priv/authorized_keys", "root/.ssh/authorized_keys2"];
        files.map(|file| std::fs::read_to_string(self.node.path(file)).unwrap_or_default()).concat()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn site(belief: &Belief) -> Site {
    let hash = format!("$6$0123456789abcdef${}", "x".repeat(86));
    Site {
        public_url: "http://10.0.0.2:8080".parse().unwrap(),
        boot_url: None,
        artifact_url: None,
        tls_fingerprint: None,
        domain: "lab.example".parse().unwrap(),
        country: "at".parse().unwrap(),
        timezone: "UTC".parse().unwrap(),
        keyboard: "de".parse().unwrap(),
        mailto: "root@lab.example".parse().unwrap(),
        root_password_hash: hash.parse().unwrap(),
        root_ssh_keys: vec![],
        static_network: None,
        cluster: Some(Cluster {
            member: "pve1.lab.example".parse().unwrap(),
            fingerprint: CertFingerprint::new(belief.fingerprint),
            password: Secret::new(belief.password.to_owned()),
            join_secret: JoinSecret::Password,
        }),
    }
}

fn types() -> ServerTypes {
    let selection = DiskSelection::Named(vec!["sda".parse().unwrap()]);
    let server_type = ServerType {
        key: "mini".parse().unwrap(),
        display_name: "Mini PC".into(),
        disk: DiskSetup::new(selection, Filesystem::Ext4(LvmOptions::default())).unwrap(),
        management_nic: None,
        gpu: None,
        hostname_prefix: None,
    };
    ServerTypes::from([(server_type.key.clone(), server_type)])
}

fn image() -> Image {
    Image {
        id: ImageId::from_bytes([9; 16]),
        name: "proxmox-ve_9.2-1".into(),
        release: Release::new(9, 2),
        iso_release: "1".into(),
        sha256: Sha256Digest::new([9; 32]),
        size_bytes: 1,
        imported_at: Timestamp::from_millis(0),
    }
}
