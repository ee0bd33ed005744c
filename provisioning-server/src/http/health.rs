//! What keeps the server from its work: looked at by monitoring (`/readyz`), by the pages, and for the service manager.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use provisioning_core::model::Timestamp;
use provisioning_core::ports::{Bookmarks, JournalQuery, chain};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use super::App;
use crate::tls::Tls;
use crate::web::board::Notice;

/// How long a report is good for: strangers may ask as often as they like, and cause no more work than that.
const GOOD_FOR: Duration = Duration::from_secs(2);
/// How often the pages are told of what has changed.
const WATCH_EVERY: Duration = Duration::from_secs(60);
/// How long the store and the orchestrator's loop may take before they count as stuck.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The bookmark that is written to see whether the store can be written to.
const PROBE: &str = "health";
/// Less room than this in the data directory, in bytes, and nothing is begun that might fill it.
const DISK_FAILED: u64 = 128 << 20;
/// Less room than this is worth a warning: an imported image has some 1.7 GB.
const DISK_WARNED: u64 = 2 << 30;
/// A certificate that ends this soon is worth a warning.
const CERTIFICATE_WARNED: Duration = Duration::from_secs(14 * 24 * 3600);
/// No clock that is right says less, in ms since 1970: 2025-01-01.
const CLOCK_MIN: i64 = 1_735_689_600_000;
/// How far the journal's last entry may lie ahead of the clock.
const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(120);

/// Checks of what says in the log itself what is wrong.
const TOLD_ELSEWHERE: [&str; 2] = [BOOT_SERVER, SERVER_TYPES];
/// The check of the boot server.
const BOOT_SERVER: &str = "boot_server";
/// The check of the server types.
const SERVER_TYPES: &str = "server_types";

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// Somebody should look at it; the server does its work.
    Warning,
    /// The server cannot do its work.
    Failed,
}

impl CheckState {
    /// As JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// Its stable name.
    pub name: &'static str,
    /// How it came out.
    pub state: CheckState,
    /// What was found. Told to operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it. Told to operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// Whether the server can do its work: no check has failed.
    pub ready: bool,
    /// What was looked at, always in this order.
    pub checks: Vec<Check>,
}

impl Report {
    fn of(checks: Vec<Check>) -> Self {
        Self { ready: checks.iter().all(|check| check.state != CheckState::Failed), checks }
    }

    /// Without anything that strangers need not know.
    #[must_use]
    pub fn for_strangers(mut self) -> Self {
        for check in &mut self.checks {
            (check.detail, check.what_to_do) = (None, None);
        }
        self
    }

    /// The first thing that keeps the server from its work, in words.
    pub fn first_failure(&self) -> Option<String> {
        let failed = self.checks.iter().find(|check| check.state == CheckState::Failed)?;
        Some(failed.detail.clone().unwrap_or_else(|| failed.name.to_owned()))
    }

    /// What the pages tell everywhere. That there is no image is no news to them: they say how to begin.
    fn notices(&self) -> Vec<Notice> {
        let failed = self.checks.iter().filter(|check| check.state == CheckState::Failed && check.name != "image");
        let text = |check: &Check| {
            let parts = [check.detail.as_deref(), check.what_to_do.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        };
        failed.map(|check| Notice { about: check.name, text: text(check) }).collect()
    }
}

/// Looks at what the server needs, and remembers for a moment what it found.
pub struct HealthChecks {
    surroundings: OnceLock<Surroundings>,
    last: Mutex<Option<(Instant, Report)>>,
    pulse: Mutex<Pulse>,
}

/// Whether the orchestrator's loop turns.
struct Pulse {
    beats: bool,
    /// How long that is good for.
    until: Instant,
}

impl Default for HealthChecks {
    fn default() -> Self {
        // A server that has just begun is not stuck, however long its first turn takes: that one reads all hosts.
        let pulse = Pulse { beats: true, until: Instant::now() + ANSWER_MAX };
        Self { surroundings: OnceLock::new(), last: Mutex::default(), pulse: Mutex::new(pulse) }
    }
}

/// What of the server's surroundings is looked at beside what the handlers share; all of it may be absent.
#[derive(Default)]
pub struct Surroundings {
    /// Where the data are.
    pub data_dir: Option<PathBuf>,
    /// Where it is tried whether the store takes a write.
    pub probe: Option<Arc<dyn Bookmarks>>,
    /// The certificate.
    pub tls: Option<Tls>,
}

impl HealthChecks {
    /// Looks at these surroundings too; only the first call counts.
    pub fn look_at(&self, surroundings: Surroundings) {
        self.surroundings.get_or_init(|| surroundings);
    }

    /// How everything is now, or was a few seconds ago.
    pub async fn report(&self, app: &App) -> Report {
        // Held while it is looked: whoever asks meanwhile waits for the same report.
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return report.clone();
        }
        let report = Report::of(self.look(app).await);
        *last = Some((Instant::now(), report.clone()));
        report
    }

