//! Vault, boot server, inventory and chance of the world.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::model::{OperationId, Secret};
use provisioning_core::ports::{
    BootPlan, BootServer, BootServerError, Entropy, Inventory, InventoryError, InventoryRecord, Retry, Vault,
    VaultError,
};

use super::gate::Gate;
use crate::invariants::Deed;
use crate::world::dice::Dice;
use crate::world::fault::Fault;
use crate::world::state::{World, lock};

/// A vault in memory that sometimes fails.
pub(super) struct WorldVault(pub(super) Gate);

impl WorldVault {
    async fn through<T>(&self, call: impl Future<Output = Result<T, VaultError>> + Send) -> Result<T, VaultError> {
        self.0.point().await;
        let fails = || VaultError::Unavailable { retry: Retry::Later, source: "the disk is busy".into() };
        if self.0.fails(Fault::VaultFailed) {
            return Err(fails());
        }
        let done = call.await;
        self.0.world.vault_changed();
        self.0.point().await;
        if self.0.fails(Fault::VaultFailed) { Err(fails()) } else { done }
    }
}

#[async_trait]
impl Vault for WorldVault {
    async fn store(&self, operation: OperationId, key: &Secret<String>) -> Result<(), VaultError> {
        self.through(self.0.world.vault.store(operation, key)).await
    }

    async fn open(&self, operation: OperationId) -> Result<Option<Secret<String>>, VaultError> {
        self.through(self.0.world.vault.open(operation)).await
    }

    async fn erase(&self, operation: OperationId) -> Result<(), VaultError> {
        self.through(self.0.world.vault.erase(operation)).await
    }

    async fn held(&self) -> Result<Vec<OperationId>, VaultError> {
        self.through(self.0.world.vault.held()).await
    }
}

/// A boot server that sometimes keeps its old plan.
pub(super) struct WorldBootServer(pub(super) Gate);

#[async_trait]
impl BootServer for WorldBootServer {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        self.0.point().await;
        if self.0.fails(Fault::BootServerFailed) {
            return Err(BootServerError { problem: "dnsmasq is gone".into(), retry: Retry::Later, source: None });
        }
        self.0.world.record().scene.plan = Some(plan.clone());
        self.0.point().await;
        Ok(())
    }
}

/// An inventory that fails, is gone, or refuses.
pub(super) struct WorldInventory(pub(super) Gate);

#[async_trait]
impl Inventory for WorldInventory {
    async fn register(&self, record: &InventoryRecord) -> Result<(), InventoryError> {
        self.0.point().await;
        let world = &self.0.world;
        let seat = world.seats.iter().find(|seat| seat.id() == Some(record.host));
        let later = |said: &str| InventoryError { said: said.into(), retry: Retry::Later, source: None };
        tokio::time::sleep(Duration::from_millis(300)).await;
        let outage = world.draw_seconds(60, 20 * 60);
        if world.strikes(None, Fault::InventoryOutage, outage) {
            world.inventory_goes(outage);
        }
        if world.inventory_is_gone() || self.0.fails(Fault::InventoryFailed) {
            return Err(later("503 service unavailable"));
        }
        if world.strikes(seat, Fault::InventoryRefused, Duration::ZERO) {
            let said = "no such rack".to_owned();
            return Err(InventoryError { said, retry: Retry::Never, source: None });
        }
        world.deed(Deed::Registered { host: record.host, operation: record.operation });
        self.0.point().await;
        if self.0.fails(Fault::InventoryFailed) { Err(later("the connection broke")) } else { Ok(()) }
    }
}

/// Chance from the seed. It goes on over restarts, or ids would repeat.
pub(super) struct WorldEntropy(Mutex<Dice>);

impl WorldEntropy {
    pub(super) fn new(world: &Arc<World>) -> Self {
        let mut dice = world.dice(1_000_000);
        // Another stream for every process.
        let life = world.process.count();
        dice = dice.of(life);
        Self(Mutex::new(dice))
    }
}

impl Entropy for WorldEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        lock(&self.0).fill(buffer);
    }
}
