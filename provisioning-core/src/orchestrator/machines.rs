//! What machines ask: boot script, artifacts, first-boot script.

use std::net::IpAddr;
use std::time::Duration;

use tracing::Instrument as _;

use super::apply::Along;
use super::error::TokenError;
use super::{Orchestrator, spans};
use crate::machine::{BootAnswer, EventKind, HostState, Leg, boot_answer};
use crate::model::{Artefact, ArtefactKind, BootToken, Fqdn, HostId, MacAddr, Operation, OperationId, Secret};
use crate::netboot::{Trace, shortened};
use crate::ports::{Happening, HostRecord, NewEntry, Source, StoreError};
use crate::render::{BootScript, FirstBootScript, LOCAL_DISK_SCRIPT, boot_script, first_boot_script};

/// What firmware is told.
#[derive(Clone, Debug)]
pub enum BootReply {
    /// A script to run; it holds the operation's token when it boots the installer.
    Script(Secret<String>),
    /// Nothing: the machine goes on to its next boot device.
    NextDevice,
    /// To ask again after so long: the store is busy.
    Wait(Duration),
}

/// A machine's request for its boot script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootRequest<'a> {
    /// The NIC that booted.
    pub mac: MacAddr,
    /// From where it asks.
    pub from: Option<IpAddr>,
    /// What it calls itself: its `User-Agent`.
    pub agent: Option<&'a str>,
}

impl BootRequest<'_> {
    fn agent(&self) -> Option<String> {
        self.agent.map(shortened).filter(|agent| !agent.is_empty())
    }
}

impl Orchestrator {
    /// What the machine with this NIC shall boot. Answers at once, whatever the store does: firmware waits without
    /// limit on an open connection (`reference/netboot.md` §3.5).
    pub async fn boot_script(&self, mac: MacAddr) -> BootReply {
        self.boot_script_for(BootRequest { mac, from: None, agent: None }).await
    }

