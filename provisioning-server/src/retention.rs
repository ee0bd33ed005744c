//! Drops what is older than it is kept: a little at a time, so that nobody who writes waits for it.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::orchestrator::{Orchestrator, Retention};
use provisioning_core::ports::Pruned;

/// How long after the start it begins: machines that waited for the start come first.
const AFTER_START: Duration = Duration::from_secs(120);
/// How often it is looked for what has become old.
const EVERY: Duration = Duration::from_secs(3600);
/// The pause between two steps.
const PAUSE: Duration = Duration::from_millis(200);

/// Drops what has become old, for as long as it is polled.
pub(crate) async fn keep(orchestrator: Arc<Orchestrator>, retention: Retention) {
    tokio::time::sleep(AFTER_START).await;
    loop {
        let dropped = drop_old(&orchestrator, &retention).await;
        if dropped != Pruned::default() {
            let Pruned { entries, artefacts } = dropped;
            tracing::info!(entries, artefacts, "dropped what is older than it is kept");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn drop_old(orchestrator: &Orchestrator, retention: &Retention) -> Pruned {
    let mut dropped = Pruned::default();
    loop {
        match orchestrator.prune(retention).await {
            Ok(step) if step == Pruned::default() => return dropped,
            Ok(Pruned { entries, artefacts }) => {
                dropped.entries += entries;
                dropped.artefacts += artefacts;
            }
            Err(error) => {
                tracing::warn!(%error, "could not drop what is old, trying again within the hour");
                return dropped;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