    /// Whether the orchestrator's loop turns, or did a few seconds ago. Waits for nothing else: a disk that hangs is
    /// no reason to restart the server.
    pub async fn is_alive(&self, app: &App) -> bool {
        let mut pulse = self.pulse.lock().await;
        if pulse.until <= Instant::now() {
            *pulse = Pulse::take(app).await;
        }
        pulse.beats
    }

    /// Keeps the pages told, and the log of what has changed, for as long as it is polled.
    pub async fn watch(&self, app: &App) {
        let mut known: Vec<Check> = vec![];
        loop {
            let report = self.report(app).await;
            for check in &report.checks {
                let before = known.iter().find(|known| known.name == check.name).map(|known| known.state);
                if !TOLD_ELSEWHERE.contains(&check.name) {
                    tell(check, before);
                }
            }
            if app.board.set_trouble(report.notices()) {
                app.board.recount(app.orchestrator.store()).await;
            }
            known = report.checks;
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    async fn look(&self, app: &App) -> Vec<Check> {
        let nothing = Surroundings::default();
        let surroundings = self.surroundings.get().unwrap_or(&nothing);
        let pulse = Pulse::take(app).await;
        let looping = looping(pulse.beats);
        *self.pulse.lock().await = pulse;
        let mut checks = vec![stopping(app), looping, store(app, surroundings.probe.as_deref()).await];
        checks.extend(boot_server(app));
        checks.push(image(app).await);
        if let Some(data_dir) = surroundings.data_dir.clone() {
            // A file system on the network can make us wait.
            let looked = tokio::task::spawn_blocking(move || disk(&data_dir));
            checks.extend(timeout(ANSWER_MAX, looked).await.ok().and_then(Result::ok));
        }
        checks.push(server_types(app));
        checks.extend(surroundings.tls.as_ref().map(|tls| certificate(tls, app.orchestrator.now())));
        checks.push(clock(app).await);
        checks
    }
}

/// Says once what has changed.
fn tell(check: &Check, before: Option<CheckState>) {
    let (check_name, detail) = (check.name, check.detail.as_deref().unwrap_or_default());
    match check.state {
        state if before == Some(state) => {}
        CheckState::Ok if before.is_none() => {}
        CheckState::Ok => tracing::info!(check_name, "in order again"),
        CheckState::Warning | CheckState::Failed => {
            let what_to_do = check.what_to_do.as_deref().unwrap_or_default();
            tracing::warn!(check_name, state = check.state.as_str(), what_to_do, "{detail}");
        }
    }
}

fn ok(name: &'static str) -> Check {
    Check { name, state: CheckState::Ok, detail: None, what_to_do: None }
}

fn warning(name: &'static str, detail: String, what_to_do: &str) -> Check {
    Check { name, state: CheckState::Warning, detail: Some(detail), what_to_do: Some(what_to_do.to_owned()) }
}

fn failed(name: &'static str, detail: String, what_to_do: &str) -> Check {
    Check { state: CheckState::Failed, ..warning(name, detail, what_to_do) }
}

fn stopping(app: &App) -> Check {
    if *app.stopping.borrow() {
        return failed("serving", "the server is stopping".to_owned(), "wait for the next start");
    }
    ok("serving")
}

impl Pulse {
    /// Asks the loop for a turn.
    async fn take(app: &App) -> Self {
        let beats = timeout(ANSWER_MAX, app.orchestrator.turned()).await.is_ok();
        Self { beats, until: Instant::now() + GOOD_FOR }
    }
}

fn looping(beats: bool) -> Check {
    const NAME: &str = "loop";
    if beats {
        return ok(NAME);
    }
    failed(
        NAME,
        format!("the orchestrator has made no turn for {ANSWER_MAX:?}: no deadline and no work is looked at"),
        "see the log for what it waits for; a restart loses nothing",
    )
}

async fn store(app: &App, probe: Option<&dyn Bookmarks>) -> Check {
    const NAME: &str = "store";
    let write = async {
        match probe {
            Some(probe) => probe.keep(PROBE, app.orchestrator.now().as_millis().unsigned_abs()).await,
            None => app.orchestrator.store().last_seq().await.map(drop),
        }
    };
    let what_to_do = "make room on the disk of server.data_dir and see that it is not mounted read-only";
    match timeout(ANSWER_MAX, write).await {
        Ok(Ok(())) => ok(NAME),
        Ok(Err(error)) => failed(NAME, format!("the database takes no write: {}", chain(&error)), what_to_do),
        Err(_) => failed(NAME, format!("the database has not taken a write for {ANSWER_MAX:?}"), what_to_do),
    }
}

fn boot_server(app: &App) -> Option<Check> {
    let report = app.boot_server.report()?;
    Some(match report.trouble {
        None => ok(BOOT_SERVER),
        Some(trouble) => failed(
            BOOT_SERVER,
            format!("netbooting machines are not answered: {trouble}"),
            "mend that: it is tried again by itself; pxe.enabled: false leaves it to your DHCP server",
        ),
    })
}

async fn image(app: &App) -> Check {
    const NAME: &str = "image";
    match timeout(ANSWER_MAX, app.orchestrator.store().images()).await {
        Ok(Ok(images)) if images.is_empty() => failed(
            NAME,
            "no image was imported: no host can be installed".to_owned(),
            "import a Proxmox VE ISO: provisioning image import FILE",
        ),
        Ok(Ok(_)) => ok(NAME),
        Ok(Err(error)) => failed(NAME, format!("images cannot be listed: {}", chain(&error)), "see the store"),
        Err(_) => failed(NAME, "images cannot be listed: the store does not answer".to_owned(), "see the store"),
    }
}

fn disk(data_dir: &std::path::Path) -> Check {
    const NAME: &str = "disk";
    let what_to_do = "remove images that are no longer needed, or give server.data_dir more room";
    let found = match statvfs(data_dir) {
        Ok(found) => found,
        Err(errno) => {
            return failed(NAME, format!("{} cannot be looked at: {errno}", data_dir.display()), what_to_do);
        }
    };
    room(found.blocks_available().saturating_mul(found.fragment_size()), what_to_do)
}

fn room(free: u64, what_to_do: &str) -> Check {
    const NAME: &str = "disk";
    let detail = format!("{} MiB are left for the data", free >> 20);
    match free {
        ..DISK_FAILED => failed(NAME, detail, what_to_do),
        DISK_FAILED..DISK_WARNED => warning(NAME, detail, what_to_do),
        _ => ok(NAME),
    }
}

fn server_types(app: &App) -> Check {
    let faults = app.server_type_faults.read().unwrap_or_else(PoisonError::into_inner).clone();
    if faults.is_empty() {
        return ok(SERVER_TYPES);
    }
    let detail = format!("the last edit has faults, the types before it are in force: {}", faults.join("; "));
    warning(SERVER_TYPES, detail, "mend server-types.yaml: it is read again by itself")
}

fn certificate(tls: &Tls, now: Timestamp) -> Check {
    const NAME: &str = "certificate";
    let what_to_do = "put a new certificate in place: it is read again by itself, and by SIGHUP";
    match tls.ends() {
        None => warning(NAME, "when the certificate ends cannot be read".to_owned(), what_to_do),
        Some(ends) if ends <= now => failed(NAME, format!("the certificate has ended at {ends}"), what_to_do),
        Some(ends) if ends.since(now) < CERTIFICATE_WARNED => {
            warning(NAME, format!("the certificate ends at {ends}"), what_to_do)
        }
        Some(_) => ok(NAME),
    }
}

async fn clock(app: &App) -> Check {
    const NAME: &str = "clock";
    let what_to_do = "set the machine's clock (timedatectl set-ntp true); deadlines are in its time";
    let now = app.orchestrator.now();
    if now.as_millis() < CLOCK_MIN {
        return failed(NAME, format!("the clock says {now}: certificates and deadlines make no sense"), what_to_do);
    }
    let store = app.orchestrator.store();
    let newest = async {
        let last = store.last_seq().await.ok()?;
        store.journal(&JournalQuery::after(last.saturating_sub(1), 1)).await.ok()?.pop()
    };
    match timeout(ANSWER_MAX, newest).await {
        Ok(Some(entry)) if entry.at.since(now) > CLOCK_BEHIND_MAX => warning(
            NAME,
            format!("the clock says {now}, and the journal was last written at {}: it went back", entry.at),
            what_to_do,
        ),
        // A store that does not answer has a check of its own.
        _ => ok(NAME),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_runs_full_is_told_before_it_is() {
        assert_eq!(room(100 << 30, "").state, CheckState::Ok);
        assert_eq!(room(DISK_WARNED - 1, "").state, CheckState::Warning);
        assert_eq!(room(DISK_FAILED - 1, "").state, CheckState::Failed);
    }

    #[test]
    fn strangers_are_told_names_and_states_alone() {
        let report = Report::of(vec![
            warning("disk", "1 MiB at /srv/secret".to_owned(), "look"),
            failed("store", "/srv/secret is read-only".to_owned(), "mount it"),
        ]);
        assert!(!report.ready);
        assert_eq!(report.first_failure().as_deref(), Some("/srv/secret is read-only"));
        assert_eq!(report.notices().len(), 1, "a warning is no banner");
        let told = serde_json::to_string(&report.for_strangers()).unwrap();
        insta::assert_snapshot!(told, @r#"{"ready":false,"checks":[{"name":"disk","state":"warning"},{"name":"store","state":"failed"}]}"#);
    }
}
