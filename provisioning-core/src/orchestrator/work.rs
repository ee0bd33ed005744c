//! What each kind of work does on a host, and how its end is told. All of it is harmless to repeat.

use super::apply::Along;
use super::join::{Join, JoinTrouble, Transcript, execute, last_words, place_foothold};
use super::witness::Witness;
use super::{Orchestrator, spans};
use crate::machine::{Contact, EventKind, FailureReason, HostState, JoinStep, WorkKind};
use crate::model::{Artefact, ArtefactKind, Fqdn, OperationId, Secret};
use crate::ports::{
    Happening, HostRecord, InventoryRecord, NewEntry, Retry, Shell, ShellError, Source, StoreError, Target, Work,
};
use crate::render::RemoteCommand;

/// How work ended.
enum Done {
    /// It brought this about.
    Event(EventKind),
    /// It changed nothing but itself.
    Settled(Happening),
}

/// Why it did not.
enum Trouble {
    /// Once more, later.
    Later(String),
    /// The operation has failed.
    Never(FailureReason),
    /// The operation no longer wants it.
    Void,
}

impl From<JoinTrouble> for Trouble {
    fn from(trouble: JoinTrouble) -> Self {
        match trouble {
            JoinTrouble::Later(said) => Self::Later(said),
            JoinTrouble::Never(why) => Self::Never(why),
        }
    }
}

