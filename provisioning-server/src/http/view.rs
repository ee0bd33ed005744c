//! What the API shows: hosts, operations, images as JSON. Field names are part of the API.

use provisioning_core::machine::{EventKind, FailureReason, HostState, JoinStep, Leg, Phase};
use provisioning_core::model::{
    Artefact, Fqdn, Hostname, Image, MemberAddr, NicName, Operation, ServerType, Timestamp,
};
use provisioning_core::orchestrator::{JoinPlace, Preflight};
use provisioning_core::ports::{Happening, HostRecord, JournalEntry, Work};
use serde::Serialize;

use crate::web::{waiting_for, waits_in_lane};

use super::downloads::Download;

/// A host.
#[derive(Clone, Debug, Serialize)]
pub struct HostView {
    id: String,
    hostname: String,
    macs: Vec<String>,
    server_type: String,
    address: Option<String>,
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    waiting_for: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    join_position: Option<usize>,
    since: Timestamp,
    deadline: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    download: Option<Download>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    hardware_id: Option<String>,
    last_ready_at: Option<Timestamp>,
    revision: u64,
    registered_at: Timestamp,
}

/// What is being tried again, and why.
#[derive(Clone, Debug, Serialize)]
pub struct TroubleView {
    work: &'static str,
    attempts: u32,
    error: String,
    next_try_at: Timestamp,
}

/// Why an operation failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureView {
    reason: &'static str,
    message: String,
    advice: String,
    during: Option<&'static str>,
    resumable_until: Option<Timestamp>,
}

impl HostView {
    /// A host's row, the work that is owed for it, and its download, as they are `now`.
    pub fn new(record: &HostRecord, work: &[Work], download: Option<Download>, now: Timestamp) -> Self {
        let HostRecord { host, state, revision } = record;
        let mut owed = work.iter().filter(|work| Some(work.id.operation) == state.running());
        Self {
            id: host.id.to_string(),
            hostname: host.name.to_string(),
            macs: host.macs.iter().map(ToString::to_string).collect(),
            server_type: host.server_type.to_string(),
            address: host.address.map(|address| address.to_string()),
            phase: state.phase().as_str(),
            step: step(state),
            waiting_for: waiting_for(state, now),
            join_position: None,
            since: state.since().unwrap_or(host.registered_at),
            deadline: state.deadline(),
            operation: state.operation().map(|id| id.to_string()),
            download: download.filter(|_| matches!(state.phase(), Phase::PxeReady | Phase::PxeBooted)),
            trouble: owed.find_map(TroubleView::new),
            failure: failure(state),
            hardware_id: host.hardware_id.as_ref().map(ToString::to_string),
            last_ready_at: host.last_ready_at,
            revision: revision.0,
            registered_at: host.registered_at,
        }
    }
}

impl HostView {
    /// The same for a host that may wait for its turn to join.
    #[must_use]
    pub fn in_lane(mut self, place: Option<&JoinPlace>) -> Self {
        if let Some(place) = place {
            self.waiting_for = waits_in_lane(place);
            self.join_position = Some(place.position);
        }
        self
    }
}

impl TroubleView {
    fn new(work: &Work) -> Option<Self> {
        let error = work.last_error.clone()?;
        Some(Self { work: work.id.kind.as_str(), attempts: work.attempts, error, next_try_at: work.due })
    }
}

impl FailureView {
    fn new(why: &FailureReason, during: Option<Phase>, resumable_until: Option<Timestamp>) -> Self {
        Self {
            reason: why.as_str(),
            message: why.to_string(),
            advice: why.advice(),
            during: during.map(Phase::as_str),
            resumable_until,
        }
    }
}

fn failure(state: &HostState) -> Option<FailureView> {
    match state {
        HostState::Failed { during, why, resumable_until, .. } => {
            Some(FailureView::new(why, Some(during.phase()), *resumable_until))
        }
        HostState::Registered | HostState::Provisioning { .. } | HostState::Ready { .. } => None,
    }
}

fn step(state: &HostState) -> Option<&'static str> {
    match state {
        HostState::Provisioning { leg: Leg::Joining(step), .. }
        | HostState::Failed { during: Leg::Joining(step), .. } => Some(match step {
            JoinStep::Join => "join",
            JoinStep::RevokeKey => "revoke_key",
            JoinStep::Register => "register",
        }),
        _ => None,
    }
}

/// An operation, as its journal tells it.
#[derive(Clone, Debug, Serialize)]
pub struct OperationView {
    id: String,
    host: String,
    image: String,
    server_type: String,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    steps: Vec<StepView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artefacts: Option<Vec<Artefact>>,
}

