//! Which hosts of the fleet are shown, and in which order: what a page is asked for, as pure functions.

use provisioning_core::machine::{HostState, Phase};
use provisioning_core::model::Timestamp;
use provisioning_core::ports::HostRecord;
use serde::Deserialize;

use super::board::Board;
use super::groups::{Group, SHOWN_FIRST};

/// What the fleet page is asked for. All of it stands in the address, so that it can be kept and sent on.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    pub(super) show: String,
    #[serde(default)]
    pub(super) q: String,
    #[serde(default)]
    pub(super) sort: String,
    #[serde(default)]
    pub(super) view: String,
    /// From 1; pages are for browsers without scripts.
    #[serde(default)]
    pub(super) page: String,
}

/// An order of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// By name; no event changes it.
    Name,
    /// Those that need a person first, then by how far they are from ready.
    Urgency,
    /// The longest in its state first.
    Longest,
    /// The latest news first.
    Latest,
}

impl Sort {
    /// All orders with what they are called, the first one being in force when none is chosen.
    pub(super) const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Name, "name", "Name"),
        (Self::Urgency, "urgency", "Needs you first"),
        (Self::Longest, "longest", "Longest in its state"),
        (Self::Latest, "latest", "Latest event"),
    ];

    fn named(key: &str) -> Self {
        Self::ALL.into_iter().find(|(_, name, _)| *name == key).map_or(Self::Name, |(sort, ..)| sort)
    }
}

impl Wanted {
    /// The group that is shown.
    pub(super) fn group(&self) -> Group {
        Group::named(&self.show)
    }

    /// The order that is asked for.
    pub(super) fn sort(&self) -> Sort {
        Sort::named(&self.sort)
    }

    /// The page that is asked for, from 0.
    pub(super) fn page(&self) -> usize {
        self.page.parse::<usize>().unwrap_or(1).saturating_sub(1)
    }

    /// Whether all hosts are wanted by their names, which is how the store lists them.
    pub(super) fn is_everything(&self) -> bool {
        self.group().key == SHOWN_FIRST.key && self.q.trim().is_empty() && self.sort() == Sort::Name
    }

    /// Whether hosts are wanted as rows of a dense table.
    pub(super) fn is_table(&self) -> bool {
        self.view == "table"
    }

    /// The hosts that are wanted, in the order in which they are wanted.
    pub(super) fn pick(
        &self,
        mut records: Vec<HostRecord>,
        board: &Board,
        names: &dyn Fn(&str) -> String,
    ) -> Vec<HostRecord> {
        let group = self.group();
        let text = self.q.trim().to_lowercase();
        records.retain(|record| (group.holds)(record.state.phase()) && has_text(record, &text, names));
        let since = |record: &HostRecord| record.state.since().unwrap_or(record.host.registered_at);
        match self.sort() {
            // The store lists by name.
            Sort::Name => {}
            Sort::Urgency => records.sort_by_key(|record| (urgency(&record.state), since(record))),
            Sort::Longest => records.sort_by_key(since),
            Sort::Latest => {
                let latest = |record: &HostRecord| board.news(record.host.id).map_or(since(record), |news| news.at);
                records.sort_by_key(|record| std::cmp::Reverse::<Timestamp>(latest(record)));
            }
        }
        records
    }
}

/// Whether a host's name, type or addresses hold a text in lower case.
fn has_text(record: &HostRecord, text: &str, names: &dyn Fn(&str) -> String) -> bool {
    let host = &record.host;
    text.is_empty()
        || host.name.as_str().contains(text)
        || host.macs.iter().any(|mac| mac.to_string().contains(text))
        || host.server_type.as_str().contains(text)
        || names(host.server_type.as_str()).to_lowercase().contains(text)
}

/// Small numbers stand first.
fn urgency(state: &HostState) -> u8 {
    match state.phase() {
        Phase::Failed => 0,
        Phase::PxeReady => 1,
        Phase::Joining => 2,
        Phase::FirstBoot => 3,
        Phase::Installed => 4,
        Phase::Installing => 5,
        Phase::PxeBooted => 6,
        Phase::Registered => 7,
        Phase::Ready => 8,
    }
}
