//! A site with hosts in any state, in memory: what the pages are tested with.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use provisioning_core::machine::{Contact, EventKind, FailureReason, HostState, JoinStep, Leg, Phase, Policy, Run};
use provisioning_core::memory::{MemoryStore, MemoryVault};
use provisioning_core::model::{
    Artefact, ArtefactKind, BootToken, DiskSelection, DiskSetup, Filesystem, Host, HostId, Image, ImageId, LvmOptions,
    Operation, OperationId, PasswordHash, Secret, ServerType, Sha256Digest, Site, SshPublicKey, Timestamp,
};
use provisioning_core::orchestrator::{Orchestrator, Ports};
use provisioning_core::ports::{
    BootPlan, BootServer, BootServerError, Change, Clock, Entropy, Happening, KeyPair, NewEntry, NoInventory,
    NobodyToAsk, PersonAtThePowerButton, RemoteShell, Shell, ShellError, Source, Store, Target,
};

use crate::access::TokenBook;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";

/// The time in the lab when nothing else is said: 2026-11-23T12:00:00Z.
pub(crate) const NOON: i64 = 1_795_435_200_000;

/// A clock that stands at a time.
pub(crate) struct Stopped(pub(crate) i64);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0)
    }
}

/// Ports that do nothing; all that is random is seven.
pub(crate) struct NoPorts;

impl Entropy for NoPorts {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

#[async_trait]
impl BootServer for NoPorts {
    async fn apply(&self, _: &BootPlan) -> Result<(), BootServerError> {
        Ok(())
    }
}

#[async_trait]
impl RemoteShell for NoPorts {
    fn key_pair(&self, _: &Secret<[u8; 32]>) -> KeyPair {
        KeyPair { public: KEY.parse().unwrap(), private: Secret::new("none".to_owned()) }
    }

    async fn open(&self, target: &Target, _: &Secret<String>) -> Result<Box<dyn Shell>, ShellError> {
        Err(ShellError::Unreachable { address: target.address, source: None })
    }
}

/// A site and its store.
pub(crate) struct Lab {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) tokens: TokenBook,
    store: MemoryStore,
    now: i64,
}

impl Lab {
    /// A site at noon.
    pub(crate) fn new() -> Self {
        Self::at(Arc::new(Stopped(NOON)))
    }

    /// A site with a clock.
    pub(crate) fn at(clock: Arc<dyn Clock>) -> Self {
        let store = MemoryStore::new();
        let now = clock.now().as_millis();
        let ports = Ports {
            store: Arc::new(store.clone()),
            vault: Arc::new(MemoryVault::default()),
            boot_server: Arc::new(NoPorts),
            shell: Arc::new(NoPorts),
            member: Arc::new(NobodyToAsk),
            inventory: Arc::new(NoInventory),
            clock,
            entropy: Arc::new(NoPorts),
            power: Arc::new(PersonAtThePowerButton),
        };
        let kind = server_type("<b>Compute</b> & co");
        let types = [(kind.key.clone(), kind)].into_iter().collect();
        Self {
            tokens: TokenBook::in_memory(),
            orchestrator: Arc::new(Orchestrator::new(ports, Arc::new(site()), Policy::default(), types)),
            store,
            now,
        }
    }

    /// An image, so that hosts can be rebuilt.
    pub(crate) async fn image(&self, name: &str) -> ImageId {
        let image = image(9, name);
        self.orchestrator.add_image(&image).await.unwrap();
        image.id
    }

    /// A run of a host before its latest, which left another answer file and no other text.
    pub(crate) async fn earlier_run(&self, number: u8) {
        let id = HostId::from_bytes([number; 16]);
        let record = self.store.host(id).await.unwrap().unwrap();
        let mut change = Change::to(record.host, record.state, Some(record.revision));
        let operation = OperationId::from_bytes([0; 16]);
        change.operation = Some(Operation { started_at: self.time(-9000), ..self.operation(id, operation) });
        let text = "[global]\nkeyboard = \"us\"\nroot-password-hashed = \"***\"\n".to_owned();
        let answer = Artefact { kind: ArtefactKind::Answer, text, at: self.time(-8000) };
        change.artefacts = vec![(operation, answer)];
        let moves = [
            (-9000, EventKind::Started, Phase::Registered, Phase::PxeReady),
            (-8000, EventKind::Cancelled, Phase::PxeReady, Phase::Failed),
        ];
        change.journal = moves
            .into_iter()
            .map(|(at, event, from, to)| {
                self.entry(id, Some(operation), at, Source::Operator, Happening::Moved { event, from, to })
            })
            .collect();
        self.store.commit(change).await.unwrap();
    }

