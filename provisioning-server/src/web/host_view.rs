//! A host as tiles, rows and its own page show it.

use std::sync::Arc;

use provisioning_core::machine::{HostState, Phase};
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::orchestrator::{JoinQueue, ServerTypes};
use provisioning_core::ports::{HostRecord, StoreError, Work};

use super::actions::{Action, actions};
use super::board::News;
use super::groups::is_active;
use super::moment::{Ago, Clock, Countdown, Moment};
use super::words::{
    STEPS, phase_title, reason_title, size, step_of, waiting_for, waits_for_download, waits_in_lane, work_words,
};
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
    /// What is being tried again, and why.
    pub(super) trouble: Option<String>,
    /// The last entry of its journal.
    pub(super) news: Option<News>,
    pub(super) now: Timestamp,
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

impl HostView {
    pub(super) fn title(&self) -> &'static str {
        phase_title(self.phase)
    }

    /// What the segment of the phase bar stands for.
    pub(super) fn step_title(&self) -> &'static str {
        STEPS[self.step - 1]
    }

    /// How long ago something was last heard of it.
    pub(super) fn heard(&self) -> Option<Ago> {
        self.news.as_ref().map(|news| Ago { at: news.at, now: self.now })
    }

    /// Whether its time is running.
    pub(super) fn is_active(&self) -> bool {
        is_active(self.phase)
    }
}

/// What views are made with: the same for all hosts of a page.
pub(super) struct Viewer<'a> {
    web: &'a Web,
    now: Timestamp,
    server_types: Arc<ServerTypes>,
    has_image: bool,
    join_queue: JoinQueue,
    /// What is owed, of hosts that join or register.
    work: Vec<Work>,
}

impl<'a> Viewer<'a> {
    /// For `records`, as of `now`; reads the join queue only when one of them stands in it.
    pub(super) async fn new(
        web: &'a Web,
        now: Timestamp,
        has_image: bool,
        records: &[HostRecord],
    ) -> Result<Self, StoreError> {
        let join_queue = web.orchestrator.join_queue_of(records).await?;
        let is_any_joining = records.iter().any(|record| is_worked_on(record.state.phase()));
        let work = if is_any_joining { web.orchestrator.store().work().await? } else { vec![] };
        Ok(Self { web, now, server_types: web.orchestrator.server_types(), has_image, join_queue, work })
    }

    /// Hosts in words.
    pub(super) fn views(&self, records: &[HostRecord]) -> Vec<HostView> {
        records.iter().map(|record| self.view(record)).collect()
    }

    /// What a host that stands in the join lane waits for, and whom it stands behind.
    pub(super) fn waits_in_lane(&self, host: HostId) -> Option<String> {
        self.join_queue.place_of(host).map(waits_in_lane)
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
            waits: state
                .running()
                .and_then(|operation| self.web.downloads.place(operation))
                .map_or_else(|| waiting_for(state, self.now), waits_for_download),
            place_in_queue: self.join_queue.place_of(host.id).map(|place| place.position),
            since: state.since().map(Moment),
            until: deadline.map(Moment),
            left: deadline.map(|until| Countdown { until, now: self.now }),
            clock: state.since().map(clock),
            operation: state.operation().map(|operation| operation.to_string()),
            download,
            failure: FailureView::of(state, self.now),
            trouble: self.trouble(state),
            news: self.web.board.news(host.id),
            now: self.now,
            actions: actions(state, self.now, self.has_image),
        }
    }

    fn trouble(&self, state: &HostState) -> Option<String> {
        let operation = state.running()?;
        let owed = self.work.iter().find(|work| work.id.operation == operation && work.last_error.is_some())?;
        let error = owed.last_error.as_deref()?;
        Some(format!("try {} to {} failed: {error}; it will be tried again", owed.attempts, work_words(owed.id.kind)))
    }
}

/// Whether work is done for hosts in this phase, which may have to be tried again.
fn is_worked_on(phase: Phase) -> bool {
    matches!(phase, Phase::FirstBoot | Phase::Joining)
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
