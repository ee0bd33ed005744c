//! What operators ask for: register, edit, remove, start, cancel, resume.

use std::sync::Arc;

use ipnet::IpNet;

use super::Orchestrator;
use super::apply::{Along, Applied};
use super::error::OperatorError;
use super::lane::lane_free_at;
use crate::machine::{EventKind, HostState, JoinStep, Leg};
use crate::model::{
    Artefact, ArtefactKind, BootToken, Host, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, Secret,
    ServerType, ServerTypeKey, Timestamp,
};
use crate::ports::{
    AuditRecord, Change, EntropyExt, Happening, HostRecord, KeyPair, NewEntry, PowerAnswer, Revision, Source,
    StoreError,
};

/// A host to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHost {
    /// Its name.
    pub name: Hostname,
    /// Its NICs, at least one; the first is the one it is expected to boot from.
    pub macs: Vec<MacAddr>,
    /// Its hardware class.
    pub server_type: ServerTypeKey,
    /// A fixed address with its prefix, if it shall not keep what DHCP gives it.
    pub address: Option<IpNet>,
}

/// A change of a host; absent fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostEdit {
    /// Another name.
    pub name: Option<Hostname>,
    /// Other NICs.
    pub macs: Option<Vec<MacAddr>>,
    /// Another hardware class.
    pub server_type: Option<ServerTypeKey>,
    /// Another way to its address.
    pub address: AddressEdit,
}

/// A change of how a host comes to its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressEdit {
    /// As before.
    #[default]
    Keep,
    /// It keeps what DHCP gives its installer.
    FromDhcp,
    /// This one, with its prefix.
    Fixed(IpNet),
}

/// A rebuild to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuild {
    /// The image to install; the default one when absent.
    pub image: Option<ImageId>,
    /// The host's name, needed when the host was ready before.
    pub confirm: Option<String>,
    /// Whether it may be another machine than at the last installation, with a new mainboard for instance.
    pub accept_new_hardware: bool,
    /// The request in its author's words, kept with the operation in the same commit so that a repeat is recognised.
    pub asked: Option<String>,
}

/// A rebuild that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The operation.
    pub operation: OperationId,
    /// The host since.
    pub record: HostRecord,
    /// Whether the machine restarts by itself or a person has to do it.
    pub power: PowerAnswer,
}

impl Orchestrator {
    /// Registers a host.
    ///
    /// # Errors
    /// `NameTaken`, `MacTaken`, `NoMac`, `MacTwice`, `NoSuchServerType`, `Store`.
    pub async fn register(&self, new: NewHost) -> Result<HostRecord, OperatorError> {
        self.register_with(new, vec![]).await
    }

    pub(super) async fn register_with(&self, new: NewHost, notes: Vec<Happening>) -> Result<HostRecord, OperatorError> {
        self.server_type(&new.server_type)?;
        check_macs(&new.macs)?;
        let at = self.ports.clock.now();
        let NewHost { name, macs, server_type, address } = new;
        let host = Host {
            id: HostId::new(at, self.ports.entropy.bytes()),
            name,
            macs,
            server_type,
            address,
            hardware_id: None,
            last_ready_at: None,
            registered_at: at,
        };
        let happening = Happening::HostRegistered { name: host.name.clone() };
        let happenings = [vec![happening], notes].concat();
        self.put(host, HostState::Registered, None, happenings).await
    }

    /// Changes a host on which no operation runs.
    ///
    /// # Errors
    /// As [`register`](Self::register); `Busy`; `Changed` when `expected` is given and the host was changed since.
    pub async fn edit(
        &self,
        id: HostId,
        edit: HostEdit,
        expected: Option<Revision>,
    ) -> Result<HostRecord, OperatorError> {
        let record = self.idle_host(id, expected).await?;
        if let Some(key) = &edit.server_type {
            self.server_type(key)?;
        }
        if let Some(macs) = &edit.macs {
            check_macs(macs)?;
        }
        let old = record.host;
        let host = Host {
            name: edit.name.unwrap_or(old.name),
            macs: edit.macs.unwrap_or(old.macs),
            server_type: edit.server_type.unwrap_or(old.server_type),
            address: match edit.address {
                AddressEdit::Keep => old.address,
                AddressEdit::FromDhcp => None,
                AddressEdit::Fixed(address) => Some(address),
            },
            ..old
        };
        let happening = Happening::HostEdited { name: host.name.clone() };
        self.put(host, record.state, Some(record.revision), vec![happening]).await
    }

