//! A host as tiles, rows and its own page show it.

use std::sync::Arc;

use provisioning_core::machine::{HostState, JoinStep, Leg, Phase};
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::orchestrator::{JoinQueue, ServerTypes};
use provisioning_core::ports::{HostRecord, StoreError};

use super::actions::{Action, actions};
use super::moment::{Clock, Countdown, Moment};
use super::words::{STEPS, phase_title, reason_title, size, step_of, waiting_for};
use super::{Download, Web};

/// A host in words.
pub(super) struct HostView {
    pub(super) id: HostId,
    pub(super) name: String,
    pub(super) server_type: String,
    /// The NIC it is expected to boot from.
    pub(super) mac: String,
    pub(super) other_macs: Vec<String>,
    pub(super) phase: Phase,
    /// The segment of the phase bar, 1 to 7.
    pub(super) step: usize,
    pub(super) waits: String,
    /// Its place among the hosts that wait for the join slot, 1 being next.
    pub(super) place_in_queue: Option<usize>,
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
    /// What is left of its time; counts down by script.
    pub(super) left: Option<Countdown>,
    pub(super) clock: Option<Clock>,
    pub(super) operation: Option<String>,
    pub(super) download: Option<DownloadView>,
    pub(super) failure: Option<FailureView>,
    pub(super) actions: [Action; 5],
}

/// How far a download has come.
pub(super) struct DownloadView {
    pub(super) bytes: u64,
    pub(super) total: u64,
    pub(super) percent: u64,
    pub(super) text: String,
}

/// Why an operation ended without reaching ready.
pub(super) struct FailureView {
    pub(super) title: &'static str,
    pub(super) message: String,
    pub(super) advice: String,
    pub(super) during: &'static str,
    pub(super) resumable_until: Option<Moment>,
}

/// A group of hosts that a counter counts and filters by. A host is in several.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) holds: fn(Phase) -> bool,
}

/// All groups in the order of their counters; the first is the one shown when none is chosen.
pub(super) const GROUPS: [Group; 7] = [
    Group { key: "all", label: "All", holds: |_| true },
    Group { key: "needs-you", label: "Needs you", holds: |phase| matches!(phase, Phase::Failed | Phase::PxeReady) },
    Group { key: "waiting", label: "Waiting for power-on", holds: |phase| phase == Phase::PxeReady },
    Group { key: "active", label: "Active", holds: is_active },
    Group { key: "failed", label: "Failed", holds: |phase| phase == Phase::Failed },
    Group { key: "ready", label: "Ready", holds: |phase| phase == Phase::Ready },
    Group { key: "registered", label: "Registered", holds: |phase| phase == Phase::Registered },
];

fn is_active(phase: Phase) -> bool {
    match phase {
        Phase::PxeBooted | Phase::Installing | Phase::Installed | Phase::FirstBoot | Phase::Joining => true,
        Phase::Registered | Phase::PxeReady | Phase::Ready | Phase::Failed => false,
    }
}

impl HostView {
    pub(super) fn title(&self) -> &'static str {
        phase_title(self.phase)
    }

    /// What the segment of the phase bar stands for.
    pub(super) fn step_title(&self) -> &'static str {
        STEPS[self.step - 1]
    }

    /// Whether its time is running.
    pub(super) fn is_active(&self) -> bool {
        is_active(self.phase)
    }

    /// The groups it belongs to, for the scripts' filter.
    pub(super) fn groups(&self) -> String {
        let keys = GROUPS.iter().filter(|group| (group.holds)(self.phase)).map(|group| group.key);
        keys.collect::<Vec<_>>().join(" ")
    }

    /// What the search looks into, in lower case.
    pub(super) fn haystack(&self) -> String {
        let mut words = format!("{} {} {}", self.name, self.server_type, self.mac);
        for mac in &self.other_macs {
            words.push(' ');
            words.push_str(mac);
        }
        words.to_lowercase()
    }
}