    /// Writes lines into the journal, one a second.
    pub(crate) async fn warnings(&self, host: u8, texts: impl Iterator<Item = String>) {
        let id = HostId::from_bytes([host; 16]);
        let entry = |(at, text): (i64, String)| {
            self.entry(id, None, at - 10_000, Source::Provisioning, Happening::Warning { text })
        };
        self.store.append((0..).zip(texts).map(entry).collect()).await.unwrap();
    }

    /// A host in a state that was entered `seconds_ago`, with the journal that led there.
    pub(crate) async fn host(&self, number: u8, state: HostState) -> HostId {
        let id = HostId::from_bytes([number; 16]);
        let host = Host {
            id,
            name: format!("pve-{number:02}").parse().unwrap(),
            macs: vec![
                format!("52:54:00:00:01:{number:02x}").parse().unwrap(),
                format!("52:54:00:00:02:{number:02x}").parse().unwrap(),
            ],
            server_type: "compute".parse().unwrap(),
            address: None,
            hardware_id: None,
            last_ready_at: matches!(state, HostState::Ready { .. }).then(|| self.time(-60)),
            registered_at: self.time(-90_000),
        };
        let name = host.name.clone();
        let phase = state.phase();
        let mut change = Change::to(host, state.clone(), None);
        change.journal.push(self.entry(id, None, -90_000, Source::Operator, Happening::HostRegistered { name }));
        if let Some(operation) = state.operation() {
            change.operation = Some(self.operation(id, operation));
            change.journal.extend(self.history(id, operation, phase));
            change.artefacts = artefacts(self.time(-500)).map(|artefact| (operation, artefact)).to_vec();
        }
        self.store.commit(change).await.unwrap();
        self.orchestrator.heed_store().await.unwrap();
        id
    }

    /// A time so many seconds from now.
    pub(crate) fn time(&self, seconds: i64) -> Timestamp {
        Timestamp::from_millis(self.now + seconds * 1000)
    }

    /// A host in a leg since two minutes.
    pub(crate) fn in_leg(&self, number: u8, leg: Leg, minutes: Option<i64>) -> HostState {
        let deadline = minutes.map(|minutes| self.time(minutes * 60 - 120));
        let contact = Contact { address: Some(IpAddr::from([10, 0, 0, number])), ..Contact::default() };
        let run = Run { contact, ..Run::new(operation_id(number), self.time(-120), deadline) };
        HostState::Provisioning { leg, run }
    }

    /// A host whose join failed two minutes ago.
    pub(crate) fn failed(&self, number: u8, why: FailureReason) -> HostState {
        HostState::Failed {
            by: operation_id(number),
            during: Leg::Joining(JoinStep::Join),
            why,
            since: self.time(-120),
            resumable_until: Some(self.time(3480)),
            contact: Contact::default(),
        }
    }

    /// A host that has been ready for two minutes.
    pub(crate) fn ready(&self, number: u8) -> HostState {
        HostState::Ready { by: operation_id(number), since: self.time(-120) }
    }

    fn operation(&self, host: HostId, id: OperationId) -> Operation {
        Operation {
            id,
            host,
            image: ImageId::from_bytes([9; 16]),
            server_type: Arc::new(server_type("Compute")),
            token: BootToken::new(id, [3; 16]),
            public_key: KEY.parse::<SshPublicKey>().unwrap(),
            started_at: self.time(-1200),
        }
    }

    fn entry(
        &self,
        host: HostId,
        operation: Option<OperationId>,
        at: i64,
        source: Source,
        what: Happening,
    ) -> NewEntry {
        NewEntry { at: self.time(at), host: Some(host), operation, source, what }
    }

