//! A boot server that remembers its plan passes; broken on purpose, with one fault each, it does not.

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use provisioning_core::conformance::{BootServerFixture, boot_server};
use provisioning_core::ports::{BootPlan, BootServer, BootServerError, Retry};

use super::{assert_each_bites, names};

/// What is wrong with a boot server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    MergesPlans,
    TakesARepeatBack,
    ForgetsThePlanOnAnError,
    HidesErrors,
}

/// Each fault, and all rules that it breaks.
const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::MergesPlans, &["applying_twice_is_the_same_as_once", "a_plan_takes_the_whole_place_of_the_one_before"]),
    (Fault::TakesARepeatBack, &["applying_twice_is_the_same_as_once"]),
    (Fault::ForgetsThePlanOnAnError, &["on_an_error_the_old_plan_stays"]),
    (Fault::HidesErrors, &["on_an_error_the_old_plan_stays"]),
];

provisioning_core::boot_server_conformance!(Fault::None);

#[test]
fn each_broken_boot_server_fails_the_rules_that_it_breaks_and_no_other() {
    for (fault, expected) in FAULTS {
        let broken = boot_server::broken_rules(async || *fault);
        assert_eq!(names(&broken), *expected, "{fault:?}: {broken:#?}");
    }
}

#[test]
fn each_rule_of_the_boot_server_bites() {
    assert_each_bites(boot_server::RULES, &FAULTS.iter().map(|(_, rules)| *rules).collect::<Vec<_>>());
}

impl BootServerFixture for Fault {
    type Server = Recording;

    async fn fresh(&self) -> Recording {
        Recording { fault: *self, plan: Mutex::default(), obstructed: Mutex::default() }
    }

    async fn in_force(&self, server: &Recording) -> BootPlan {
        server.plan().clone()
    }

    async fn obstruct(&self, server: &Recording) {
        *server.obstructed.lock().expect("nobody panics while holding it") = true;
    }
}

/// A boot server that only remembers what it was told.
struct Recording {
    fault: Fault,
    plan: Mutex<BootPlan>,
    obstructed: Mutex<bool>,
}

impl Recording {
    fn plan(&self) -> MutexGuard<'_, BootPlan> {
        self.plan.lock().expect("nobody panics while holding it")
    }
}

#[async_trait]
impl BootServer for Recording {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        if *self.obstructed.lock().expect("nobody panics while holding it") {
            if self.fault == Fault::HidesErrors {
                return Ok(());
            }
            if self.fault == Fault::ForgetsThePlanOnAnError {
                self.plan().entries.clear();
            }
            return Err(BootServerError { problem: "no space is left".to_owned(), retry: Retry::Later, source: None });
        }
        let mut known = self.plan();
        match self.fault {
            Fault::MergesPlans => {
                known.entries.retain(|old| plan.entries.iter().all(|new| new.mac != old.mac));
                known.entries.extend_from_slice(&plan.entries);
            }
            Fault::TakesARepeatBack if *known == *plan => known.entries.clear(),
            _ => *known = plan.clone(),
        }
        Ok(())
    }
}
