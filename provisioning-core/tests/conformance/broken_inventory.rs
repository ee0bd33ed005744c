//! An inventory that keeps its records in memory passes; broken on purpose, with one fault each, it does not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use provisioning_core::conformance::{InventoryFixture, inventory};
use provisioning_core::ports::{Inventory, InventoryError, InventoryRecord, Retry};

use super::{assert_each_bites, names};

/// What is wrong with an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    MakesTwoRecords,
    TriesARefusalAgain,
    HidesWhatWasSaid,
    GivesUpOnSilence,
}

/// Each fault, and all rules that it breaks.
const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::MakesTwoRecords, &["registering_twice_leaves_one_record"]),
    (Fault::TriesARefusalAgain, &["a_refusal_is_never_retried"]),
    (Fault::HidesWhatWasSaid, &["a_refusal_is_never_retried"]),
    (Fault::GivesUpOnSilence, &["a_silent_service_is_tried_later"]),
];

provisioning_core::inventory_conformance!(Service::with(Fault::None));

#[test]
fn each_broken_inventory_fails_the_rules_that_it_breaks_and_no_other() {
    for (fault, expected) in FAULTS {
        let broken = inventory::broken_rules(async || Service::with(*fault));
        assert_eq!(names(&broken), *expected, "{fault:?}: {broken:#?}");
    }
}

#[test]
fn each_rule_of_the_inventory_bites() {
    assert_each_bites(inventory::RULES, &FAULTS.iter().map(|(_, rules)| *rules).collect::<Vec<_>>());
}

/// The service and, since nothing lies between, the adapter for it.
#[derive(Clone)]
struct Service {
    fault: Fault,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    keys: BTreeSet<String>,
    refuses: Option<String>,
    silent: bool,
}

impl Service {
    fn with(fault: Fault) -> Self {
        Self { fault, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

impl InventoryFixture for Service {
    type Inventory = Self;

    async fn fresh(&self) -> Self {
        self.clone()
    }

    fn hosts(&self) -> usize {
        self.state().keys.len()
    }

    fn refuse(&self, words: &str) {
        self.state().refuses = Some(words.to_owned());
    }

    fn fall_silent(&self) {
        self.state().silent = true;
    }
}

#[async_trait]
impl Inventory for Service {
    async fn register(&self, record: &InventoryRecord) -> Result<(), InventoryError> {
        let is = |fault| self.fault == fault;
        let mut state = self.state();
        if state.silent {
            let retry = if is(Fault::GivesUpOnSilence) { Retry::Never } else { Retry::Later };
            return Err(InventoryError { said: "no answer in time".to_owned(), retry, source: None });
        }
        if let Some(words) = &state.refuses {
            let retry = if is(Fault::TriesARefusalAgain) { Retry::Later } else { Retry::Never };
            let said = if is(Fault::HidesWhatWasSaid) { "it said no".to_owned() } else { words.clone() };
            return Err(InventoryError { said, retry, source: None });
        }
        let own_key = record.hardware_id.as_ref().map_or_else(|| record.host.to_string(), ToString::to_string);
        let key = if is(Fault::MakesTwoRecords) { format!("{own_key} at {}", record.ip) } else { own_key };
        state.keys.insert(key);
        Ok(())
    }
}
