//! Bugs planted on purpose, as wrappers around the ports or around what machines talk to: each is caught by the rule
//! that is there for it, within a stated number of seeds.

mod other_ports;
mod server;
mod store;

use std::sync::Arc;

use provisioning_core::orchestrator::Ports;
use provisioning_sim::world::{Options, Plant, run};
use store::{BrokenStore, Bug};

/// Runs seeds until a rule is broken, and says which.
fn check(plant: &Plant, rule: &str, within: u64) {
    for seed in 1..=within {
        let outcome = run(Options { hosts: 4, hours: 4, ..Options::new(seed) }, plant.clone());
        if let Some(broken) = &outcome.broken {
            assert_eq!(broken.rule, rule, "another rule fired first, at seed {seed}: {outcome}");
            return;
        }
    }
    panic!("{within} seeds did not break: {rule}");
}

fn ports(wrap: impl Fn(Ports) -> Ports + Send + Sync + 'static) -> Plant {
    Plant { ports: Arc::new(wrap), ..Plant::default() }
}

fn store(bug: Bug) -> Plant {
    ports(move |ports| Ports { store: Arc::new(BrokenStore::new(&ports, bug)), ..ports })
}

const LEGAL_PATH: &str = "the journal is a path of legal steps and folds to the row";
const OUTBOX: &str = "what a phase owes stands in the outbox";
const BOOT: &str = "boot answers and boot plan are what the phases say";
const READY: &str = "ready means truly joined by that operation, and its key is gone";

#[test]
fn an_outbox_forgotten_in_a_crash_is_caught() {
    check(&store(Bug::ForgetsOutbox), OUTBOX, 50);
}

#[test]
fn a_store_that_ignores_revisions_is_caught() {
    check(&store(Bug::IgnoresRevisions), LEGAL_PATH, 50);
}

#[test]
fn an_installer_for_an_installed_host_is_caught() {
    check(&server::that(server::Bug::InstallsAgain), BOOT, 5);
}

#[test]
fn another_operations_token_that_is_accepted_is_caught() {
    check(&server::that(server::Bug::TakesAnyToken), "what the journal says of a machine, the machine has said", 50);
}

#[test]
fn a_key_that_is_not_revoked_is_caught() {
    check(&ports(other_ports::without_revocation), READY, 5);
}

#[test]
fn a_join_that_never_ran_is_caught() {
    check(&ports(other_ports::without_joins), READY, 5);
}

#[test]
fn work_settled_before_its_result_is_committed_is_caught() {
    check(&store(Bug::SettlesEarly), OUTBOX, 5);
}

#[test]
fn two_joins_at_once_are_caught() {
    check(&store(Bug::HidesTheHolder), "joins never overlap and never begin without quorum", 50);
}

#[test]
fn deadlines_on_a_wrong_clock_are_caught() {
    check(&store(Bug::ExpiresLate), "nobody stays in a leg past its deadline", 20);
}

#[test]
fn a_host_published_before_it_is_ready_is_caught() {
    check(&store(Bug::PublishesEarly), "the inventory agrees with the hosts", 5);
}

#[test]
fn a_dropped_journal_entry_is_caught() {
    check(&store(Bug::DropsEntries), LEGAL_PATH, 5);
}

#[test]
fn a_feed_with_a_gap_is_caught() {
    check(&store(Bug::SkipsInTheFeed), "a subscriber sees each entry once, in order", 20);
}

#[test]
fn a_secret_in_the_journal_is_caught() {
    check(&store(Bug::TellsASecret), "no secret stands in the journal", 5);
}

#[test]
fn a_vault_that_never_erases_is_caught() {
    check(&ports(other_ports::without_erasure), READY, 5);
}

#[test]
fn a_boot_plan_that_is_not_renewed_is_caught() {
    check(&ports(other_ports::with_a_stale_plan), BOOT, 5);
}

#[test]
fn a_start_that_is_committed_and_said_not_to_be_keeps_its_key() {
    let outcome = run(Options::calm(1), store(Bug::LosesAReply));
    assert!(outcome.broken.is_none(), "{outcome}");
    let numbers = outcome.statistics;
    assert_eq!((numbers.operations, numbers.lives, numbers.failures), (1, 1, 0));
}
