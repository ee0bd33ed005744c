//! The join lane: joins go strictly one at a time per cluster, and everybody can see who waits for whom.

use std::time::Duration;

use super::Orchestrator;
use super::apply::Along;
use crate::machine::{EventKind, FailureReason, HostState, JoinStep, Leg, Phase};
use crate::model::{HostId, Hostname, Timestamp};
use crate::ports::{HostFilter, HostRecord, Source, StoreError, Work};
use crate::render::JOIN_TIME_LIMIT_SECONDS;

/// Who joins the cluster now, and who waits for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinQueue {
    /// The host that has the join slot.
    pub holder: Option<JoinTurn>,
    /// The hosts that wait for it, the next one first.
    pub waiting: Vec<JoinPlace>,
}

/// The turn of a host to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinTurn {
    /// Which host.
    pub host: HostId,
    /// Its name.
    pub name: Hostname,
    /// When it came into the lane.
    pub since: Timestamp,
    /// What the last try said: what holds it, and with it all others, up.
    pub trouble: Option<String>,
}

/// The place of a host that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinPlace {
    /// Which host.
    pub host: HostId,
    /// Its name.
    pub name: Hostname,
    /// 1 is the next.
    pub position: usize,
    /// When it came into the lane.
    pub since: Timestamp,
    /// What it waits for.
    pub why: JoinWait,
}

/// What a host in the lane waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinWait {
    /// Nothing: the slot is free, and is given at once.
    Nothing,
    /// The host before it, which joins or waits itself.
    Behind {
        /// That host's name.
        name: Hostname,
    },
    /// A join that was given up and may still run on its host.
    GivenUpJoin {
        /// That host's name.
        name: Hostname,
        /// When it must have ended.
        until: Timestamp,
    },
}

impl JoinQueue {
    /// The place of a host that waits.
    pub fn place_of(&self, host: HostId) -> Option<&JoinPlace> {
        self.waiting.iter().find(|place| place.host == host)
    }
}

impl Orchestrator {
    /// Joins go strictly one at a time: the join that holds the slot, or else the one that has waited longest,
    /// which is given the slot. Its time runs from then.
    pub(super) async fn join_lane(&self, joins: Vec<Work>) -> Result<Vec<Work>, StoreError> {
        if joins.is_empty() {
            return Ok(joins);
        }
        let phase = |phase| HostFilter { phase: Some(phase), ..HostFilter::default() };
        let joining = self.ports.store.hosts(&phase(Phase::Joining)).await?;
        if self.site.cluster.is_none() {
            for queued in joining.iter().filter(|record| place_in_lane(record) == Some(Place::Queued)) {
                self.grant_slot(queued).await?;
            }
            return Ok(joins);
        }
        let holder = joining.iter().find(|record| place_in_lane(record) == Some(Place::Holding));
        if let Some(holder) = holder {
            return Ok(only(joins, holder.host.id));
        }
        let failed = self.ports.store.hosts(&phase(Phase::Failed)).await?;
        let now = self.ports.clock.now();
        if let Some(free_at) = failed.iter().filter_map(lane_free_at).filter(|at| *at > now).max() {
            // A join may still run on a host that we gave up: look again when it must have ended.
            return Ok(joins.into_iter().map(|work| Work { due: free_at, ..work }).collect());
        }
        let queued = joining.iter().filter(|record| place_in_lane(record) == Some(Place::Queued));
        let Some(first) = queued.min_by_key(|record| (record.state.since(), record.host.id)) else {
            return Ok(vec![]);
        };
        self.grant_slot(first).await?;
        Ok(only(joins, first.host.id))
    }

    async fn grant_slot(&self, record: &HostRecord) -> Result<(), StoreError> {
        let Some(operation) = record.state.running() else { return Ok(()) };
        let event = EventKind::JoinSlotGranted.of(operation);
        self.apply(record.host.id, &event, Source::Provisioning, &Along::default()).await?;
        Ok(())
    }