    /// The same, for those who know more of the request: the PXE doctor and the journal tell of it.
    pub async fn boot_script_for(&self, request: BootRequest<'_>) -> BootReply {
        let answer = async {
            self.boot_script_now(&request).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "told a machine to wait for its boot script");
                BootReply::Wait(Duration::from_secs(5))
            })
        };
        answer.instrument(spans::boot_script(request.mac)).await
    }

    async fn boot_script_now(&self, request: &BootRequest<'_>) -> Result<BootReply, StoreError> {
        let BootRequest { mac, from, .. } = *request;
        let Some(record) = self.ports.store.host_by_mac(mac).await? else {
            let trace = Trace::ScriptAsked { told: BootAnswer::NextDevice, agent: request.agent() };
            self.stranger_asked(mac, from, trace, None).await;
            return Ok(BootReply::NextDevice);
        };
        spans::is_about(&record);
        self.located(mac, from).await;
        let answer = boot_answer(&record.state);
        match (answer, &record.state) {
            (BootAnswer::Installer, HostState::Provisioning { run, leg }) => {
                let operation = self.operation(run.operation).await?;
                let Some(script) = self.installer_script(&record, &operation).await? else {
                    return Ok(BootReply::NextDevice);
                };
                // Kept with what it moves: a machine that asks again while it boots is told the same, and moves nothing.
                let shown = (*leg != Leg::PxeBooted)
                    .then(|| self.artefact(ArtefactKind::BootScript, masked(script.expose(), &operation.token)));
                self.tell_booted(record, request, answer, shown).await?;
                Ok(BootReply::Script(script))
            }
            (BootAnswer::NextDevice, _) => {
                self.tell_booted(record, request, answer, None).await?;
                Ok(BootReply::NextDevice)
            }
            (BootAnswer::LocalDisk | BootAnswer::Installer, _) => {
                self.tell_booted(record, request, answer, None).await?;
                Ok(BootReply::Script(Secret::new(LOCAL_DISK_SCRIPT.to_owned())))
            }
        }
    }

    /// The operation whose installer the machine with this NIC would be given now; `None` when it would be sent on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn armed_operation(&self, mac: MacAddr) -> Result<Option<OperationId>, StoreError> {
        let record = self.ports.store.host_by_mac(mac).await?;
        let armed = record.filter(|record| boot_answer(&record.state) == BootAnswer::Installer);
        Ok(armed.and_then(|record| record.state.running()))
    }

    /// The script; `None` when the image is gone, or the host's name no longer goes with the domain.
    async fn installer_script(
        &self,
        record: &HostRecord,
        operation: &Operation,
    ) -> Result<Option<Secret<String>>, StoreError> {
        let image = self.ports.store.image(operation.image).await?;
        let (Some(image), Ok(fqdn)) = (image, Fqdn::new(&record.host.name, &self.site.domain)) else {
            return Ok(None);
        };
        let (public_url, token, release) = (self.site.artifact_url(), &operation.token, image.release);
        Ok(Some(Secret::new(boot_script(&BootScript { public_url, token, fqdn: &fqdn, release }))))
    }

    /// Feeds a netboot to the machine where it means something, else notes it.
    async fn tell_booted(
        &self,
        record: HostRecord,
        request: &BootRequest<'_>,
        answer: BootAnswer,
        artefact: Option<Artefact>,
    ) -> Result<(), StoreError> {
        let BootRequest { mac, from, .. } = *request;
        let what = Happening::Booted { mac, answer, from, agent: request.agent() };
        match &record.state {
            HostState::Provisioning { leg: Leg::PxeReady | Leg::PxeBooted | Leg::Installing, run } => {
                let along = Along { artefacts: artefact.into_iter().collect(), notes: vec![what], ..Along::default() };
                let event = EventKind::BootScriptFetched.of(run.operation);
                self.apply_to(record, &event, Source::Firmware, &along).await?;
                Ok(())
            }
            state => {
                let entry = self.entry(record.host.id, state.operation(), Source::Firmware, what);
                self.note("booted", entry).await.map(drop)
            }
        }
    }

    /// The operation that a token opens: it runs, and its secret is right. For kernel, initrd and ISO.
    ///
    /// # Errors
    /// `Unknown`, `Ended`, `Store`.
    pub async fn authorise(&self, token: &str) -> Result<Operation, TokenError> {
        let (operation, record) = self.holder(token).await?;
        if record.state.running() == Some(operation.id) { Ok(operation) } else { Err(TokenError::Ended(operation.id)) }
    }

    /// The operation whose token this is, running or ended.
    pub(super) async fn holder(&self, token: &str) -> Result<(Operation, HostRecord), TokenError> {
        let token: BootToken = token.parse().map_err(|_| TokenError::Unknown)?;
        let operation = self.ports.store.operation(token.operation()).await?.ok_or(TokenError::Unknown)?;
        if operation.token != token {
            return Err(TokenError::Unknown);
        }
        let record = self.ports.store.host(operation.host).await?.ok_or(TokenError::Unknown)?;
        spans::is_about_host(&record);
        spans::is_of(operation.id);
        Ok((operation, record))
    }

    /// The first-boot script of a running operation.
    ///
    /// # Errors
    /// `Unknown` also when the token is another host's; `Ended`, `Store`.
    pub async fn first_boot_script(&self, host: HostId, token: &str) -> Result<Secret<String>, TokenError> {
        self.first_boot_script_now(host, token).instrument(spans::machine("first_boot_script", None)).await
    }

    async fn first_boot_script_now(&self, host: HostId, token: &str) -> Result<Secret<String>, TokenError> {
        let (operation, record) = self.patiently(|| self.holder(token)).await?;
        if record.host.id != host {
            return Err(TokenError::Unknown);
        }
        if record.state.running() != Some(operation.id) {
            return Err(TokenError::Ended(operation.id));
        }
        // The installer fetches it right before it writes the disks.
        let event = EventKind::InstallerBegan.of(operation.id);
        self.patiently(|| async {
            self.apply(host, &event, Source::Installer, &Along::default()).await.map_err(TokenError::Store)
        })
        .await?;
        let site = self.site_now();
        let (public_url, tls_fingerprint) = (&site.public_url, site.tls_fingerprint);
        Ok(Secret::new(first_boot_script(&FirstBootScript {
            public_url,
            host,
            token: &operation.token,
            tls_fingerprint,
        })))
    }

    pub(super) async fn operation(&self, id: crate::model::OperationId) -> Result<Operation, StoreError> {
        self.ports.store.operation(id).await?.ok_or_else(|| StoreError::Corrupt {
            table: "operations",
            problem: format!("a host names operation {id}, which is not there"),
        })
    }

    pub(super) fn entry(
        &self,
        host: HostId,
        operation: Option<crate::model::OperationId>,
        source: Source,
        what: Happening,
    ) -> NewEntry {
        NewEntry { at: self.ports.clock.now(), host: Some(host), operation, source, what }
    }

    pub(super) fn artefact(&self, kind: ArtefactKind, text: String) -> Artefact {
        Artefact { kind, text, at: self.ports.clock.now() }
    }
}

pub(super) fn masked(text: &str, token: &BootToken) -> String {
    text.replace(&token.expose(), "***")
}
