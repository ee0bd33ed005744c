//! Keeps the service manager told: that we are not stuck, and how we fare.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::machine::Phase;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Notifier;
use crate::http::App;

/// How often the status is looked at when no watchdog asks for more.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long the orchestrator's first turn is waited for before we say that we serve: it applies the boot plan, and with a
/// boot server that is slow that takes seconds.
const FIRST_TURN_MAX: Duration = Duration::from_secs(10);

/// Tells that we serve, and from then on how we fare, for as long as it is polled. With `watchdog`, the time after which
/// the manager takes silence for being stuck, a sign of life goes out at each half of it, but only when the
/// orchestrator's loop has made a turn meanwhile: a loop that hangs, be it in the store, is silent.
pub async fn attend(notifier: Notifier, watchdog: Option<Duration>, app: Arc<App>) {
    if !notifier.is_heard() {
        return;
    }
    if timeout(FIRST_TURN_MAX, app.orchestrator.turned()).await.is_err() {
        tracing::warn!("the first turn of the orchestrator takes long");
    }
    notifier.ready();
    let every = watchdog.map_or(LOOK_EVERY, |time| (time / 2).min(LOOK_EVERY));
    let patience = watchdog.map_or(LOOK_EVERY, |time| time / 2);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        ticks.tick().await;
        if timeout(patience, app.orchestrator.turned()).await.is_ok() {
            notifier.alive();
        } else {
            tracing::error!("the orchestrator has made no turn for {patience:?}");
            notifier.status("stuck: the orchestrator makes no turn");
            told.clear();
            continue;
        }
        let status = status(&app).await;
        if status != told {
            notifier.status(&status);
            told = status;
        }
    }
}

/// How we fare, in a line.
async fn status(app: &App) -> String {
    let counted = match app.orchestrator.store().count_by_phase().await {
        Ok(counted) => counted,
        Err(error) => return format!("the store does not answer: {error}"),
    };
    let count = |holds: fn(Phase) -> bool| -> u64 {
        counted.iter().filter(|(phase, _)| holds(**phase)).map(|(_, count)| count).sum()
    };
    let mut parts = vec![];
    let mut tell = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    tell(count(|phase| phase == Phase::PxeReady), "waiting to netboot");
    tell(count(is_under_way), "being provisioned");
    tell(count(|phase| phase == Phase::Ready), "ready");
    tell(count(|phase| phase == Phase::Failed), "failed");
    let hosts = if parts.is_empty() { "no host was asked for".to_owned() } else { parts.join(", ") };
    match app.health.report(app).await.first_failure() {
        None => format!("serving; hosts: {hosts}"),
        Some(trouble) => format!("serving, not ready: {trouble}; hosts: {hosts}"),
    }
}

fn is_under_way(phase: Phase) -> bool {
    matches!(phase, Phase::PxeBooted | Phase::Installing | Phase::Installed | Phase::FirstBoot | Phase::Joining)
}