    /// Removes a host on which no operation runs. Its journal stays; a key that waited for a resume is erased.
    ///
    /// # Errors
    /// `NoSuchHost`, `Busy`, `JoinMayRun`, `Changed`, `Store`, `Vault`.
    pub async fn remove(&self, id: HostId, expected: Option<Revision>) -> Result<(), OperatorError> {
        let record = self.idle_host(id, expected).await?;
        self.check_no_join_runs(&record)?;
        if let Some(operation) = record.state.operation() {
            self.ports.vault.erase(operation).await?;
        }
        let happening = Happening::HostRemoved { name: record.host.name };
        let entry = self.operators_entry(id, None, happening);
        self.ports.store.remove_host(id, record.revision, entry).await.map_err(conflict)?;
        self.ring_for_boot();
        self.heed_store().await?;
        Ok(())
    }

    /// Writes down what was asked for with operator's rights, and how it went.
    ///
    /// # Errors
    /// What the store says.
    pub async fn audit(&self, host: Option<HostId>, record: AuditRecord) -> Result<(), StoreError> {
        let entry = NewEntry { host, ..self.site_entry(Happening::Audited(record)) };
        self.write_down(vec![entry]).await
    }

    /// Starts an operation: makes its token and its one-time key, and arms the host.
    ///
    /// # Errors
    /// `Busy`, `JoinMayRun`, `NotConfirmed`, `NotInstallable`, `NoImage`, `NoSuchImage`, `NoSuchHost`, `NoSuchServerType`,
    /// `Store`, `Vault`.
    pub async fn start(&self, id: HostId, rebuild: Rebuild) -> Result<Started, OperatorError> {
        let record = self.idle_host(id, None).await?;
        self.check_no_join_runs(&record)?;
        check_confirmed(&record.host, rebuild.confirm)?;
        let preflight = self.preflight(id, rebuild.image).await?;
        if !preflight.faults.is_empty() {
            return Err(OperatorError::NotInstallable { faults: preflight.faults });
        }
        if rebuild.accept_new_hardware && record.host.hardware_id.is_some() {
            self.accept_hardware(id, None).await?;
        }
        let operation = OperationId::new(self.ports.clock.now(), self.ports.entropy.bytes());
        self.starting(|ids| ids.insert(operation));
        let asked = rebuild.asked.map(|text| self.artefact(ArtefactKind::Request, text));
        let image = preflight.image.id;
        let outcome = self.start_with(&record, operation, preflight.server_type, image, asked).await;
        self.starting(|ids| ids.remove(&operation));
        if outcome.is_err() {
            // Perhaps no row knows this key. Perhaps one does: a commit can fail after it was done.
            self.ring_for_sweep();
        }
        let record = outcome?;
        let power = self.ports.power.netboot(&record.host).await;
        Ok(Started { operation, record, power })
    }

    async fn start_with(
        &self,
        record: &HostRecord,
        id: OperationId,
        server_type: ServerType,
        image: ImageId,
        asked: Option<Artefact>,
    ) -> Result<HostRecord, OperatorError> {
        let key = self.new_key_pair();
        self.ports.vault.store(id, &key.private).await?;
        let operation = Operation {
            id,
            host: record.host.id,
            image,
            server_type: Arc::new(server_type),
            token: BootToken::new(id, self.ports.entropy.bytes()),
            public_key: key.public,
            started_at: self.ports.clock.now(),
        };
        let along = Along { operation: Some(operation), artefacts: asked.into_iter().collect(), ..Along::default() };
        match self.apply(record.host.id, &EventKind::Started.of(id), Source::Operator, &along).await? {
            Applied::Moved(record) => Ok(*record),
            Applied::Ignored | Applied::Refused(_) => Err(self.busy(record.host.id).await?),
        }
    }

