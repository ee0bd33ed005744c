//! Stores that are broken on purpose, one fault each, fail the rules that they break and no other.

use provisioning_core::conformance::store;

use super::faulty_store::Fault;
use super::{assert_each_bites, names};

/// Each fault, and all rules that it breaks.
const FAULTS: &[(Fault, &[&str])] = &[
    (
        Fault::ForgetsTheOutbox,
        &[
            "commit_is_all_or_nothing",
            "committed_work_survives_reopen",
            "what_belongs_to_nothing_is_refused",
            "work_is_listed_by_due_time",
            "rescheduling_settled_work_changes_nothing",
            "removing_a_host_keeps_its_journal",
        ],
    ),
    (Fault::IgnoresRevisions, &["commit_is_all_or_nothing", "commit_refuses_a_stale_revision"]),
    (Fault::ReordersTheJournal, &["the_journal_keeps_the_order_of_commits"]),
    (Fault::CommitsHalf, &["commit_is_all_or_nothing", "what_belongs_to_nothing_is_refused"]),
    (Fault::ListsHostsUnsorted, &["hosts_are_listed_by_name"]),
    (Fault::CountsTheRegisteredOnly, &["hosts_are_counted_by_phase"]),
    (Fault::GivesAPlaceTwice, &["the_journal_keeps_the_order_of_commits"]),
    (Fault::TearsAppendsApart, &["a_reader_never_skips_an_entry"]),
    (Fault::IgnoresTheOperationOfAQuery, &["entries_are_found_by_host_and_operation"]),
    (Fault::ReadsForwardsOnly, &["audited_entries_are_found_by_themselves"]),
    (Fault::LosesARowOnReopen, &["committed_work_survives_reopen"]),
    (Fault::ReadsLate, &["a_commit_is_seen_by_the_next_read"]),
    (Fault::SkipsRevisions, &["revisions_rise_by_one"]),
    (Fault::LetsHostsShareAnAddress, &["commit_is_all_or_nothing", "names_and_macs_are_unique"]),
    (Fault::TakesWhateverComes, &["what_belongs_to_nothing_is_refused", "an_id_is_given_once"]),
    (Fault::ListsWorkUnsorted, &["work_is_listed_by_due_time"]),
    (Fault::SettlesTwice, &["rescheduling_settled_work_changes_nothing"]),
    (Fault::FindsTheOverdueLate, &["the_overdue_are_found_by_their_deadline"]),
    (Fault::RemovesImagesInUse, &["an_image_in_use_stays"]),
    (Fault::KeepsAnImageTwice, &["an_image_is_kept_once_per_digest"]),
    (Fault::ForgetsTheDefaultImage, &["the_default_image_is_the_one_chosen_last"]),
    (
        Fault::ForgetsTheJournalOfTheRemoved,
        &["the_journal_keeps_the_order_of_commits", "removing_a_host_keeps_its_journal"],
    ),
    (
        Fault::ListsDiscoveredUnsorted,
        &["a_discovered_machine_is_kept_by_its_address", "the_machine_seen_longest_ago_makes_room"],
    ),
    (Fault::DiscoversHosts, &["a_machine_with_a_host_is_not_discovered"]),
    (Fault::KeepsEveryMachine, &["the_machine_seen_longest_ago_makes_room"]),
    (Fault::PrunesAllAtOnce, &["pruning_drops_the_oldest_and_tells_up_to_where"]),
    (Fault::ForgetsUpToWhereItPruned, &["pruning_drops_the_oldest_and_tells_up_to_where"]),
    (Fault::PrunesTheLastOperation, &["pruning_keeps_the_last_operation_of_each_host"]),
];

#[test]
fn each_broken_store_fails_the_rules_that_it_breaks_and_no_other() {
    for (fault, expected) in FAULTS {
        let broken = store::broken_rules(async || *fault);
        assert_eq!(names(&broken), *expected, "{fault:?}: {broken:#?}");
    }
}

#[test]
fn the_store_without_a_fault_breaks_no_rule() {
    assert_eq!(store::broken_rules(async || Fault::None), []);
}

#[test]
fn each_rule_of_the_store_bites() {
    assert_each_bites(store::RULES, &FAULTS.iter().map(|(_, rules)| *rules).collect::<Vec<_>>());
}
