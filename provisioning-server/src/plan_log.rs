//! A boot server for sites that run their own DHCP: it only says what the plan is.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use provisioning_core::ports::{BootPlan, BootServer, BootServerError};

/// Logs each boot plan that differs from the one before.
#[derive(Debug, Default)]
pub struct PlanLog {
    known: Mutex<Option<BootPlan>>,
}

#[async_trait]
impl BootServer for PlanLog {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(plan) {
            for entry in &plan.entries {
                tracing::debug!(mac = %entry.mac, host = %entry.host, answer = ?entry.answer, "boot plan");
            }
            tracing::info!(entries = plan.entries.len(), "the boot plan has changed");
            *known = Some(plan.clone());
        }
        Ok(())
    }
}
