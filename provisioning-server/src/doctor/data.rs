//! The data directory: who may use it, what is in it, and whether it makes sense.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};
use provisioning_adapters::system::SystemClock;
use provisioning_core::model::Timestamp;
use provisioning_core::ports::Clock as _;

use super::Check;
use crate::access::TokenBook;
use crate::config::Config;
use crate::wire::upkeep::{Examined, examine_database};

/// Less room than this, in bytes, and nothing more can be written soon.
const ROOM_FAILED: u64 = 128 << 20;
/// Less room than this is too little for another image.
const ROOM_WARNED: u64 = 2 << 30;
/// How far the journal may lie ahead of the clock: clocks are set by moments.
const AHEAD_MAX: Duration = Duration::from_secs(120);
/// No clock that is right says less: 2025-01-01.
const CLOCK_MIN_MILLIS: i64 = 1_735_689_600_000;
/// What a sealing key measures, in bytes.
const KEY_BYTES: u64 = 32;

/// All checks, and what was found in the database if it could be read.
pub(super) async fn checks(config: &Config, server: Option<i32>) -> (Vec<Check>, Option<Examined>) {
    let dir = config.server.data_dir.clone();
    let looked = tokio::task::spawn_blocking(move || look(&dir, server)).await;
    looked.unwrap_or_else(|error| {
        (vec![Check::failed("data-directory", error.to_string(), "run provisioning doctor again")], None)
    })
}

fn look(dir: &Path, server: Option<i32>) -> (Vec<Check>, Option<Examined>) {
    if !dir.exists() {
        let found = format!("{} is not there yet", dir.display());
        let what_to_do = "start the server: it makes it; or mend server.data_dir, if there should be one";
        return (vec![Check::warning("data-directory", found, what_to_do), clock(None)], None);
    }
    let mut checks = vec![directory(dir, server), room(dir)];
    let (check, found) = database(&dir.join("provisioning.db"));
    checks.extend([check, sealing_key(&dir.join("vault.key"), found.as_ref()), tokens(&dir.join("tokens.json"))]);
    checks.push(clock(found.as_ref().and_then(|found| found.latest)));
    (checks, found)
}

fn directory(dir: &Path, server: Option<i32>) -> Check {
    const NAME: &str = "data-directory";
    let shown = dir.display();
    let metadata = match std::fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) => return Check::failed(NAME, format!("{shown}: {error}"), "mend server.data_dir"),
    };
    if !metadata.is_dir() {
        return Check::failed(NAME, format!("{shown} is no directory"), "mend server.data_dir, or move the file away");
    }
    let own = geteuid();
    if !own.is_root() && metadata.uid() != own.as_raw() {
        let found = format!("{shown} belongs to the user with id {}, and this is {own}", metadata.uid());
        return Check::failed(NAME, found, "run this, and the server, as the directory's owner");
    }
    if let Err(errno) = access(dir, AccessFlags::W_OK | AccessFlags::X_OK) {
        let what_to_do = format!(
            "let its owner write to it (chmod 700 {shown}), and see that its file system is not mounted read-only"
        );
        return Check::failed(NAME, format!("{shown} cannot be written to: {errno}"), what_to_do);
    }
    if let Some(stranger) = foreign_file(dir, metadata.uid()) {
        let found = format!("{stranger} belongs to another user than {shown}, so that the server cannot write to it");
        return Check::failed(NAME, found, format!("chown -R --reference={shown} {shown}"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let found = format!("{shown} is open to other users of this machine");
        return Check::warning(NAME, found, format!("chmod 700 {shown}; the next start of the server does it, too"));
    }
    let used = server.map_or_else(|| "no server runs on it".to_owned(), |pid| format!("process {pid} serves from it"));
    Check::ok(NAME, format!("{shown}, {used}"))
}

/// A file that a command of another user has made, such as root's.
fn foreign_file(dir: &Path, owner: u32) -> Option<String> {
    let files =
        ["provisioning.db", "provisioning.db-wal", "provisioning.db-shm", "vault.key", "tokens.json", "lock", "images"];
    let foreign = |file: &&str| std::fs::symlink_metadata(dir.join(file)).is_ok_and(|found| found.uid() != owner);
    files.into_iter().find(foreign).map(str::to_owned)
}

fn room(dir: &Path) -> Check {
    const NAME: &str = "disk-space";
    let what_to_do = "remove images that are no longer needed, shorten retention, or give server.data_dir more room";
    match statvfs(dir) {
        Err(errno) => Check::failed(NAME, format!("{}: {errno}", dir.display()), what_to_do),
        Ok(found) => {
            let free = found.blocks_available().saturating_mul(found.fragment_size());
            judge_room(free, found.files() > 0 && found.files_available() == 0, what_to_do)
        }
    }
}

fn judge_room(free: u64, is_out_of_files: bool, what_to_do: &str) -> Check {
    const NAME: &str = "disk-space";
    let found = format!("{} MiB are left for the data", free >> 20);
    if is_out_of_files {
        return Check::failed(NAME, "the file system can hold no more files", what_to_do);
    }
    if free < ROOM_FAILED {
        Check::failed(NAME, found, what_to_do)
    } else if free < ROOM_WARNED {
        Check::warning(NAME, found, what_to_do)
    } else {
        Check::ok(NAME, found)
    }
}

fn database(path: &Path) -> (Check, Option<Examined>) {
    const NAME: &str = "database";
    let shown = path.display();
    let mode = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let check = Check::warning(NAME, format!("{shown} is not there yet"), "start the server: it makes it");
            return (check, None);
        }
        Err(error) => return (Check::failed(NAME, format!("{shown}: {error}"), "see who may read it"), None),
        Ok(metadata) => metadata.permissions().mode(),
    };
    let found = match examine_database(path) {
        Ok(found) => found,
        Err(error) => return (Check::failed(NAME, format!("{shown}: {error}"), "see who may read it"), None),
    };
    let restore = "stop the server and go back to the last backup: provisioning restore FILE";
    let check = if found.is_foreign {
        Check::failed(NAME, format!("{shown} is no database of this server"), restore)
    } else if let Some(damage) = &found.damage {
        Check::failed(NAME, format!("{shown} is damaged: {damage}"), restore)
    } else if found.is_newer() {
        let text =
            format!("{shown} has version {}, and this release knows versions up to {}", found.version, found.known);
        let what_to_do = "install the release that wrote it, or a later one; or restore the backup that was made beside it \
                          before it was changed (provisioning.db.before-v…)";
        Check::failed(NAME, text, what_to_do)
    } else if mode & 0o200 == 0 {
        Check::failed(NAME, format!("{shown} is read-only"), format!("chmod 600 {shown}"))
    } else if mode & 0o077 != 0 {
        Check::warning(NAME, format!("{shown} can be read by other users"), format!("chmod 600 {shown}"))
    } else if found.version < i64::from(found.known) {
        Check::ok(NAME, format!("{shown}, of version {}: the next start raises it to {}", found.version, found.known))
    } else {
        Check::ok(NAME, format!("{shown}, of version {}, is whole", found.version))
    };
    let is_usable = !found.is_foreign && found.damage.is_none() && !found.is_newer();
    (check, is_usable.then_some(found))
}

