//! The contract of `Inventory`, a check for each bullet, over any adapter and any service.

use provisioning_core::ports::{Inventory, InventoryRecord, Retry};

/// A service to be checked against.
pub(crate) trait Fixture: Sync {
    /// How many hosts it knows.
    fn hosts(&self) -> usize;
    /// From now on it refuses every host and says so in these words.
    fn refuses(&self, words: &str);
    /// From now on it takes requests and never answers.
    fn falls_silent(&self);
}

pub(crate) async fn registering_twice_leaves_one_record(
    inventory: &dyn Inventory,
    service: &dyn Fixture,
    record: &InventoryRecord,
) {
    for _ in 0..2 {
        inventory.register(record).await.expect("the service takes the host in");
        assert_eq!(service.hosts(), 1);
    }
    let again = InventoryRecord { ip: "10.0.0.99".parse().unwrap(), ..record.clone() };
    inventory.register(&again).await.expect("the service takes the host in");
    assert_eq!(service.hosts(), 1, "it is the same host after a rebuild");
    let other = InventoryRecord { hardware_id: Some("another-host".parse().unwrap()), ..record.clone() };
    inventory.register(&other).await.expect("the service takes the host in");
    assert_eq!(service.hosts(), 2);
}

pub(crate) async fn a_refusal_is_never_retried(
    inventory: &dyn Inventory,
    service: &dyn Fixture,
    record: &InventoryRecord,
) {
    service.refuses("rack 7 is not ours");
    let error = inventory.register(record).await.expect_err("the service refuses");
    assert_eq!(error.retry, Retry::Never);
    assert!(error.said.contains("rack 7 is not ours"), "{}", error.said);
}

pub(crate) async fn a_silent_service_is_tried_later(
    inventory: &dyn Inventory,
    service: &dyn Fixture,
    record: &InventoryRecord,
) {
    service.falls_silent();
    let error = inventory.register(record).await.expect_err("the service does not answer");
    assert_eq!(error.retry, Retry::Later);
}
