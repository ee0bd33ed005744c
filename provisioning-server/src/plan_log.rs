//! A boot server for sites that run their own DHCP: it only says what the plan is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use provisioning_core::ports::{BootPlan, BootServer, BootServerError};

/// Logs each boot plan that differs from the one before.
#[derive(Debug, Default)]
pub struct PlanLog {
    known: Mutex<Option<BootPlan>>,
}

impl PlanLog {
    /// The plan that was told last; empty before the first.
    pub fn in_force(&self) -> BootPlan {
        self.known().clone().unwrap_or_default()
    }

    fn known(&self) -> MutexGuard<'_, Option<BootPlan>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BootServer for PlanLog {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        let mut known = self.known();
        if known.as_ref() != Some(plan) {
            for entry in &plan.entries {
                tracing::trace!(mac = %entry.mac, host = %entry.host, answer = ?entry.answer, "boot plan");
            }
            tracing::info!(entries = plan.entries.len(), "the boot plan has changed");
            *known = Some(plan.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::conformance::{BootServerCapabilities, BootServerFixture};

    use super::*;

    struct Log;

    impl BootServerFixture for Log {
        type Server = PlanLog;

        async fn fresh(&self) -> PlanLog {
            PlanLog::default()
        }

        async fn in_force(&self, server: &PlanLog) -> BootPlan {
            server.in_force()
        }

        async fn obstruct(&self, _: &PlanLog) {}

        fn capabilities(&self) -> BootServerCapabilities {
            BootServerCapabilities { can_fail: false }
        }
    }

    provisioning_core::boot_server_conformance!(Log);
}
