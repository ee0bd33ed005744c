//! Where hosts, their operations, the journal and the unfinished work are kept.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::{BoxError, Retry};
use super::journal::{JournalEntry, NewEntry};
use crate::machine::{HostState, Phase, WorkKind};
use crate::model::{
    Artefact, Host, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, ServerTypeKey, Timestamp,
};
use crate::netboot::DiscoveredMachine;

/// How often a host's row was written. A change names the revision it was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// A host's row: what the operator says of it, where it is in its life, and how often the row was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// What the operator says of it.
    pub host: Host,
    /// Where it is in its life.
    pub state: HostState,
    /// How often the row was written.
    pub revision: Revision,
}

/// Names one piece of work: each kind is owed at most once per operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkId {
    /// For which operation.
    pub operation: OperationId,
    /// What.
    pub kind: WorkKind,
}

/// Work still to be done: one row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// What, for which operation.
    pub id: WorkId,
    /// The host it is done for.
    pub host: HostId,
    /// Not before then.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last try said.
    pub last_error: Option<String>,
}

/// Everything that one decision changes; it happens whole or not at all.
#[derive(Clone, Debug)]
pub struct Change {
    /// The host's new row, without its revision.
    pub host: Host,
    /// The host's new state.
    pub state: HostState,
    /// The revision the decision was made on; `None` inserts a new host.
    pub expected: Option<Revision>,
    /// An operation that begins with this change.
    pub operation: Option<Operation>,
    /// Texts to keep for an operation; a newer one of the same kind takes the older one's place.
    pub artefacts: Vec<(OperationId, Artefact)>,
    /// What is written into the journal, in this order.
    pub journal: Vec<NewEntry>,
    /// Work that is no longer owed; unknown ids are no error.
    pub settle: Vec<WorkId>,
    /// Work that is owed from now on; done after `settle`, takes the place of the same id's row.
    pub owe: Vec<Work>,
}

impl Change {
    /// A change of a host's row alone, to be filled up.
    pub fn to(host: Host, state: HostState, expected: Option<Revision>) -> Self {
        Self { host, state, expected, operation: None, artefacts: vec![], journal: vec![], settle: vec![], owe: vec![] }
    }
}

/// What a commit gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The row's new revision.
    pub revision: Revision,
    /// The place of the last journal entry of all.
    pub last_seq: u64,
}

/// Which hosts to list. Empty fields ask nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFilter {
    /// Only hosts in this phase.
    pub phase: Option<Phase>,
    /// Only hosts of this type.
    pub server_type: Option<ServerTypeKey>,
    /// Only hosts whose name or MAC address (as `52:54:00:…`) holds this text, in lower case.
    pub text: Option<String>,
    /// Only hosts that come after this name.
    pub after: Option<Hostname>,
    /// At most so many; `None` lists all.
    pub limit: Option<usize>,
}

/// Which journal entries to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalQuery {
    /// Only entries behind this place.
    pub after: u64,
    /// Only entries before this place; `None` has no end.
    pub before: Option<u64>,
    /// Only entries about this host.
    pub host: Option<HostId>,
    /// Only entries of this operation.
    pub operation: Option<OperationId>,
    /// Only what was asked for with operator's rights ([`Happening::Audited`](super::Happening::Audited)).
    pub audit: bool,
    /// The latest first, instead of the earliest.
    pub latest_first: bool,
    /// At most so many.
    pub limit: usize,
}

impl JournalQuery {
    /// All entries behind `after`, at most `limit`.
    pub fn after(after: u64, limit: usize) -> Self {
        Self { after, before: None, host: None, operation: None, audit: false, latest_first: false, limit }
    }

    /// All entries about a host, at most `limit`.
    pub fn of_host(host: HostId, limit: usize) -> Self {
        Self { host: Some(host), ..Self::after(0, limit) }
    }

    /// All entries of an operation, at most `limit`.
    pub fn of_operation(operation: OperationId, limit: usize) -> Self {
        Self { operation: Some(operation), ..Self::after(0, limit) }
    }

    /// What was asked for with operator's rights, the latest first, at most `limit`.
    pub fn audit(limit: usize) -> Self {
        Self { audit: true, latest_first: true, ..Self::after(0, limit) }
    }
}

/// What is old enough to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Journal entries of before this time; `None` drops none.
    pub journal_before: Option<Timestamp>,
    /// Artefacts of before this time; `None` drops none.
    pub artefacts_before: Option<Timestamp>,
    /// At most so many of each, so that whoever commits meanwhile waits a moment only.
    pub at_most: usize,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Journal entries.
    pub entries: usize,
    /// Artefacts.
    pub artefacts: usize,
}

