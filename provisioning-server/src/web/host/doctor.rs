//! The PXE doctor's panel: how far a netboot came, what is missing, and what to do about it.

use provisioning_core::machine::{HostState, Phase};
use provisioning_core::netboot::doctor::{Diagnosis, Mark, Severity, StepSeen};
use provisioning_core::ports::{HostRecord, StoreError};

use super::super::moment::Moment;
use super::super::{Web, diagnose};

/// What the doctor says, in words.
pub(super) struct DoctorView {
    pub(super) mac: String,
    /// In the style sheet: good, info, warn or bad.
    pub(super) tone: &'static str,
    /// The same as a word, for those who see no colour.
    pub(super) word: &'static str,
    /// Whether silence will tell more than the next event.
    pub(super) is_waiting: bool,
    pub(super) summary: String,
    pub(super) cause: Option<String>,
    pub(super) advice: Vec<String>,
    pub(super) snippet: Option<SnippetView>,
    pub(super) notes: Vec<String>,
    pub(super) steps: Vec<StepView>,
}

/// Lines for the site's own DHCP server.
pub(super) struct SnippetView {
    pub(super) server: &'static str,
    pub(super) text: String,
    pub(super) command: &'static str,
}

/// A step of the netboot.
pub(super) struct StepView {
    pub(super) title: &'static str,
    pub(super) mark: &'static str,
    pub(super) word: &'static str,
    pub(super) at: Option<Moment>,
    pub(super) detail: Option<String>,
}

impl DoctorView {
    /// Of the NIC that a host is expected to boot from, as long as its netboot matters.
    pub(super) async fn of(web: &Web, record: &HostRecord) -> Result<Option<Self>, StoreError> {
        let phase = match &record.state {
            HostState::Failed { during, .. } => during.phase(),
            other => other.phase(),
        };
        let Some(mac) = record.host.macs.first().filter(|_| matters(phase)) else { return Ok(None) };
        let diagnosis = diagnose(&web.orchestrator, &*web.downloads, *mac).await?;
        let armed_at = record.state.since().filter(|_| record.state.phase() == Phase::PxeReady);
        let is_old = armed_at.is_some_and(|armed| diagnosis.last_seen_at.is_some_and(|seen| seen < armed));
        let is_shown = phase != Phase::Registered || diagnosis.reached.is_some();
        let diagnosis = if is_old { not_since(diagnosis) } else { diagnosis };
        Ok(is_shown.then(|| Self::new(diagnosis)))
    }

    fn new(diagnosis: Diagnosis) -> Self {
        let (tone, word) = match diagnosis.severity {
            Severity::Fine => ("good", "Fine"),
            Severity::Waiting => ("info", "Waiting"),
            Severity::Attention => ("warn", "Look at this"),
            Severity::Trouble => ("bad", "Trouble"),
        };
        let steps = diagnosis.steps.into_iter().map(|step| {
            let (mark, word) = match step.mark {
                Mark::Done => ("done", "done"),
                Mark::Skipped => ("skipped", "not seen"),
                Mark::Next => ("next", "missing"),
                Mark::Ahead => ("ahead", "to come"),
            };
            StepView { title: step.title, mark, word, at: step.done_at.map(Moment), detail: step.detail }
        });
        Self {
            mac: diagnosis.mac.to_string(),
            tone,
            word,
            is_waiting: diagnosis.severity == Severity::Waiting,
            summary: diagnosis.summary,
            cause: diagnosis.likely_cause,
            advice: diagnosis.advice,
            snippet: diagnosis.snippet.map(|snippet| SnippetView {
                server: snippet.server,
                text: snippet.lines.join("\n"),
                command: snippet.command,
            }),
            notes: diagnosis.notes,
            steps: steps.collect(),
        }
    }
}

/// What was seen of a machine before it was armed says nothing of the netboot that is awaited.
fn not_since(diagnosis: Diagnosis) -> Diagnosis {
    let first = diagnosis.steps.first().map(|step| step.step);
    let awaited = |step: StepSeen| {
        let mark = if Some(step.step) == first { Mark::Next } else { Mark::Ahead };
        StepSeen { mark, done_at: None, detail: None, ..step }
    };
    Diagnosis {
        severity: Severity::Waiting,
        summary: "Nothing was seen of it since it was armed".to_owned(),
        reached: None,
        missing: first,
        likely_cause: None,
        advice: vec!["Start the machine, with the network first in its boot order".to_owned()],
        snippet: None,
        notes: vec![],
        steps: diagnosis.steps.into_iter().map(awaited).collect(),
        ..diagnosis
    }
}

/// Whether the phase is one in which a netboot is awaited, under way, or what may have gone wrong.
fn matters(phase: Phase) -> bool {
    match phase {
        Phase::Registered | Phase::PxeReady | Phase::PxeBooted => true,
        Phase::Installing | Phase::Installed | Phase::FirstBoot | Phase::Joining | Phase::Ready | Phase::Failed => {
            false
        }
    }
}