/// A phase that an operation went through.
#[derive(Clone, Debug, Serialize)]
pub struct StepView {
    phase: &'static str,
    entered_at: Timestamp,
    left_at: Option<Timestamp>,
    seconds: Option<f64>,
}

impl OperationView {
    /// An operation, its journal in order, and its artefacts when they shall be shown.
    pub fn new(operation: &Operation, journal: &[JournalEntry], artefacts: Option<Vec<Artefact>>) -> Self {
        let mut steps: Vec<StepView> = vec![];
        let (mut ended_at, mut failure, mut outcome) = (None, None, "running");
        for entry in journal {
            let Happening::Moved { event, from, to } = &entry.what else { continue };
            if from == to {
                continue;
            }
            if let Some(last) = steps.last_mut().filter(|last| last.left_at.is_none()) {
                last.left_at = Some(entry.at);
                last.seconds = Some(entry.at.since(last.entered_at).as_secs_f64());
            }
            // A resumed operation runs again.
            (ended_at, failure, outcome) = match to {
                Phase::Ready => (Some(entry.at), None, "ready"),
                Phase::Failed => (Some(entry.at), failure_of(event, *from), "failed"),
                _ => (None, None, "running"),
            };
            if ended_at.is_none() {
                steps.push(StepView { phase: to.as_str(), entered_at: entry.at, left_at: None, seconds: None });
            }
        }
        Self {
            id: operation.id.to_string(),
            host: operation.host.to_string(),
            image: operation.image.to_string(),
            server_type: operation.server_type.key.to_string(),
            started_at: operation.started_at,
            ended_at,
            outcome,
            failure,
            steps,
            artefacts,
        }
    }
}

fn failure_of(event: &EventKind, during: Phase) -> Option<FailureView> {
    let why = match event {
        EventKind::StepFailed { why, .. } => why.clone(),
        EventKind::Expired { last_error } => FailureReason::DeadlinePassed { last_error: last_error.clone() },
        EventKind::Cancelled => FailureReason::Cancelled,
        _ => return None,
    };
    Some(FailureView::new(&why, Some(during), None))
}

/// An image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageView<'a> {
    id: String,
    name: &'a str,
    release: String,
    iso_release: &'a str,
    sha256: String,
    size_bytes: u64,
    imported_at: Timestamp,
}

impl<'a> ImageView<'a> {
    /// An image's row.
    pub fn new(image: &'a Image) -> Self {
        Self {
            id: image.id.to_string(),
            name: &image.name,
            release: image.release.to_string(),
            iso_release: &image.iso_release,
            sha256: image.sha256.to_string(),
            size_bytes: image.size_bytes,
            imported_at: image.imported_at,
        }
    }
}

/// A hardware class.
#[derive(Clone, Debug, Serialize)]
pub struct ServerTypeView<'a> {
    key: &'a str,
    display_name: &'a str,
    wipes: String,
    filesystem: &'static str,
    management_nic: Option<&'a str>,
    gpu: Option<&'a str>,
    hostname_prefix: Option<&'a str>,
}

impl<'a> ServerTypeView<'a> {
    /// A hardware class in force.
    pub fn new(class: &'a ServerType) -> Self {
        Self {
            key: class.key.as_str(),
            display_name: &class.display_name,
            wipes: class.disk.wipes(),
            filesystem: class.disk.filesystem.as_str(),
            management_nic: class.management_nic.as_ref().map(NicName::as_str),
            gpu: class.gpu.as_deref(),
            hostname_prefix: class.hostname_prefix.as_ref().map(Hostname::as_str),
        }
    }
}

/// What a rebuild would do.
#[derive(Clone, Debug, Serialize)]
pub struct PreflightView<'a> {
    fqdn: Option<&'a str>,
    image: ImageView<'a>,
    server_type: ServerTypeView<'a>,
    wipes: &'a str,
    joins: Option<&'a str>,
    answer: Option<&'a str>,
    boot_script: Option<&'a str>,
    faults: &'a [String],
    warnings: &'a [String],
    needs_confirmation: bool,
}

impl<'a> PreflightView<'a> {
    /// A rebuild looked at beforehand.
    pub fn new(preflight: &'a Preflight) -> Self {
        Self {
            fqdn: preflight.fqdn.as_ref().map(Fqdn::as_str),
            image: ImageView::new(&preflight.image),
            server_type: ServerTypeView::new(&preflight.server_type),
            wipes: &preflight.wipes,
            joins: preflight.joins.as_ref().map(MemberAddr::as_str),
            answer: preflight.answer.as_deref(),
            boot_script: preflight.boot_script.as_deref(),
            faults: &preflight.faults,
            warnings: &preflight.warnings,
            needs_confirmation: preflight.needs_confirmation,
        }
    }
}
