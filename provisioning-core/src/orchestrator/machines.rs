//! What machines ask and tell: boot script, artifacts, answer file, first-boot script, reports.

use std::net::IpAddr;
use std::time::Duration;

use super::Orchestrator;
use super::apply::Along;
use super::error::{AnswerRefusal, ReportRefusal, TokenError};
use crate::machine::{AnswerDecision, BootAnswer, Contact, EventKind, HostState, Leg, answer_decision, boot_answer};
use crate::model::{
    Artefact, ArtefactKind, BootToken, Fqdn, HostId, InstallReport, MacAddr, Operation, PhoneHome, ReportError, Secret,
    SystemInfo,
};
use crate::ports::{EntropyExt, Happening, HostRecord, NewEntry, Retry, Source, StoreError, chain};
use crate::render::answer::{self, AnswerInput};
use crate::render::{BootScript, FirstBootScript, LOCAL_DISK_SCRIPT, boot_script, first_boot_script};

/// How long a machine's request is held while the store is busy. Installers wait 60 s and ask once
/// (`reference/fetch-answer.md`).
const PATIENCE: Duration = Duration::from_secs(50);

/// How long until a busy store is asked again.
const PAUSE: Duration = Duration::from_millis(250);

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

/// An installer's request for its answer file.
#[derive(Clone, Debug)]
pub struct AnswerRequest<'a> {
    /// The token it showed, if it did.
    pub token: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
    /// Its `Accept` header.
    pub accept: Option<&'a str>,
    /// Where it came from.
    pub from: Option<IpAddr>,
}

/// An answer file to be sent.
#[derive(Clone, Debug)]
pub struct ServedAnswer {
    /// Its text.
    pub text: Secret<String>,
    /// Its media type.
    pub content_type: &'static str,
}

/// Which report a machine sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The post-installation webhook.
    Installed,
    /// The first-boot script's phone-home.
    PhoneHome,
}

