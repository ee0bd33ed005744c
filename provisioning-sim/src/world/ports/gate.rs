//! The way into and out of every port: numbered, and sometimes the end of the process.

use std::sync::Arc;
use std::time::Duration;

use crate::world::fault::Fault;
use crate::world::state::World;
use crate::world::switch::Switch;

/// One process' ways; a dead process passes none.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) world: Arc<World>,
    dead: Switch,
}

impl Gate {
    pub(super) fn new(world: Arc<World>, dead: Switch) -> Self {
        Self { world, dead }
    }

    /// A point where the process may die: before and after each call.
    pub(super) async fn point(&self) {
        if !self.dead.is_thrown() {
            let here = self.world.point();
            let dies =
                self.world.options.crash_at == Some(here) || self.world.strikes(None, Fault::Crash, Duration::ZERO);
            if !dies {
                return;
            }
            if self.world.options.crash_at == Some(here) {
                self.world.did(None, Fault::Crash, Duration::ZERO);
            }
            self.dead.throw();
        }
        std::future::pending::<()>().await;
    }

    /// Whether this call fails.
    pub(super) fn fails(&self, fault: Fault) -> bool {
        self.world.strikes(None, fault, Duration::ZERO)
    }
}
