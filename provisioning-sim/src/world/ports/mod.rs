//! The orchestrator's ports as this world gives them: on memory, with trouble.

mod gate;
mod shell;
mod small;
mod store;

use std::sync::Arc;

use provisioning_core::orchestrator::Ports;
use provisioning_core::ports::{NobodyToAsk, PersonAtThePowerButton};

use super::state::World;
use super::switch::Switch;
use gate::Gate;

/// The ports of a process that lives until `dead`.
pub(super) fn ports(world: &Arc<World>, dead: &Switch) -> Ports {
    let gate = Gate::new(Arc::clone(world), dead.clone());
    Ports {
        store: Arc::new(store::WorldStore::new(gate.clone())),
        vault: Arc::new(small::WorldVault(gate.clone())),
        boot_server: Arc::new(small::WorldBootServer(gate.clone())),
        shell: Arc::new(shell::WorldShells(gate.clone())),
        member: Arc::new(NobodyToAsk),
        inventory: Arc::new(small::WorldInventory(gate.clone())),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::new(small::WorldEntropy::new(world)),
        power: Arc::new(PersonAtThePowerButton),
    }
}
