//! The suite of [`Store`]: rows, journal and outbox.

mod commits;
mod discovered;
mod hosts;
mod journal;
mod pruning;
mod work;

use std::future::Future;

use super::rule::Broken;
use crate::ports::Store;

pub use commits::{
    a_commit_is_seen_by_the_next_read, an_id_is_given_once, commit_is_all_or_nothing, commit_refuses_a_stale_revision,
    committed_work_survives_reopen, names_and_macs_are_unique, revisions_rise_by_one,
    what_belongs_to_nothing_is_refused,
};
pub use discovered::{
    a_discovered_machine_is_kept_by_its_address, a_machine_with_a_host_is_not_discovered,
    the_machine_seen_longest_ago_makes_room,
};
pub use hosts::{
    hosts_are_counted_by_phase, hosts_are_listed_by_name, removing_a_host_keeps_its_journal,
    the_overdue_are_found_by_their_deadline,
};
pub use journal::{
    a_reader_never_skips_an_entry, audited_entries_are_found_by_themselves, entries_are_found_by_host_and_operation,
    the_journal_keeps_the_order_of_commits,
};
pub use pruning::{pruning_drops_the_oldest_and_tells_up_to_where, pruning_keeps_the_last_operation_of_each_host};
pub use work::{
    an_image_in_use_stays, an_image_is_kept_once_per_digest, rescheduling_settled_work_changes_nothing,
    the_default_image_is_the_one_chosen_last, work_is_listed_by_due_time,
};

/// Makes the store that is checked. Each rule has a fixture of its own.
pub trait StoreFixture {
    /// The adapter.
    type Store: Store + 'static;
    /// A store with nothing in it; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Store>;
    /// Drops the store and opens the same data again, as the next process would.
    fn reopen(&self, store: Self::Store) -> impl Future<Output = Self::Store>;
}

/// Makes each rule of [`Store`](crate::ports::Store) a test; takes an expression that makes a
/// [`StoreFixture`](crate::conformance::StoreFixture).
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::__store_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { store [
            commit_is_all_or_nothing,
            commit_refuses_a_stale_revision,
            committed_work_survives_reopen,
            a_commit_is_seen_by_the_next_read,
            names_and_macs_are_unique,
            revisions_rise_by_one,
            what_belongs_to_nothing_is_refused,
            an_id_is_given_once,
            the_journal_keeps_the_order_of_commits,
            a_reader_never_skips_an_entry,
            entries_are_found_by_host_and_operation,
            audited_entries_are_found_by_themselves,
            work_is_listed_by_due_time,
            rescheduling_settled_work_changes_nothing,
            hosts_are_listed_by_name,
            hosts_are_counted_by_phase,
            the_overdue_are_found_by_their_deadline,
            an_image_in_use_stays,
            an_image_is_kept_once_per_digest,
            the_default_image_is_the_one_chosen_last,
            removing_a_host_keeps_its_journal,
            a_discovered_machine_is_kept_by_its_address,
            a_machine_with_a_host_is_not_discovered,
            the_machine_seen_longest_ago_makes_room,
            pruning_drops_the_oldest_and_tells_up_to_where,
            pruning_keeps_the_last_operation_of_each_host,
        ] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__store_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that the store breaks. Call it outside of a runtime.
pub fn broken_rules<F: StoreFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__store_rules! { __rules_broken (make().await) }
}
