//! What installers and hosts report: the webhook and the phone-home.

use std::net::IpAddr;

use tracing::Instrument as _;

use super::answers::request_from;
use super::apply::Along;
use super::error::{ReportRefusal, TokenError};
use super::machines::masked;
use super::{Orchestrator, spans};
use crate::machine::{Contact, EventKind};
use crate::model::{ArtefactKind, HostId, InstallReport, Operation, PhoneHome, ReportError};
use crate::ports::{Happening, MachineRequest, Source, StoreError, chain};

/// Which report a machine sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The post-installation webhook.
    Installed,
    /// The first-boot script's phone-home.
    PhoneHome,
}

impl Orchestrator {
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
        let request = match report {
            Report::Installed => "installed",
            Report::PhoneHome => "phone_home",
        };
        self.report_now(report, host, token, body, from).instrument(spans::machine(request, from)).await
    }

    async fn report_now(
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
        let (source, event, kind, request) = match report {
            Report::Installed => {
                (Source::Installer, installed(body), ArtefactKind::InstallReport, MachineRequest::InstallReport)
            }
            Report::PhoneHome => {
                (Source::Host, phoned_home(body, from), ArtefactKind::PhoneHome, MachineRequest::PhoneHome)
            }
        };
        match event {
            Ok(event) => {
                let kept = self.artefact(kind, masked(&String::from_utf8_lossy(body), &operation.token));
                let along = Along { artefacts: vec![kept], notes: request_from(request, from), ..Along::default() };
                let event = event.of(operation.id);
                self.patiently(|| self.apply(host, &event, source, &along)).await?;
                if report == Report::Installed {
                    self.compare_report(&operation, body).await?;
                }
            }
            Err(error) => {
                let why = chain(&error);
                tracing::warn!(%why, "a report cannot be used");
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