impl Orchestrator {
    /// What the machine with this NIC shall boot. Answers at once, whatever the store does: firmware waits without
    /// limit on an open connection (`reference/netboot.md` §3.5).
    pub async fn boot_script(&self, mac: MacAddr) -> BootReply {
        match self.boot_script_now(mac).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::warn!(%mac, %error, "told a machine to wait for its boot script");
                BootReply::Wait(Duration::from_secs(5))
            }
        }
    }

    async fn boot_script_now(&self, mac: MacAddr) -> Result<BootReply, StoreError> {
        let Some(record) = self.ports.store.host_by_mac(mac).await? else { return Ok(BootReply::NextDevice) };
        let answer = boot_answer(&record.state);
        match (answer, &record.state) {
            (BootAnswer::Installer, HostState::Provisioning { run, .. }) => {
                let operation = self.operation(run.operation).await?;
                let Some(script) = self.installer_script(&record, &operation).await? else {
                    return Ok(BootReply::NextDevice);
                };
                self.tell_booted(&record, mac, answer, script.1).await?;
                Ok(BootReply::Script(script.0))
            }
            (BootAnswer::NextDevice, _) => Ok(BootReply::NextDevice),
            (BootAnswer::LocalDisk | BootAnswer::Installer, _) => {
                self.tell_booted(&record, mac, answer, None).await?;
                Ok(BootReply::Script(Secret::new(LOCAL_DISK_SCRIPT.to_owned())))
            }
        }
    }

    /// The script, and the artefact that shows it with the token masked.
    async fn installer_script(
        &self,
        record: &HostRecord,
        operation: &Operation,
    ) -> Result<Option<(Secret<String>, Option<Artefact>)>, StoreError> {
        let image = self.ports.store.image(operation.image).await?;
        let (Some(image), Ok(fqdn)) = (image, Fqdn::new(&record.host.name, &self.site.domain)) else {
            return Ok(None);
        };
        let (public_url, token, release) = (&self.site.public_url, &operation.token, image.release);
        let text = boot_script(&BootScript { public_url, token, fqdn: &fqdn, release });
        let shown = self.artefact(ArtefactKind::BootScript, masked(&text, token));
        Ok(Some((Secret::new(text), Some(shown))))
    }

    /// Feeds a netboot to the machine where it means something, else notes it.
    async fn tell_booted(
        &self,
        record: &HostRecord,
        mac: MacAddr,
        answer: BootAnswer,
        artefact: Option<Artefact>,
    ) -> Result<(), StoreError> {
        let host = record.host.id;
        match &record.state {
            HostState::Provisioning { leg: Leg::PxeReady | Leg::PxeBooted | Leg::Installing, run } => {
                let along = Along { artefacts: artefact.into_iter().collect(), ..Along::default() };
                self.apply(host, &EventKind::BootScriptFetched.of(run.operation), Source::Firmware, &along).await?;
                Ok(())
            }
            state => {
                let what = Happening::Booted { mac, answer };
                self.note("booted", self.entry(host, state.operation(), Source::Firmware, what)).await
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
    async fn holder(&self, token: &str) -> Result<(Operation, HostRecord), TokenError> {
        let token: BootToken = token.parse().map_err(|_| TokenError::Unknown)?;
        let operation = self.ports.store.operation(token.operation()).await?.ok_or(TokenError::Unknown)?;
        if operation.token != token {
            return Err(TokenError::Unknown);
        }
        let record = self.ports.store.host(operation.host).await?.ok_or(TokenError::Unknown)?;
        Ok((operation, record))
    }

    /// The answer file for an installer. Holds the request while the store is busy; records the answer durably
    /// before it is handed out.
    ///
    /// # Errors
    /// See [`AnswerRefusal`]; every refusal is journalled where a host can be named.
    pub async fn answer_file(&self, request: &AnswerRequest<'_>) -> Result<ServedAnswer, AnswerRefusal> {
        let deadline = self.ports.clock.now() + PATIENCE;
        loop {
            match self.answer_file_now(request).await {
                Err(AnswerRefusal::Store(error) | AnswerRefusal::Token(TokenError::Store(error)))
                    if is_passing(&error) && self.ports.clock.now() < deadline =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn answer_file_now(&self, request: &AnswerRequest<'_>) -> Result<ServedAnswer, AnswerRefusal> {
        let info = SystemInfo::from_json(request.body);
        let found = match &info {
            Ok(info) => self.host_asking(request.token, info).await,
            Err(_) => match request.token {
                Some(token) => Ok(self.holder(token).await?),
                None => Err((None, AnswerRefusal::NoHost { macs: vec![] })),
            },
        };
        let (operation, record) = match found {
            Ok(found) => found,
            Err((host, refusal)) => return Err(self.refused(host, request.from, refusal).await?),
        };
        let info = match info {
            Ok(info) => info,
            Err(error) => return Err(self.refused(Some(record), request.from, error.into()).await?),
        };
        match self.decide(&record, &operation, &info) {
            Ok(()) => self.serve(&operation, &record, &info, request).await,
            Err(refusal) => Err(self.refused(Some(record), request.from, refusal).await?),
        }
    }

    /// By the token, else by the addresses of an armed host.
    async fn host_asking(
        &self,
        token: Option<&str>,
        info: &SystemInfo,
    ) -> Result<(Operation, HostRecord), (Option<HostRecord>, AnswerRefusal)> {
        let store = |error: StoreError| (None, AnswerRefusal::Store(error));
        if let Some(token) = token {
            let (operation, record) = self.holder(token).await.map_err(|error| (None, error.into()))?;
            if record.host.macs.iter().any(|mac| info.macs.contains(mac)) {
                return Ok((operation, record));
            }
            let refusal = AnswerRefusal::ForeignMacs { host: record.host.name.clone(), macs: info.macs.clone() };
            return Err((Some(record), refusal));
        }
        let mut found: Vec<HostRecord> = vec![];
        for mac in &info.macs {
            if let Some(record) = self.ports.store.host_by_mac(*mac).await.map_err(store)?
                && record.state.running().is_some()
                && !found.iter().any(|other| other.host.id == record.host.id)
            {
                found.push(record);
            }
        }
        match <[HostRecord; 1]>::try_from(found) {
            Ok([record]) => {
                let id = record.state.running().ok_or((None, AnswerRefusal::NoHost { macs: vec![] }))?;
                let operation = self.operation(id).await.map_err(store)?;
                Ok((operation, record))
            }
            Err(none) if none.is_empty() => Err((None, AnswerRefusal::NoHost { macs: info.macs.clone() })),
            Err(several) => {
                let names = several.iter().map(|record| record.host.name.clone()).collect();
                Err((several.into_iter().next(), AnswerRefusal::SeveralHosts { names }))
            }
        }
    }

    fn decide(&self, record: &HostRecord, operation: &Operation, info: &SystemInfo) -> Result<(), AnswerRefusal> {
        let host = record.host.name.clone();
        if record.state.running() != Some(operation.id) {
            return Err(match record.state.operation() {
                Some(latest) if latest != operation.id => TokenError::Ended(operation.id).into(),
                _ => AnswerRefusal::NotArmed { host },
            });
        }
        if !info.product.is_empty() && info.product != "pve" {
            return Err(AnswerRefusal::ForeignProduct { product: info.product.chars().take(16).collect() });
        }
        match answer_decision(&record.state, self.ports.clock.now(), &self.policy) {
            AnswerDecision::Serve | AnswerDecision::ServeAgain => Ok(()),
            AnswerDecision::AlreadyInstalled => Err(AnswerRefusal::AlreadyInstalled { host }),
            AnswerDecision::NotArmed => Err(AnswerRefusal::NotArmed { host }),
        }
    }

    async fn serve(
        &self,
        operation: &Operation,
        record: &HostRecord,
        info: &SystemInfo,
        request: &AnswerRequest<'_>,
    ) -> Result<ServedAnswer, AnswerRefusal> {
        // Only 8.2 needs it: it cannot take a hash. Nobody learns it, root logs in by key.
        let password = Secret::new(self.ports.entropy.bytes::<24>().map(|byte| format!("{byte:02x}")).concat());
        let input = AnswerInput {
            site: &self.site,
            host: &record.host,
            server_type: &operation.server_type,
            one_time_key: &operation.public_key,
            token: &operation.token,
            fallback_password: Some(&password),
        };
        let answer = match answer::answer(&input, info.release, answer::format_for(info.release, request.accept)) {
            Ok(answer) => answer,
            Err(error) => {
                let refusal =
                    AnswerRefusal::NotInstallable { host: record.host.name.clone(), problem: error.to_string() };
                return Err(self.refused(Some(record.clone()), request.from, refusal).await?);
            }
        };
        let asked = masked(&String::from_utf8_lossy(request.body), &operation.token);
        let along = Along {
            artefacts: vec![
                self.artefact(ArtefactKind::SystemInfo, asked),
                self.artefact(ArtefactKind::Answer, answer.masked),
            ],
            ..Along::default()
        };
        self.apply(record.host.id, &EventKind::AnswerFetched.of(operation.id), Source::Installer, &along).await?;
        Ok(ServedAnswer { text: answer.text, content_type: answer.content_type })
    }

    /// Journals a refusal, so that an operator sees why a machine stands still.
    async fn refused(
        &self,
        host: Option<HostRecord>,
        from: Option<IpAddr>,
        refusal: AnswerRefusal,
    ) -> Result<AnswerRefusal, StoreError> {
        if matches!(refusal, AnswerRefusal::Store(_) | AnswerRefusal::Token(TokenError::Store(_))) {
            return Ok(refusal);
        }
        tracing::warn!(?from, %refusal, "refused an answer file");
        let what = Happening::AnswerDenied { from, why: refusal.to_string() };
        let at = self.ports.clock.now();
        let (id, operation) = host.map_or((None, None), |record| (Some(record.host.id), record.state.operation()));
        self.note("answer denied", NewEntry { at, host: id, operation, source: Source::Installer, what }).await?;
        Ok(refusal)
    }

    /// The first-boot script of a running operation.
    ///
    /// # Errors
    /// `Unknown` also when the token is another host's; `Ended`, `Store`.
    pub async fn first_boot_script(&self, host: HostId, token: &str) -> Result<Secret<String>, TokenError> {
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
        let public_url = &self.site.public_url;
        Ok(Secret::new(first_boot_script(&FirstBootScript { public_url, host, token: &operation.token })))
    }

    /// Takes a machine's report. With a token of this host it is never refused, whatever it says and however late it
    /// comes; what cannot be used is journalled.
    ///
    /// # Errors
    /// `NoSuchHost`, `UnknownToken`: not one of our machines. `Store` when the store failed for long.
    pub async fn report(
        &self,
        report: Report,
        host: HostId,
        token: &str,
        body: &[u8],
        from: Option<IpAddr>,
    ) -> Result<(), ReportRefusal> {
        self.patiently(|| self.ports.store.host(host)).await?.ok_or(ReportRefusal::NoSuchHost(host))?;
        let operation = match self.patiently(|| self.holder(token)).await {
            Ok((operation, _)) if operation.host == host => operation,
            Ok(_) | Err(TokenError::Unknown | TokenError::Ended(_)) => return Err(ReportRefusal::UnknownToken),
            Err(TokenError::Store(error)) => return Err(error.into()),
        };
        let (source, event) = match report {
            Report::Installed => (Source::Installer, installed(body)),
            Report::PhoneHome => (Source::Host, phoned_home(body, from)),
        };
        match event {
            Ok(event) => {
                let kept = (report == Report::Installed).then(|| {
                    let text = masked(&String::from_utf8_lossy(body), &operation.token);
                    self.artefact(ArtefactKind::InstallReport, text)
                });
                let along = Along { artefacts: kept.into_iter().collect(), ..Along::default() };
                let event = event.of(operation.id);
                self.patiently(|| self.apply(host, &event, source, &along)).await?;
                if report == Report::Installed {
                    self.compare_report(&operation, body).await?;
                }
            }
            Err(error) => {
                let why = chain(&error);
                let entry = self.entry(host, Some(operation.id), source, Happening::ReportUnusable { from, why });
                self.patiently(|| self.note("report unusable", entry.clone())).await?;
            }
        }
        Ok(())
    }

    /// Journals where the installed system differs from what was expected.
    async fn compare_report(&self, operation: &Operation, body: &[u8]) -> Result<(), StoreError> {
        let Ok(report) = InstallReport::from_json(body) else { return Ok(()) };
        let expected = operation.server_type.management_nic.as_ref().map(ToString::to_string);
        if let (Some(expected), Some(found)) = (expected, report.management_nic)
            && expected != found
        {
            let found: String = found.chars().take(32).collect();
            let text = format!("the management address is on {found}, server type says {expected}");
            let entry = self.entry(operation.host, Some(operation.id), Source::Installer, Happening::Warning { text });
            self.note("management nic", entry).await?;
        }
        Ok(())
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

    /// Tries until the store answers or a machine's patience ends.
    async fn patiently<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: PassingError,
    {
        let deadline = self.ports.clock.now() + PATIENCE;
        loop {
            match attempt().await {
                Err(error) if error.passes() && self.ports.clock.now() < deadline => tokio::time::sleep(PAUSE).await,
                outcome => return outcome,
            }
        }
    }
}

/// An error that may go away by waiting.
trait PassingError {
    fn passes(&self) -> bool;
}

impl PassingError for StoreError {
    fn passes(&self) -> bool {
        is_passing(self)
    }
}

impl PassingError for TokenError {
    fn passes(&self) -> bool {
        matches!(self, Self::Store(error) if is_passing(error))
    }
}

fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { retry: Retry::Later, .. })
}

fn installed(body: &[u8]) -> Result<EventKind, ReportError> {
    let report = InstallReport::from_json(body)?;
    Ok(EventKind::InstallReported(Contact {
        address: report.address,
        host_keys: report.host_keys,
        hardware_id: report.dmi.hardware_id(),
    }))
}

fn phoned_home(body: &[u8], from: Option<IpAddr>) -> Result<EventKind, ReportError> {
    let report = PhoneHome::from_json(body)?;
    // A host that could not tell its own address is reached where it came from.
    let address = if report.ip.is_unspecified() { from } else { Some(report.ip) };
    Ok(EventKind::FirstBootReported(Contact { address, host_keys: report.host_keys, hardware_id: report.hardware_id }))
}

fn masked(text: &str, token: &BootToken) -> String {
    text.replace(&token.expose(), "***")
}