    /// Ends the running operation.
    ///
    /// # Errors
    /// `NotRunning`, `NoSuchHost`, `Store`.
    pub async fn cancel(&self, id: HostId) -> Result<HostRecord, OperatorError> {
        let record = self.known_host(id).await?;
        let phase = record.state.phase();
        let operation = record.state.running().ok_or(OperatorError::NotRunning { phase })?;
        match self.apply(id, &EventKind::Cancelled.of(operation), Source::Operator, &Along::default()).await? {
            Applied::Moved(record) => Ok(*record),
            Applied::Ignored | Applied::Refused(_) => Err(OperatorError::NotRunning { phase }),
        }
    }

    /// Takes a failed join up again where it failed, without reinstalling.
    ///
    /// # Errors
    /// `NotResumable` says why; `JoinMayRun`, `NoSuchHost`, `Store`, `Vault`.
    pub async fn resume(&self, id: HostId) -> Result<HostRecord, OperatorError> {
        let not = |why| OperatorError::NotResumable { why };
        let record = self.known_host(id).await?;
        self.check_no_join_runs(&record)?;
        let HostState::Failed { by, during, resumable_until, .. } = record.state else {
            return Err(not("the host has not failed"));
        };
        let until = resumable_until.ok_or(not("it failed before the join began, or was cancelled; rebuild it"))?;
        // Later steps do without the key: it may have been erased, with proof, when they failed.
        let needs_key = during == Leg::Joining(JoinStep::Join);
        if self.ports.clock.now() >= until || (needs_key && self.ports.vault.open(by).await?.is_none()) {
            return Err(not("its one-time key was erased, since the time to resume is over; rebuild it"));
        }
        match self.apply(id, &EventKind::Resumed.of(by), Source::Operator, &Along::default()).await? {
            Applied::Moved(record) => Ok(*record),
            Applied::Ignored | Applied::Refused(_) => Err(not("the host has changed meanwhile")),
        }
    }

    /// Keeps an image that was imported.
    ///
    /// # Errors
    /// `Store(ImageExists)` when the same ISO was imported before.
    pub async fn add_image(&self, image: &Image) -> Result<(), OperatorError> {
        let happening = Happening::ImageImported { image: image.id, name: image.name.clone(), release: image.release };
        self.ports.store.insert_image(image, self.site_entry(happening)).await?;
        self.heed_store().await?;
        Ok(())
    }

    /// Makes an image the one that rebuilds take when none is named.
    ///
    /// # Errors
    /// `NoSuchImage`, `Store`.
    pub async fn choose_default_image(&self, id: ImageId) -> Result<Image, OperatorError> {
        let image = self.ports.store.image(id).await?.ok_or(OperatorError::NoSuchImage(id))?;
        let happening = Happening::DefaultImageChosen { image: id, name: image.name.clone() };
        self.ports.store.choose_default_image(id, self.site_entry(happening)).await?;
        self.heed_store().await?;
        Ok(image)
    }