/// Rows for the present, journal for the past, outbox for the future.
///
/// # Contract
/// - `commit_is_all_or_nothing`: row, operation, artefacts, journal and outbox change together or not at all.
/// - `commit_refuses_a_stale_revision`: with `Stale`, and changes nothing; also when the host is gone (`NoSuchHost`).
///   Of those that race for a revision one wins.
/// - `committed_work_survives_reopen`: what `commit` returned `Ok` for is there after a crash.
/// - `a_commit_is_seen_by_the_next_read`: of the same store, from any task.
/// - `names_and_macs_are_unique`: a host with another's name or address is refused with `NameTaken` or `MacTaken`;
///   one that has the same address twice likewise.
/// - `revisions_rise_by_one`: the first is 1.
/// - `what_belongs_to_nothing_is_refused`: an operation or work for an unknown host, and an artefact of an unknown
///   operation, with `BadChange`.
/// - `an_id_is_given_once`: an operation or image whose id is taken is refused with `BadChange`.
/// - `the_journal_keeps_the_order_of_commits`: places rise, entries of one commit are neighbours in their order,
///   no place is given twice, not even after entries' hosts are removed. `commit` and `append` tell the last one.
/// - `a_reader_never_skips_an_entry`: once an entry is visible, none with a smaller place appears later.
/// - `entries_are_found_by_host_and_operation`: the filters of a query, alone and together.
/// - `audited_entries_are_found_by_themselves`: and any query's from either end, between two places.
/// - `work_is_listed_by_due_time`: then by operation and kind; what is owed again takes the place of the same row.
/// - `rescheduling_settled_work_changes_nothing`: and tells so; settling it twice likewise. What is owed still
///   gets its due time, attempts and last error, and stays the same host's.
/// - `hosts_are_listed_by_name`: and the filter's `after` and `limit` page through all of them once.
/// - `hosts_are_counted_by_phase`: each host once; a phase that no host is in may be left out.
/// - `the_overdue_are_found_by_their_deadline`: once it has come, and the earliest one is told.
/// - `an_image_in_use_stays`: removing one that a running operation installs is refused with `ImageInUse`.
/// - `an_image_is_kept_once_per_digest`: a second one with the same SHA-256 is refused with `ImageExists`.
/// - `the_default_image_is_the_one_chosen_last`: none before one is chosen, and none once that one is removed;
///   choosing an unknown one is refused with `NoSuchImage`.
/// - `removing_a_host_keeps_its_journal`: and drops its operations, artefacts and work. Operations are listed with
///   the latest first, artefacts by kind.
/// - `a_discovered_machine_is_kept_by_its_address`: the last row of an address counts, to its last field, also after a
///   crash; they are listed with the one seen last first, then by address.
/// - `a_machine_with_a_host_is_not_discovered`: committing a host drops the rows of its addresses, and keeping one of a
///   host's address is answered with `false` and writes neither row nor entry.
/// - `the_machine_seen_longest_ago_makes_room`: keeping one drops those seen longest ago, down to `at_most` rows.
/// - `pruning_drops_the_oldest_and_tells_up_to_where`: entries and artefacts of before a time, the oldest first and no more
///   than `at_most` of each, up to the first entry that is younger; `pruned_to` is the last place that was dropped, 0 before
///   anything was, also after a crash.
/// - `pruning_keeps_the_last_operation_of_each_host`: with its entries and artefacts; the journal's last entry stays too, so
///   that places go on from there.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a change.
    async fn commit(&self, change: Change) -> Result<Committed, StoreError>;
    /// Removes a host at a revision, and writes `entry`.
    async fn remove_host(&self, id: HostId, expected: Revision, entry: NewEntry) -> Result<(), StoreError>;
    /// Writes journal entries that change no row; the place of the last entry of all.
    async fn append(&self, entries: Vec<NewEntry>) -> Result<u64, StoreError>;

    /// A host by id.
    async fn host(&self, id: HostId) -> Result<Option<HostRecord>, StoreError>;
    /// A host by name.
    async fn host_by_name(&self, name: &Hostname) -> Result<Option<HostRecord>, StoreError>;
    /// The host that a NIC belongs to.
    async fn host_by_mac(&self, mac: MacAddr) -> Result<Option<HostRecord>, StoreError>;
    /// Hosts by name.
    async fn hosts(&self, filter: &HostFilter) -> Result<Vec<HostRecord>, StoreError>;
    /// How many hosts are in each phase.
    async fn count_by_phase(&self) -> Result<BTreeMap<Phase, u64>, StoreError>;
    /// Hosts whose deadline is not after `at`.
    async fn overdue(&self, at: Timestamp) -> Result<Vec<HostId>, StoreError>;
    /// The earliest deadline of all.
    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError>;

    /// An operation by id.
    async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError>;
    /// A host's operations, the latest first.
    async fn operations_of(&self, host: HostId) -> Result<Vec<Operation>, StoreError>;
    /// What an operation left to look at, by kind.
    async fn artefacts(&self, operation: OperationId) -> Result<Vec<Artefact>, StoreError>;

    /// Journal entries, the earliest first.
    async fn journal(&self, query: &JournalQuery) -> Result<Vec<JournalEntry>, StoreError>;
    /// The place of the last entry; 0 when there is none.
    async fn last_seq(&self) -> Result<u64, StoreError>;

    /// Drops what is old. Call it again while it drops as many as it may.
    async fn prune(&self, prune: &Prune) -> Result<Pruned, StoreError>;
    /// The last place whose entry was pruned; 0 when none was. Who has read less than this has missed something.
    async fn pruned_to(&self) -> Result<u64, StoreError>;

    /// All work that is owed.
    async fn work(&self) -> Result<Vec<Work>, StoreError>;
    /// Puts work off: writes its `due`, `attempts`, `last_error`. `false` when it is no longer owed.
    async fn reschedule(&self, work: &Work, entry: Option<NewEntry>) -> Result<bool, StoreError>;
    /// Strikes work off and writes `entry`. `false`, and no entry, when it is no longer owed.
    async fn settle(&self, id: WorkId, entry: Option<NewEntry>) -> Result<bool, StoreError>;

    /// Keeps an image's row and writes `entry`.
    async fn insert_image(&self, image: &Image, entry: NewEntry) -> Result<(), StoreError>;
    /// All images, the latest imported first.
    async fn images(&self) -> Result<Vec<Image>, StoreError>;
    /// An image by id.
    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError>;
    /// The image that was chosen as the default; `None` when none was, or when it was removed since.
    async fn default_image(&self) -> Result<Option<ImageId>, StoreError>;
    /// Makes an image the default and writes `entry`.
    async fn choose_default_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError>;
    /// Removes an image's row and writes `entry`.
    async fn remove_image(&self, id: ImageId, entry: NewEntry) -> Result<(), StoreError>;

    /// Keeps a discovered machine in place of an older row of its address, at most `at_most` of them all, and writes
    /// `entry`. `false`, and nothing is written, when a host has the address.
    async fn keep_discovered(
        &self,
        machine: &DiscoveredMachine,
        at_most: usize,
        entry: Option<NewEntry>,
    ) -> Result<bool, StoreError>;
    /// All discovered machines, the one seen last first.
    async fn discovered(&self) -> Result<Vec<DiscoveredMachine>, StoreError>;
    /// A discovered machine by its address.
    async fn discovered_by_mac(&self, mac: MacAddr) -> Result<Option<DiscoveredMachine>, StoreError>;
}

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No such host.
    #[error("host {0} is not registered")]
    NoSuchHost(HostId),
    /// The decision was made on an older row: load, decide and commit again.
    #[error("host {host} is at revision {found:?}, not {expected:?}")]
    Stale {
        /// The host.
        host: HostId,
        /// What the change was decided on; `None` for a new host.
        expected: Option<Revision>,
        /// What is there.
        found: Revision,
    },
    /// Another host has the name.
    #[error("the name {name} is taken by host {by}")]
    NameTaken {
        /// The name.
        name: Hostname,
        /// Whose it is.
        by: HostId,
    },
    /// Another host has the address.
    #[error("the MAC address {mac} belongs to host {by}")]
    MacTaken {
        /// The address.
        mac: MacAddr,
        /// Whose it is.
        by: HostId,
    },
    /// No such image.
    #[error("there is no image {0}")]
    NoSuchImage(ImageId),
    /// The same ISO was imported before.
    #[error("this ISO was imported before as image {0}")]
    ImageExists(ImageId),
    /// A running operation installs it.
    #[error("image {image} is being installed on host {host}")]
    ImageInUse {
        /// The image.
        image: ImageId,
        /// A host that is being installed from it.
        host: HostId,
    },
    /// It contradicts what is there: it belongs to a row that is not, or gives an id a second time. A fault of the
    /// caller's; nobody else can do anything about it.
    #[error("the change does not fit the rows that are there: {problem}")]
    BadChange {
        /// What does not fit.
        problem: String,
    },
    /// What is stored cannot be read.
    #[error("a stored row of {table} does not make sense: {problem}")]
    Corrupt {
        /// Where it lies.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// What lies below it takes no writes; reading may go on. It passes without a restart, once a person has mended it.
    #[error("nothing can be written down: {trouble}")]
    Unwritable {
        /// What is in the way.
        trouble: WriteTrouble,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The store did not answer, or could not write.
    #[error("the store did not answer")]
    Unavailable {
        /// Whether trying again can help.
        retry: Retry,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

/// What keeps a store from writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTrouble {
    /// There is no room left.
    Full,
    /// It may not be written to, such as a file system that was mounted read-only.
    ReadOnly,
    /// The disk fails.
    Failing,
}

impl WriteTrouble {
    /// What a person can do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Full => "make room on the file system of server.data_dir; the server goes on by itself then",
            Self::ReadOnly => {
                "find out in the kernel's log why the file system of server.data_dir is read-only, and mount it for \
                 writing; should the server not go on by itself then, restart it"
            }
            Self::Failing => {
                "look into the kernel's log for errors of the disk below server.data_dir, and make a backup elsewhere"
            }
        }
    }
}

impl fmt::Display for WriteTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::ReadOnly => "the file system is read-only",
            Self::Failing => "the disk fails",
        })
    }
}
