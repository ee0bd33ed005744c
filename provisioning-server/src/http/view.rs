//! What the API shows: hosts, operations, images as JSON. Field names are part of the API.

use provisioning_core::machine::{EventKind, FailureReason, HostState, JoinStep, Leg, Phase};
use provisioning_core::model::{
    Artefact, Fqdn, Hostname, Image, MemberAddr, NicName, Operation, ServerType, Timestamp,
};
use provisioning_core::orchestrator::{JoinPlace, Preflight};
use provisioning_core::ports::{Happening, HostRecord, JournalEntry, Work};
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::web::{waiting_for, waits_for_download, waits_in_lane};

use super::downloads::Download;
use super::schema::{ArtefactSchema, PhaseName, Time, words};

/// A host.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HostView {
    /// Its id.
    id: String,
    /// Its name.
    #[schema(example = "pve-07")]
    hostname: String,
    /// Its NICs, the one it boots from first.
    #[schema(example = json!(["52:54:00:12:34:56"]))]
    macs: Vec<String>,
    /// Its hardware class.
    server_type: String,
    /// Its fixed address with its prefix; null when DHCP gives one.
    address: Option<String>,
    /// Where it is in its life.
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    /// While joining, and after failing there: `join`, `revoke_key` or `register`.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    /// What it waits for, in words.
    waiting_for: String,
    /// Its place among the hosts that wait for the join slot, 1 being next.
    #[serde(skip_serializing_if = "Option::is_none")]
    join_position: Option<usize>,
    /// Since when it is in its phase.
    #[schema(value_type = Time)]
    since: Timestamp,
    /// When the phase fails unless it goes on.
    #[schema(value_type = Option<Time>)]
    deadline: Option<Timestamp>,
    /// The latest operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    /// How far the machine's download of kernel and initrd has come.
    #[schema(value_type = Option<Download>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    download: Option<Download>,
    /// What is being tried again, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleView>,
    /// Why the latest operation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    /// What the machine calls itself, once it has phoned home.
    hardware_id: Option<String>,
    /// When it was ready last: a rebuild then asks for its name.
    #[schema(value_type = Option<Time>)]
    last_ready_at: Option<Timestamp>,
    /// How often it was changed; also its ETag.
    revision: u64,
    /// When it was registered.
    #[schema(value_type = Time)]
    registered_at: Timestamp,
}

/// What is being tried again, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TroubleView {
    /// What is tried.
    #[schema(value_type = String)]
    work: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// What the last try said.
    error: String,
    /// When it is tried next.
    #[schema(value_type = Time)]
    next_try_at: Timestamp,
}

/// Why an operation failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FailureView {
    /// Which reason; stable.
    #[schema(value_type = String, example = "deadline_passed")]
    reason: &'static str,
    /// The reason in words.
    message: String,
    /// What to do about it.
    advice: String,
    /// In which phase.
    #[schema(value_type = Option<PhaseName>)]
    during: Option<&'static str>,
    /// Until when the join can be resumed.
    #[schema(value_type = Option<Time>)]
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
    /// The same for a host whose machine may wait for its turn to download.
    #[must_use]
    pub fn in_download_line(mut self, place: Option<usize>) -> Self {
        if let Some(place) = place {
            self.waiting_for = waits_for_download(place);
        }
        self
    }

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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OperationView {
    /// Its id.
    id: String,
    /// The host's id.
    host: String,
    /// The image's id.
    image: String,
    /// The hardware class it was started with.
    server_type: String,
    /// When it was started.
    #[schema(value_type = Time)]
    started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<Time>)]
    ended_at: Option<Timestamp>,
    /// How it ended, or that it runs.
    #[schema(value_type = OutcomeName)]
    outcome: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    /// The phases it went through, in order.
    steps: Vec<StepView>,
    /// What it left to look at; absent in lists.
    #[schema(value_type = Option<Vec<ArtefactSchema>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    artefacts: Option<Vec<Artefact>>,
}

/// A phase that an operation went through.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StepView {
    /// The phase.
    #[schema(value_type = PhaseName)]
    phase: &'static str,
    /// When it was entered.
    #[schema(value_type = Time)]
    entered_at: Timestamp,
    /// When it was left.
    #[schema(value_type = Option<Time>)]
    left_at: Option<Timestamp>,
    /// How long it was in it.
    seconds: Option<f64>,
}

/// How an operation ended, or that it runs.
pub(super) struct OutcomeName;

impl PartialSchema for OutcomeName {
    fn schema() -> RefOr<Schema> {
        words(OperationView::OUTCOMES, "How an operation ended, or that it runs")
    }
}

impl ToSchema for OutcomeName {
    fn name() -> std::borrow::Cow<'static, str> {
        "Outcome".into()
    }
}

impl OperationView {
    /// How an operation can end, or that it runs.
    pub(super) const OUTCOMES: [&'static str; 3] = ["running", "ready", "failed"];

    /// How it ended, or that it runs.
    pub(super) fn outcome(&self) -> &'static str {
        self.outcome
    }

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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ImageView<'a> {
    /// Its id.
    id: String,
    /// Its name, from the file.
    #[schema(example = "proxmox-ve_9.2-1")]
    name: &'a str,
    /// The Proxmox VE release.
    #[schema(example = "9.2")]
    release: String,
    /// The ISO's own release number.
    iso_release: &'a str,
    /// SHA-256 of the file.
    #[schema(min_length = 64, max_length = 64)]
    sha256: String,
    /// Size of the file in bytes.
    size_bytes: u64,
    /// When it was imported.
    #[schema(value_type = Time)]
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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServerTypeView<'a> {
    /// Its key in server-types.yaml.
    key: &'a str,
    /// Its name for people.
    display_name: &'a str,
    /// Which disks an install wipes, in words.
    wipes: String,
    /// The file system of the root.
    #[schema(value_type = String)]
    filesystem: &'static str,
    /// The NIC that gets the address.
    management_nic: Option<&'a str>,
    /// Its GPU.
    gpu: Option<&'a str>,
    /// How names of such hosts begin.
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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PreflightView<'a> {
    /// The name it will have.
    fqdn: Option<&'a str>,
    /// What will be installed.
    image: ImageView<'a>,
    /// As what.
    server_type: ServerTypeView<'a>,
    /// Which disks will be wiped, in words.
    wipes: &'a str,
    /// The member of the cluster that it will join; null for none.
    joins: Option<&'a str>,
    /// The answer file, secrets masked.
    answer: Option<&'a str>,
    /// The boot script, its token masked.
    boot_script: Option<&'a str>,
    /// Why it cannot be installed like this.
    faults: &'a [String],
    /// What deserves a look.
    warnings: &'a [String],
    /// Whether the rebuild asks for the host's name.
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