impl From<ShellError> for Trouble {
    fn from(error: ShellError) -> Self {
        JoinTrouble::from(error).into()
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<crate::ports::VaultError> for Trouble {
    fn from(error: crate::ports::VaultError) -> Self {
        Self::Later(error.to_string())
    }
}

/// After how many tries a key that still opens the host is a failure and not a slow sshd.
const REVOKE_TRIES: u32 = 3;

/// How much of an operation's transcript is kept.
const TRANSCRIPT_BYTES_MAX: usize = 64 * 1024;

impl Orchestrator {
    /// Does a piece of work once and writes down how it ended.
    ///
    /// # Errors
    /// Only when the end could not be written down: the work stays owed, and will be done again.
    pub(super) async fn perform(&self, work: &Work) -> Result<(), StoreError> {
        let mut transcript = Transcript::default();
        let outcome = self.attempt(work, &mut transcript).await;
        let (host, operation) = (work.host, work.id.operation);
        let along = Along { artefacts: self.transcript(operation, transcript).await?, ..Along::default() };
        match outcome {
            Ok(Done::Event(event)) => {
                self.apply(host, &event.of(operation), source(work.id.kind), &along).await?;
            }
            Ok(Done::Settled(what)) => {
                let entry = self.entry(host, Some(operation), Source::Provisioning, what);
                self.ports.store.settle(work.id, Some(entry)).await?;
                self.heed_store().await?;
            }
            Err(Trouble::Never(why)) => {
                let event = EventKind::StepFailed { step: step(work.id.kind), why };
                self.apply(host, &event.of(operation), source(work.id.kind), &along).await?;
            }
            Err(Trouble::Later(error)) => self.postpone(work, error).await?,
            Err(Trouble::Void) => {
                self.ports.store.settle(work.id, None).await?;
            }
        }
        Ok(())
    }

    async fn attempt(&self, work: &Work, transcript: &mut Transcript) -> Result<Done, Trouble> {
        let operation = work.id.operation;
        let record = self.ports.store.host(work.host).await;
        if let Ok(Some(record)) = &record {
            spans::is_about(record);
            spans::is_of(operation);
        }
        if work.id.kind == WorkKind::EraseKey {
            // Whether the host can be read, or is there at all, does not matter to its key.
            self.ports.vault.erase(operation).await?;
            return Ok(Done::Settled(Happening::KeyErased));
        }
        let record = record?.ok_or(Trouble::Void)?;
        let contact = match &record.state {
            HostState::Provisioning { run, .. } if run.operation == operation => run.contact.clone(),
            HostState::Provisioning { .. }
            | HostState::Registered
            | HostState::Ready { .. }
            | HostState::Failed { .. } => return Err(Trouble::Void),
        };
        match work.id.kind {
            WorkKind::OpenShell => self.open_shell(operation, &contact, transcript).await,
            WorkKind::Join => self.join(&record, operation, &contact, transcript).await,
            WorkKind::RevokeKey => self.revoke_key(work, &contact, transcript).await,
            WorkKind::Register => self.register_in_inventory(&record, operation, &contact).await,
            WorkKind::EraseKey => Err(Trouble::Void),
        }
    }

    /// Logs in, and sees to it that we can log in again after the join.
    async fn open_shell(
        &self,
        operation: OperationId,
        contact: &Contact,
        transcript: &mut Transcript,
    ) -> Result<Done, Trouble> {
        let key = self.key(operation).await?.ok_or(Trouble::Never(FailureReason::KeyLost))?;
        let shell = self.login(contact, &key).await?;
        let public = self.operation(operation).await?.public_key;
        place_foothold(&*shell, &public, transcript).await?;
        shell.close().await;
        Ok(Done::Event(EventKind::ShellOpened))
    }

    async fn join(
        &self,
        record: &HostRecord,
        operation: OperationId,
        contact: &Contact,
        transcript: &mut Transcript,
    ) -> Result<Done, Trouble> {
        let done = Done::Event(EventKind::StepDone { step: JoinStep::Join });
        let Some(cluster) = &self.site.cluster else { return Ok(done) };
        let key = self.key(operation).await?.ok_or(Trouble::Never(FailureReason::KeyLost))?;
        let shell = self.login(contact, &key).await?;
        let node = &record.host.name;
        let joined_before = self.joined_just_now(record.host.id).await?;
        let witness = Witness { port: &*self.ports.member, member: &cluster.member, joined_before };
        Join { shell: &*shell, operation, node, cluster, witness, transcript }.run().await?;
        shell.close().await;
        // The next step takes a refused login for proof, so that this one must succeed once more first.
        self.login(contact, &key).await?.close().await;
        Ok(done)
    }

    /// Removes the key from the host and proves it gone; then nobody needs it any more.
    ///
    /// The foothold goes last, so that a login refused right at the start means that an earlier try got through.
    async fn revoke_key(&self, work: &Work, contact: &Contact, transcript: &mut Transcript) -> Result<Done, Trouble> {
        let operation = work.id.operation;
        let done = Done::Event(EventKind::StepDone { step: JoinStep::RevokeKey });
        // Only this step erases the key of a running operation, and only after the proof.
        let Some(key) = self.key(operation).await? else { return Ok(done) };
        match self.login_or_refusal(contact, &key).await? {
            None => {}
            Some(shell) => {
                let public = self.operation(operation).await?.public_key;
                let output =
                    execute(&*shell, &RemoteCommand::Revoke { operation, key: public }, None, transcript).await?;
                shell.close().await;
                if output.status != 0 {
                    return Err(Trouble::Later(format!("the key could not be removed: {}", last_words(&output))));
                }
                if let Some(shell) = self.login_or_refusal(contact, &key).await? {
                    shell.close().await;
                    return Err(if work.attempts + 1 < REVOKE_TRIES {
                        Trouble::Later("the one-time key still opens the host".into())
                    } else {
                        Trouble::Never(FailureReason::KeyStillOpens)
                    });
                }
            }
        }
        self.ports.vault.erase(operation).await?;
        Ok(done)
    }

    async fn register_in_inventory(
        &self,
        record: &HostRecord,
        operation: OperationId,
        contact: &Contact,
    ) -> Result<Done, Trouble> {
        let unexpected = |said: &str| Trouble::Never(FailureReason::Unexpected { said: said.into() });
        let fqdn = Fqdn::new(&record.host.name, &self.site.domain)
            .map_err(|_| unexpected("the host's full name is too long"))?;
        let entry = InventoryRecord {
            host: record.host.id,
            operation,
            hardware_id: contact.hardware_id.clone().or_else(|| record.host.hardware_id.clone()),
            hostname: record.host.name.clone(),
            fqdn,
            ip: contact.address.ok_or_else(|| unexpected("the host never told its address"))?,
            macs: record.host.macs.clone(),
            server_type: record.host.server_type.clone(),
            gpu: self.operation(operation).await?.server_type.gpu.clone(),
        };
        match self.ports.inventory.register(&entry).await {
            Ok(()) => Ok(Done::Event(EventKind::StepDone { step: JoinStep::Register })),
            Err(error) => Err(match error.retry {
                Retry::Later => Trouble::Later(error.to_string()),
                Retry::Never => Trouble::Never(FailureReason::InventoryRefused { said: error.said }),
            }),
        }
    }

    async fn key(&self, operation: OperationId) -> Result<Option<Secret<String>>, Trouble> {
        Ok(self.ports.vault.open(operation).await?)
    }

    async fn login(&self, contact: &Contact, key: &Secret<String>) -> Result<Box<dyn Shell>, Trouble> {
        Ok(self.ports.shell.open(&target(contact)?, key).await?)
    }

    /// `None` when the host refuses the key.
    async fn login_or_refusal(
        &self,
        contact: &Contact,
        key: &Secret<String>,
    ) -> Result<Option<Box<dyn Shell>>, Trouble> {
        match self.ports.shell.open(&target(contact)?, key).await {
            Ok(shell) => Ok(Some(shell)),
            Err(ShellError::KeyRefused { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The transcript goes on where an earlier step's ends; of a very long one the beginning is given up.
    async fn transcript(&self, operation: OperationId, news: Transcript) -> Result<Vec<Artefact>, StoreError> {
        let news = news.into_text();
        if news.is_empty() {
            return Ok(vec![]);
        }
        let kept = self.ports.store.artefacts(operation).await?;
        let before = kept.into_iter().find(|artefact| artefact.kind == ArtefactKind::JoinTranscript);
        let text = before.map(|artefact| artefact.text).unwrap_or_default() + &news;
        let excess = text.len().saturating_sub(TRANSCRIPT_BYTES_MAX);
        let from = text.char_indices().map(|(at, _)| at).find(|at| *at >= excess).unwrap_or_default();
        Ok(vec![self.artefact(ArtefactKind::JoinTranscript, text[from..].to_owned())])
    }

    /// Puts work off with back-off; the leg's deadline ends the patience.
    async fn postpone(&self, work: &Work, error: String) -> Result<(), StoreError> {
        let at = self.ports.clock.now();
        let attempts = work.attempts.saturating_add(1);
        let due = at + super::clockwork::back_off(attempts, &*self.ports.entropy);
        if work.last_error.as_ref() == Some(&error) {
            tracing::debug!(%due, %error, "will try again, as before");
        } else {
            tracing::info!(%due, %error, "will try again");
        }
        let what = Happening::WorkPostponed { work: work.id.kind, attempts, error: error.clone(), due };
        let entry = NewEntry {
            at,
            host: Some(work.host),
            operation: Some(work.id.operation),
            source: source(work.id.kind),
            what,
        };
        // The first tries show that it is being tried; later ones would only fill the journal.
        let entry = self.damper.lets_through(Some(work.host), "postponed", at).then_some(entry);
        let later = Work { due, attempts, last_error: Some(error), ..work.clone() };
        self.ports.store.reschedule(&later, entry).await?;
        self.heed_store().await
    }
}

fn target(contact: &Contact) -> Result<Target, Trouble> {
    let untold = || FailureReason::Unexpected { said: "the host never told its address".into() };
    let address = contact.address.ok_or_else(|| Trouble::Never(untold()))?;
    if contact.host_keys.is_empty() {
        return Err(Trouble::Never(FailureReason::NoHostKey));
    }
    Ok(Target { address, host_keys: contact.host_keys.clone() })
}

fn step(kind: WorkKind) -> JoinStep {
    match kind {
        WorkKind::OpenShell | WorkKind::Join => JoinStep::Join,
        WorkKind::RevokeKey | WorkKind::EraseKey => JoinStep::RevokeKey,
        WorkKind::Register => JoinStep::Register,
    }
}

fn source(kind: WorkKind) -> Source {
    match kind {
        WorkKind::OpenShell | WorkKind::Join | WorkKind::RevokeKey => Source::Ssh,
        WorkKind::Register => Source::Inventory,
        WorkKind::EraseKey => Source::Provisioning,
    }
}
