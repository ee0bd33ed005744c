//! A person and a simulated management controller pass; a controller that changes the boot order for good does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use provisioning_core::conformance::{PowerFixture, power};
use provisioning_core::model::Host;
use provisioning_core::ports::{PersonAtThePowerButton, Power, PowerAnswer};

use super::names;

struct Person;

impl PowerFixture for Person {
    type Power = PersonAtThePowerButton;

    async fn fresh(&self) -> PersonAtThePowerButton {
        PersonAtThePowerButton
    }

    async fn starts_from_network(&self) -> bool {
        false
    }
}

mod person {
    provisioning_core::power_conformance!(super::Person);
}

/// A management controller: how many starts from the network it still grants, and how many one wish sets.
#[derive(Clone)]
struct Controller {
    left: Arc<AtomicU32>,
    per_wish: u32,
}

impl Controller {
    fn granting(per_wish: u32) -> Self {
        Self { left: Arc::default(), per_wish }
    }
}

impl PowerFixture for Controller {
    type Power = Self;

    async fn fresh(&self) -> Self {
        self.clone()
    }

    async fn starts_from_network(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

#[async_trait]
impl Power for Controller {
    async fn netboot(&self, _: &Host) -> PowerAnswer {
        self.left.store(self.per_wish, Ordering::Relaxed);
        PowerAnswer::Cycling
    }
}

mod controller {
    provisioning_core::power_conformance!(super::Controller::granting(1));
}

#[test]
fn a_boot_order_that_is_changed_for_good_breaks_the_rule() {
    let broken = power::broken_rules(async || Controller::granting(u32::MAX));
    assert_eq!(names(&broken), power::RULES);
}
