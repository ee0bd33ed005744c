//! The suite of [`Inventory`].

use std::future::Future;

use super::rule::{Broken, Checked, refusal};
use super::sample::{host_id, mac, operation_id};
use crate::ports::{Inventory, InventoryRecord, Retry};

/// Makes the adapter that is checked, and plays the service it talks to. Each rule has a fixture of its own.
pub trait InventoryFixture {
    /// The adapter.
    type Inventory: Inventory;
    /// The adapter for a service that knows no host; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Inventory>;
    /// How many hosts the service knows.
    fn hosts(&self) -> usize;
    /// From now on the service refuses every host and says so in these words.
    fn refuse(&self, words: &str);
    /// From now on the service takes requests and never answers. The adapter shall have lost patience within a
    /// minute.
    fn fall_silent(&self);
}

/// Makes each rule of [`Inventory`](crate::ports::Inventory) a test; takes an expression that makes an
/// [`InventoryFixture`](crate::conformance::InventoryFixture).
#[macro_export]
macro_rules! inventory_conformance {
    ($fixture:expr) => {
        $crate::__inventory_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __inventory_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { inventory [
            registering_twice_leaves_one_record,
            a_refusal_is_never_retried,
            a_silent_service_is_tried_later,
        ] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__inventory_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that the adapter breaks. Call it outside of a runtime.
pub fn broken_rules<F: InventoryFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__inventory_rules! { __rules_broken (make().await) }
}

/// By hardware id, or by host where there is none.
pub async fn registering_twice_leaves_one_record(fixture: &impl InventoryFixture) -> Checked {
    let inventory = fixture.fresh().await;
    let record = record()?;
    for _ in 0..2 {
        inventory.register(&record).await?;
        assert_eq!(fixture.hosts(), 1);
    }
    let rebuilt = InventoryRecord { ip: "10.0.0.99".parse()?, operation: operation_id(2), ..record.clone() };
    inventory.register(&rebuilt).await?;
    assert_eq!(fixture.hosts(), 1, "it is the same host after a rebuild");
    let other = InventoryRecord { hardware_id: Some("another-host".parse()?), ..record.clone() };
    inventory.register(&other).await?;
    assert_eq!(fixture.hosts(), 2);
    let without = InventoryRecord { host: host_id(3), hardware_id: None, ..record };
    for _ in 0..2 {
        inventory.register(&without).await?;
        assert_eq!(fixture.hosts(), 3);
    }
    Ok(())
}

/// And says what the service said.
pub async fn a_refusal_is_never_retried(fixture: &impl InventoryFixture) -> Checked {
    let inventory = fixture.fresh().await;
    fixture.refuse("rack 7 is not ours");
    let error = refusal(inventory.register(&record()?).await);
    assert_eq!(error.retry, Retry::Never);
    assert!(error.said.contains("rack 7 is not ours"), "{}", error.said);
    Ok(())
}

/// When the adapter's own patience has ended.
pub async fn a_silent_service_is_tried_later(fixture: &impl InventoryFixture) -> Checked {
    let inventory = fixture.fresh().await;
    fixture.fall_silent();
    let error = refusal(inventory.register(&record()?).await);
    assert_eq!(error.retry, Retry::Later);
    Ok(())
}

fn record() -> Result<InventoryRecord, crate::ports::BoxError> {
    Ok(InventoryRecord {
        host: host_id(7),
        operation: operation_id(1),
        hardware_id: Some("4c4c4544-0031-4b10-8052-b4c04f4e3532".parse()?),
        hostname: "pve-07".parse()?,
        fqdn: "pve-07.lab.example".parse()?,
        ip: "10.0.0.7".parse()?,
        macs: vec![mac(7, 1)?, mac(7, 2)?],
        server_type: "gpu-large".parse()?,
        gpu: None,
    })
}