    /// The image that a rebuild takes when none is named: the chosen default, else the one imported last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn default_image(&self) -> Result<Option<Image>, StoreError> {
        let images = self.ports.store.images().await?;
        let chosen = self.ports.store.default_image().await?;
        let found = images.iter().find(|image| Some(image.id) == chosen).or(images.first());
        Ok(found.cloned())
    }

    /// Forgets an image that no running operation installs.
    ///
    /// # Errors
    /// `NoSuchImage`, `Store(ImageInUse)`.
    pub async fn remove_image(&self, id: ImageId) -> Result<Image, OperatorError> {
        let image = self.ports.store.image(id).await?.ok_or(OperatorError::NoSuchImage(id))?;
        let happening = Happening::ImageRemoved { image: id, name: image.name.clone() };
        self.ports.store.remove_image(id, self.site_entry(happening)).await?;
        self.heed_store().await?;
        Ok(image)
    }

    /// A new image's id.
    pub fn new_image_id(&self) -> ImageId {
        ImageId::new(self.ports.clock.now(), self.ports.entropy.bytes())
    }

    /// The time, as the orchestrator sees it.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// A one-time key from fresh randomness, of which no copy is left.
    pub(super) fn new_key_pair(&self) -> KeyPair {
        let mut seed = Secret::new([0; 32]);
        self.ports.entropy.fill(seed.expose_mut());
        self.ports.shell.key_pair(&seed)
    }

    pub(super) fn server_type(&self, key: &ServerTypeKey) -> Result<ServerType, OperatorError> {
        let types = self.server_types();
        types
            .get(key)
            .cloned()
            .ok_or_else(|| OperatorError::NoSuchServerType { key: key.clone(), known: types.keys().cloned().collect() })
    }

    pub(super) async fn known_host(&self, id: HostId) -> Result<HostRecord, OperatorError> {
        self.ports.store.host(id).await?.ok_or(OperatorError::NoSuchHost(id))
    }

    async fn idle_host(&self, id: HostId, expected: Option<Revision>) -> Result<HostRecord, OperatorError> {
        let record = self.known_host(id).await?;
        match (record.state.running(), expected) {
            (Some(operation), _) => Err(OperatorError::Busy { operation, phase: record.state.phase() }),
            (None, Some(expected)) if expected != record.revision => {
                Err(OperatorError::Changed { expected, found: record.revision })
            }
            (None, _) => Ok(record),
        }
    }

    /// The join lane is read off the rows: while this one says that a join may still run, it has to stay.
    fn check_no_join_runs(&self, record: &HostRecord) -> Result<(), OperatorError> {
        self.join_may_run_until(record).map_or(Ok(()), |until| Err(OperatorError::JoinMayRun { until }))
    }

    /// Until when a join that was given up may still run on the host; `None` when none does now.
    pub(super) fn join_may_run_until(&self, record: &HostRecord) -> Option<Timestamp> {
        lane_free_at(record).filter(|until| *until > self.ports.clock.now())
    }

    /// What to say when another operation was faster.
    async fn busy(&self, id: HostId) -> Result<OperatorError, OperatorError> {
        let record = self.known_host(id).await?;
        let phase = record.state.phase();
        Ok(match record.state.running() {
            Some(operation) => OperatorError::Busy { operation, phase },
            None => OperatorError::NotRunning { phase },
        })
    }

    async fn put(
        &self,
        host: Host,
        state: HostState,
        expected: Option<Revision>,
        happenings: Vec<Happening>,
    ) -> Result<HostRecord, OperatorError> {
        let mut change = Change::to(host.clone(), state.clone(), expected);
        let entry = |happening| self.operators_entry(host.id, None, happening);
        change.journal = happenings.into_iter().map(entry).collect();
        let committed = self.ports.store.commit(change).await;
        // Also after an error: a commit can have been done although it failed.
        self.ring_for_boot();
        let committed = committed.map_err(conflict)?;
        self.discovery.forget(&host.macs);
        self.heard_of(committed.last_seq);
        Ok(HostRecord { host, state, revision: committed.revision })
    }

    fn operators_entry(&self, host: HostId, operation: Option<OperationId>, what: Happening) -> NewEntry {
        NewEntry { at: self.ports.clock.now(), host: Some(host), operation, source: Source::Operator, what }
    }

    fn site_entry(&self, what: Happening) -> NewEntry {
        NewEntry { at: self.ports.clock.now(), host: None, operation: None, source: Source::Operator, what }
    }

    fn starting<T>(&self, with: impl FnOnce(&mut std::collections::BTreeSet<OperationId>) -> T) -> T {
        with(&mut self.starting.lock().expect("no caller panics while it holds the starting operations"))
    }

    /// Whether an operation is about to be written: its key is nobody's yet, but not for long.
    pub(super) fn is_starting(&self, operation: OperationId) -> bool {
        self.starting(|ids| ids.contains(&operation))
    }
}

fn check_macs(macs: &[MacAddr]) -> Result<(), OperatorError> {
    let mut sorted = macs.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(OperatorError::MacTwice(pair[0])),
        None if macs.is_empty() => Err(OperatorError::NoMac),
        None => Ok(()),
    }
}

fn check_confirmed(host: &Host, given: Option<String>) -> Result<(), OperatorError> {
    if host.last_ready_at.is_some() && given.as_deref() != Some(host.name.as_str()) {
        return Err(OperatorError::NotConfirmed { name: host.name.clone(), given });
    }
    Ok(())
}

fn conflict(error: StoreError) -> OperatorError {
    match error {
        StoreError::Stale { expected: Some(expected), found, .. } => OperatorError::Changed { expected, found },
        other => other.into(),
    }
}
