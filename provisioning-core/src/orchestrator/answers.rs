//! The answer file: who gets it, and what it says.

use std::net::IpAddr;

use tracing::Instrument as _;

use super::apply::Along;
use super::error::{AnswerRefusal, TokenError};
use super::hardware::other_machine;
use super::machines::masked;
use super::{Orchestrator, spans};
use crate::machine::{AnswerDecision, EventKind, answer_decision};
use crate::model::{ArtefactKind, Operation, Secret, SystemInfo};
use crate::ports::{Change, EntropyExt, Happening, HostRecord, MachineRequest, NewEntry, Source, StoreError};
use crate::render::answer::{self, AnswerInput};

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

impl Orchestrator {
    /// The answer file for an installer. Holds the request while the store is busy; records the answer durably
    /// before it is handed out.
    ///
    /// # Errors
    /// See [`AnswerRefusal`]; every refusal is journalled where a host can be named.
    pub async fn answer_file(&self, request: &AnswerRequest<'_>) -> Result<ServedAnswer, AnswerRefusal> {
        let answer = self.patiently(|| self.answer_file_now(request));
        answer.instrument(spans::machine("answer", request.from)).await
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
            Err((host, refusal)) => {
                if let (AnswerRefusal::NoHost { .. }, Ok(info)) = (&refusal, &info) {
                    self.strange_installer(info, request.from, refusal.to_string()).await;
                }
                return Err(self.refused(host, request, refusal).await?);
            }
        };
        let info = match info {
            Ok(info) => info,
            Err(error) => return Err(self.refused(Some(record), request, error.into()).await?),
        };
        match self.decide(&record, &operation, &info) {
            Ok(()) => self.serve(&operation, &record, &info, request).await,
            Err(refusal) => Err(self.refused(Some(record), request, refusal).await?),
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
        let (mut found, mut idle): (Vec<HostRecord>, Option<HostRecord>) = (vec![], None);
        for mac in &info.macs {
            let Some(record) = self.ports.store.host_by_mac(*mac).await.map_err(store)? else { continue };
            if record.state.running().is_none() {
                idle = Some(record);
            } else if !found.iter().any(|other| other.host.id == record.host.id) {
                found.push(record);
            }
        }
        match <[HostRecord; 1]>::try_from(found) {
            Ok([record]) => {
                let id = record.state.running().ok_or((None, AnswerRefusal::NoHost { macs: vec![] }))?;
                let operation = self.operation(id).await.map_err(store)?;
                spans::is_about(&record);
                Ok((operation, record))
            }
            Err(none) if none.is_empty() => Err((idle, AnswerRefusal::NoHost { macs: info.macs.clone() })),
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
        if let (Some(known), Some(found)) = (&record.host.hardware_id, other_machine(&record.host, &info.dmi)) {
            return Err(AnswerRefusal::OtherHardware { host, known: known.clone(), found });
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
        let site = self.site_now();
        let input = AnswerInput {
            site: &site,
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
                return Err(self.refused(Some(record.clone()), request, refusal).await?);
            }
        };
        let asked = masked(&String::from_utf8_lossy(request.body), &operation.token);
        let along = Along {
            artefacts: vec![
                self.artefact(ArtefactKind::SystemInfo, asked),
                self.artefact(ArtefactKind::Answer, answer.masked),
            ],
            notes: request_from(MachineRequest::Answer, request.from),
            ..Along::default()
        };
        let event = EventKind::AnswerFetched.of(operation.id);
        self.apply_to(record.clone(), &event, Source::Installer, &along).await?;
        Ok(ServedAnswer { text: answer.text, content_type: answer.content_type })
    }

    /// Journals a refusal and keeps the request, so that an operator sees why a machine stands still.
    async fn refused(
        &self,
        host: Option<HostRecord>,
        request: &AnswerRequest<'_>,
        refusal: AnswerRefusal,
    ) -> Result<AnswerRefusal, StoreError> {
        if matches!(refusal, AnswerRefusal::Store(_) | AnswerRefusal::Token(TokenError::Store(_))) {
            return Ok(refusal);
        }
        let from = request.from;
        if let Some(record) = &host {
            spans::is_about(record);
        }
        let what = Happening::AnswerDenied { from, why: refusal.to_string() };
        let at = self.ports.clock.now();
        let Some(record) = host else {
            tracing::warn!(%refusal, "refused an answer file");
            let entry = NewEntry { at, host: None, operation: None, source: Source::Installer, what };
            self.note("answer denied", entry).await?;
            return Ok(refusal);
        };
        let id = record.host.id;
        let entry = self.entry(id, record.state.operation(), Source::Installer, what);
        // Whoever asks for ever shall fill neither the journal nor the log.
        if self.damper.lets_through(Some(id), "answer denied", at) {
            tracing::warn!(%refusal, "refused an answer file");
            self.keep_request(record, entry, request).await?;
        }
        Ok(refusal)
    }

    /// Writes an entry, and keeps the request with the operation that it was about.
    async fn keep_request(
        &self,
        mut record: HostRecord,
        entry: NewEntry,
        request: &AnswerRequest<'_>,
    ) -> Result<(), StoreError> {
        while let Some(id) = record.state.running() {
            let text = masked(&String::from_utf8_lossy(request.body), &self.operation(id).await?.token);
            let mut change = Change::to(record.host, record.state, Some(record.revision));
            let host = change.host.id;
            change.artefacts = vec![(id, self.artefact(ArtefactKind::RefusedRequest, text))];
            change.journal = vec![entry.clone()];
            match self.ports.store.commit(change).await {
                Ok(committed) => {
                    self.heard_of(committed.last_seq);
                    return Ok(());
                }
                Err(StoreError::Stale { .. }) => {
                    record = self.ports.store.host(host).await?.ok_or(StoreError::NoSuchHost(host))?;
                }
                Err(error) => return Err(error),
            }
        }
        self.write_down(vec![entry]).await
    }
}

/// For the journal: what a machine asked, and from where; nothing when nobody knows.
pub(super) fn request_from(request: MachineRequest, from: Option<IpAddr>) -> Vec<Happening> {
    from.map(|from| Happening::RequestFrom { request, from }).into_iter().collect()
}