/// What views are made with: the same for all hosts of a page.
pub(super) struct Viewer<'a> {
    web: &'a Web,
    now: Timestamp,
    server_types: Arc<ServerTypes>,
    has_image: bool,
    join_queue: JoinQueue,
}

impl<'a> Viewer<'a> {
    /// For `records`, as of `now`; reads the join queue only when one of them stands in it.
    pub(super) async fn new(
        web: &'a Web,
        now: Timestamp,
        has_image: bool,
        records: &[HostRecord],
    ) -> Result<Self, StoreError> {
        let is_any_queued = records.iter().any(|record| is_queued(&record.state));
        let join_queue = if is_any_queued { web.orchestrator.join_queue().await? } else { JoinQueue::default() };
        Ok(Self { web, now, server_types: web.orchestrator.server_types(), has_image, join_queue })
    }

    /// A host in words.
    pub(super) fn view(&self, record: &HostRecord) -> HostView {
        let HostRecord { host, state, .. } = record;
        let mut macs = host.macs.iter().map(ToString::to_string);
        let known_type = self.server_types.get(&host.server_type);
        let deadline = match state {
            HostState::Failed { resumable_until, .. } => resumable_until.filter(|until| self.now < *until),
            other => other.deadline(),
        };
        // A failed host counts from its failure; the time to resume stands with the failure.
        let clock = |since| Clock { since, until: state.deadline(), now: self.now };
        let phase = state.phase();
        let download = match (phase, state.running()) {
            (Phase::PxeBooted, Some(operation)) => self.web.downloads.of(operation).map(DownloadView::of),
            _ => None,
        };
        HostView {
            id: host.id,
            name: host.name.to_string(),
            server_type: known_type.map_or_else(|| host.server_type.to_string(), |known| known.display_name.clone()),
            mac: macs.next().unwrap_or_default(),
            other_macs: macs.collect(),
            phase,
            step: step_of(state),
            waits: waiting_for(state, self.now),
            place_in_queue: self.join_queue.place_of(host.id).map(|place| place.position),
            since: state.since().map(Moment),
            until: deadline.map(Moment),
            left: deadline.map(|until| Countdown { until, now: self.now }),
            clock: state.since().map(clock),
            operation: state.operation().map(|operation| operation.to_string()),
            download,
            failure: FailureView::of(state, self.now),
            actions: actions(state, self.now, self.has_image),
        }
    }
}

fn is_queued(state: &HostState) -> bool {
    matches!(state, HostState::Provisioning { leg: Leg::Joining(JoinStep::Join), run } if run.deadline.is_none())
}

impl DownloadView {
    fn of(download: Download) -> Self {
        let Download { bytes, total } = download;
        let text = format!("{} of {}", size(bytes.min(total)), size(total));
        Self { bytes, total, percent: download.percent(), text }
    }
}

impl FailureView {
    fn of(state: &HostState, now: Timestamp) -> Option<Self> {
        let HostState::Failed { why, during, resumable_until, .. } = state else { return None };
        Some(Self {
            title: reason_title(why),
            message: why.to_string(),
            advice: why.advice(),
            during: phase_title(during.phase()),
            resumable_until: resumable_until.filter(|until| now < *until).map(Moment),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_counted_in_a_group_beside_all() {
        for phase in Phase::ALL {
            let groups = GROUPS.iter().filter(|group| (group.holds)(phase)).count();
            assert!(groups >= 2, "{phase} is in {groups} groups");
        }
    }

    #[test]
    fn a_person_is_needed_where_something_failed_or_a_machine_must_be_powered_on() {
        let needs_you = GROUPS.into_iter().find(|group| group.key == "needs-you").expect("it is in the list").holds;
        let needing: Vec<Phase> = Phase::ALL.into_iter().filter(|phase| needs_you(*phase)).collect();
        assert_eq!(needing, [Phase::PxeReady, Phase::Failed]);
    }
}