    /// The join queue if one of these hosts waits in it; else an empty one, and nothing is read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn join_queue_of(&self, records: &[HostRecord]) -> Result<JoinQueue, StoreError> {
        let is_any_queued = records.iter().any(|record| place_in_lane(record) == Some(Place::Queued));
        if is_any_queued { self.join_queue().await } else { Ok(JoinQueue::default()) }
    }

    /// Who joins now, and who waits for that.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn join_queue(&self) -> Result<JoinQueue, StoreError> {
        let phase = |phase| HostFilter { phase: Some(phase), ..HostFilter::default() };
        let joining = self.ports.store.hosts(&phase(Phase::Joining)).await?;
        let mut queued: Vec<&HostRecord> =
            joining.iter().filter(|record| place_in_lane(record) == Some(Place::Queued)).collect();
        queued.sort_by_key(|record| (record.state.since(), record.host.id));
        let holding = joining.iter().find(|record| place_in_lane(record) == Some(Place::Holding));
        let holder = match holding {
            Some(record) => Some(self.turn_of(record).await?),
            None => None,
        };
        let mut why = match &holder {
            Some(turn) => JoinWait::Behind { name: turn.name.clone() },
            None if queued.is_empty() => JoinWait::Nothing,
            None => {
                let now = self.ports.clock.now();
                let failed = self.ports.store.hosts(&phase(Phase::Failed)).await?;
                let given_up = failed.iter().filter_map(|record| Some((lane_free_at(record)?, &record.host.name)));
                let last = given_up.filter(|(until, _)| *until > now).max();
                last.map_or(JoinWait::Nothing, |(until, name)| JoinWait::GivenUpJoin { name: name.clone(), until })
            }
        };
        let mut waiting = vec![];
        for (record, position) in queued.into_iter().zip(1..) {
            let name = record.host.name.clone();
            let behind_this = JoinWait::Behind { name: name.clone() };
            let since = record.state.since().unwrap_or(record.host.registered_at);
            let why = std::mem::replace(&mut why, behind_this);
            waiting.push(JoinPlace { host: record.host.id, name, position, since, why });
        }
        Ok(JoinQueue { holder, waiting })
    }

    async fn turn_of(&self, record: &HostRecord) -> Result<JoinTurn, StoreError> {
        let work = self.ports.store.work().await?;
        let owed = work.into_iter().find(|work| Some(work.id.operation) == record.state.running());
        Ok(JoinTurn {
            host: record.host.id,
            name: record.host.name.clone(),
            since: record.state.since().unwrap_or(record.host.registered_at),
            trouble: owed.and_then(|work| work.last_error),
        })
    }

    /// The host that joined last, if that is not long ago: the next one waits until the cluster counts it in, since
    /// an addition before that would shut it out for good (`reference/cluster-join.md`, "Serialise joins").
    pub(super) async fn joined_just_now(&self, but: HostId) -> Result<Option<Hostname>, StoreError> {
        let long_ago = self.policy.joining;
        let now = self.ports.clock.now();
        let mut latest: Option<(Timestamp, Hostname)> = None;
        for phase in [Phase::Joining, Phase::Ready] {
            let filter = HostFilter { phase: Some(phase), ..HostFilter::default() };
            for record in self.ports.store.hosts(&filter).await? {
                let Some(since) = record.state.since() else { continue };
                let is_young = since + long_ago > now;
                if record.host.id != but && place_in_lane(&record).is_none() && is_young {
                    latest = latest.max(Some((since, record.host.name)));
                }
            }
        }
        Ok(latest.map(|(_, name)| name))
    }
}

/// A host's place in the join lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Queued,
    Holding,
}

fn place_in_lane(record: &HostRecord) -> Option<Place> {
    match &record.state {
        HostState::Provisioning { leg: Leg::Joining(JoinStep::Join), run } => {
            Some(if run.deadline.is_some() { Place::Holding } else { Place::Queued })
        }
        HostState::Provisioning { .. } | HostState::Registered | HostState::Ready { .. } | HostState::Failed { .. } => {
            None
        }
    }
}

/// Until when a join may still run on a host whose operation failed without seeing its end. Until then no other
/// host joins, and this one is not started anew: its state would no longer tell.
pub(super) fn lane_free_at(record: &HostRecord) -> Option<Timestamp> {
    match &record.state {
        HostState::Failed { during: Leg::Joining(JoinStep::Join), why, since, .. } => match why {
            // Raised before a join was started or after its end was seen.
            FailureReason::JoinFailed { .. }
            | FailureReason::NameTaken { .. }
            | FailureReason::HalfJoined { .. }
            | FailureReason::JoinUnfinished { .. }
            | FailureReason::NoWitness { .. } => None,
            FailureReason::DeadlinePassed { .. }
            | FailureReason::Cancelled
            | FailureReason::NoHostKey
            | FailureReason::HostKeyMismatch
            | FailureReason::KeyLost
            | FailureReason::Restored
            | FailureReason::KeyStillOpens
            | FailureReason::InventoryRefused { .. }
            | FailureReason::Unexpected { .. } => Some(*since + Duration::from_secs(JOIN_TIME_LIMIT_SECONDS + 10)),
        },
        HostState::Failed { .. } | HostState::Registered | HostState::Ready { .. } | HostState::Provisioning { .. } => {
            None
        }
    }
}

fn only(joins: Vec<Work>, host: HostId) -> Vec<Work> {
    joins.into_iter().filter(|work| work.host == host).collect()
}