fn sealing_key(path: &Path, database: Option<&Examined>) -> Check {
    const NAME: &str = "sealing-key";
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match database.map_or(0, |database| database.sealed_keys) {
                0 => Check::ok(NAME, format!("{shown} is not there, and nothing is sealed: the next start makes it")),
                sealed => Check::failed(
                    NAME,
                    format!("{shown} is not there, and {sealed} one-time keys are sealed with it"),
                    "put the file back, if you have it; else rebuild the hosts that are being provisioned: their keys are lost",
                ),
            };
        }
        Err(error) => return Check::failed(NAME, format!("{shown}: {error}"), "see who may read it"),
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.len() != KEY_BYTES {
        let found = format!("{shown} has {} bytes and not {KEY_BYTES}", metadata.len());
        return Check::failed(NAME, found, "put the right file there; or remove it, if no host is being provisioned");
    }
    if mode & 0o077 != 0 {
        let found = format!("{shown} has mode {mode:04o}: others can read it, and the server refuses to start");
        return Check::failed(NAME, found, format!("chmod 600 {shown}"));
    }
    if let Err(error) = std::fs::File::open(path) {
        return Check::failed(NAME, format!("{shown}: {error}"), "see who may read it");
    }
    Check::ok(NAME, format!("{shown}, for its owner alone"))
}

fn tokens(path: &Path) -> Check {
    const NAME: &str = "tokens";
    let shown = path.display();
    match TokenBook::open(path.to_owned()) {
        Err(error) => {
            let what_to_do = "put the file back from a backup; or remove it: the next start makes a token and shows it";
            Check::failed(NAME, provisioning_core::ports::chain(&error), what_to_do)
        }
        Ok(book) => {
            let mode = std::fs::metadata(path).map_or(0o600, |found| found.permissions().mode());
            if mode & 0o022 != 0 {
                let found = format!("{shown} can be changed by other users, who could let themselves in");
                return Check::failed(NAME, found, format!("chmod 600 {shown}"));
            }
            let now = SystemClock.now();
            let alive = book.list().iter().filter(|row| row.is_alive(now)).count();
            Check::ok(NAME, format!("{alive} operators' tokens are in force"))
        }
    }
}

/// Deadlines and certificates are in the machine's time.
fn clock(latest: Option<Timestamp>) -> Check {
    judge_clock(SystemClock.now(), latest)
}

fn judge_clock(now: Timestamp, latest: Option<Timestamp>) -> Check {
    const NAME: &str = "clock";
    let what_to_do = "set the machine's clock: timedatectl set-ntp true";
    if now.as_millis() < CLOCK_MIN_MILLIS {
        return Check::failed(NAME, format!("the clock says {now}"), what_to_do);
    }
    match latest {
        Some(latest) if latest.since(now) > AHEAD_MAX => {
            let found = format!("the clock says {now}, and the journal has an entry of {latest}: it went back");
            Check::failed(NAME, found, what_to_do)
        }
        _ => Check::ok(NAME, now.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_disk_is_told_before_it_is_full() {
        let state = |free, out| judge_room(free, out, "make room").state;
        assert_eq!(
            [state(9 << 30, false), state(1 << 30, false), state(1 << 20, false)],
            [State::Ok, State::Warning, State::Failed]
        );
        assert_eq!(state(9 << 30, true), State::Failed);
    }

    #[test]
    fn a_clock_that_went_back_is_told_by_the_journal() {
        let at = |seconds: i64| Timestamp::from_millis(1_790_000_000_000 + seconds * 1_000);
        assert_eq!(judge_clock(at(0), Some(at(60))).state, State::Ok);
        assert_eq!(judge_clock(at(0), Some(at(600))).state, State::Failed);
        assert_eq!(judge_clock(Timestamp::from_millis(0), None).state, State::Failed);
    }
}