    /// The journal of an operation that has come to a phase.
    fn history(&self, host: HostId, operation: OperationId, reached: Phase) -> Vec<NewEntry> {
        let contact = Contact::default;
        let path = [
            (-1200, Source::Operator, EventKind::Started, Phase::PxeReady),
            (-1000, Source::Firmware, EventKind::BootScriptFetched, Phase::PxeBooted),
            (-900, Source::Installer, EventKind::AnswerFetched, Phase::Installing),
            (-500, Source::Installer, EventKind::InstallReported(contact()), Phase::Installed),
            (-300, Source::Host, EventKind::FirstBootReported(contact()), Phase::FirstBoot),
            (-280, Source::Ssh, EventKind::ShellOpened, Phase::Joining),
        ];
        let end = match reached {
            Phase::Ready => Some((-120, Source::Inventory, EventKind::StepDone { step: JoinStep::Register })),
            Phase::Failed => Some((-120, Source::Provisioning, EventKind::Expired { last_error: None })),
            _ => None,
        };
        let count = path.iter().position(|(.., to)| *to == reached).map_or(path.len(), |last| last + 1);
        let mut from = Phase::Registered;
        let steps = path.into_iter().take(count).chain(end.map(|(at, source, event)| (at, source, event, reached)));
        steps
            .map(|(at, source, event, to)| {
                let what = Happening::Moved { event, from, to };
                from = to;
                self.entry(host, Some(operation), at, source, what)
            })
            .collect()
    }
}

/// An image, imported the later the larger its number is.
pub(crate) fn image(number: u8, name: &str) -> Image {
    Image {
        id: ImageId::from_bytes([number; 16]),
        name: name.to_owned(),
        release: "9.2".parse().unwrap(),
        iso_release: "1".to_owned(),
        sha256: Sha256Digest::new([0xa2 + number; 32]),
        size_bytes: 1_650_000_000,
        imported_at: Timestamp::from_millis(NOON - 86_400_000 + i64::from(number)),
    }
}

/// The operation of the host with this number.
pub(crate) fn operation_id(number: u8) -> OperationId {
    OperationId::from_bytes([number; 16])
}

fn artefacts(at: Timestamp) -> [Artefact; 4] {
    let artefact = |kind, text: &str| Artefact { kind, text: text.to_owned(), at };
    [
        artefact(ArtefactKind::BootScript, "#!ipxe\nkernel http://10.0.0.2/boot/***/vmlinuz initrd=initrd.img\nboot\n"),
        artefact(ArtefactKind::Answer, "[global]\nkeyboard = \"de\"\nroot-password-hashed = \"***\"\n"),
        artefact(ArtefactKind::InstallReport, r#"{"product":"pve","note":"<script>alert(1)</script>"}"#),
        artefact(ArtefactKind::JoinTranscript, "$ pvecm add 10.0.0.1\n\"</pre><img src=x onerror=alert(1)>\"\n"),
    ]
}

fn server_type(display_name: &str) -> ServerType {
    let selection = DiskSelection::Named(vec!["nvme0n1".parse().unwrap()]);
    ServerType {
        key: "compute".parse().unwrap(),
        display_name: display_name.to_owned(),
        disk: DiskSetup::new(selection, Filesystem::Ext4(LvmOptions::default())).unwrap(),
        management_nic: None,
        gpu: None,
        hostname_prefix: None,
    }
}

fn site() -> Site {
    Site {
        public_url: "http://10.0.0.2:8080".parse().unwrap(),
        boot_url: None,
        artifact_url: None,
        tls_fingerprint: None,
        domain: "lab.example".parse().unwrap(),
        country: "de".parse().unwrap(),
        timezone: "Europe/Berlin".parse().unwrap(),
        keyboard: "de".parse().unwrap(),
        mailto: "root@lab.example".parse().unwrap(),
        root_password_hash: format!("$6$abcdefgh${}", "a".repeat(86)).parse::<PasswordHash>().unwrap(),
        root_ssh_keys: vec![],
        static_network: None,
        cluster: None,
    }
}
