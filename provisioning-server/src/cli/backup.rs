//! `provisioning backup` and `provisioning restore`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use provisioning_adapters::system::SystemClock;
use provisioning_core::model::{Image, Timestamp};
use provisioning_core::ports::{Clock as _, HostRecord};
use serde_json::json;

use super::failure::{Failure, Trouble};
use super::table::say;
use super::{ask, table};
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError, write_private};
use crate::wire::upkeep::{
    BackupContents, BackupError, BackupNote, back_up, end_restored, examine_database, put_in_place, read_backup,
    unpack_backup,
};

pub(super) const BACKUP_HELP: &str = "A backup holds hosts, operations, the journal, the list of images, and the digests of \
operators' tokens. It holds no private key and nothing that opens one, no token of a running operation, no ISO, and not the \
configuration. It is safe to make while a server runs.

Examples:
  provisioning backup /srv/backup/provisioning-$(date +%F).backup
  provisioning backup --force latest.backup --json";

pub(super) const RESTORE_HELP: &str =
    "Stop the server first. What is there now is kept aside, beside the database. Operations \
that ran when the backup was made end as failed: their one-time keys are in no backup.

Examples:
  systemctl stop provisioning && provisioning restore provisioning-2026-11-23.backup";

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to make, for its owner alone.
    file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// What was made, as JSON, for programs.
    #[arg(long)]
    json: bool,
    /// The configuration; without it as `serve` finds it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup.
    file: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// The configuration; without it as `serve` finds it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let config = super::load(args.config.as_deref())?;
    let data_dir = config.server.data_dir.clone();
    let tokens = match std::fs::read_to_string(data_dir.join("tokens.json")) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| data_dir.join("tokens.json").display().to_string()),
    };
    let made_by = concat!("provisioning ", env!("CARGO_PKG_VERSION")).to_owned();
    let note = BackupNote { made_at: SystemClock.now(), made_by, tokens };
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("copying {wide_bar} {pos}/{len} rows {eta}")?);
    let (progress, file, force) = (bar.clone(), args.file.clone(), args.force);
    let copying = tokio::task::spawn_blocking(move || {
        back_up(&data_dir.join("provisioning.db"), &file, &note, force, &mut |done, total| {
            progress.set_length(total);
            progress.set_position(done);
        })
    });
    let made = copying.await;
    bar.finish_and_clear();
    let made = made?.map_err(|error| match &error {
        BackupError::Exists(_) => {
            let said = format!("{error}, or replace it with --force");
            anyhow::Error::from(Failure::new(Trouble::Refused, said))
        }
        _ => error.into(),
    })?;
    if args.json {
        return table::print_json(&json!({
            "file": args.file, "bytes": made.size_bytes, "rows": made.rows, "version": made.version, "running": made.running,
        }));
    }
    say(format!("{} holds {} rows in {} bytes, without keys and ISOs", args.file.display(), made.rows, made.size_bytes))
}

pub(super) async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let config = super::load(args.config.as_deref())?;
    let contents = read_backup(&args.file).map_err(|error| Failure::of_cause(Trouble::Refused, error))?;
    let data = DataDir::open(&config.server.data_dir).map_err(|error| match error {
        DataDirError::Locked { path } => {
            let said = format!("a server runs on {}: stop it first (systemctl stop provisioning)", path.display());
            anyhow::Error::from(Failure::new(Trouble::Refused, said))
        }
        other => other.into(),
    })?;
    ask::confirm(&what_will_be(&contents, &data.database()), args.yes)?;
    let aside = aside(&data.database(), SystemClock.now());
    let ended = put_back(&config, &data, &args.file, &contents, &aside).await?;
    report(&contents, &ended, &aside, &data)
}

/// What is put in place of what, in words.
fn what_will_be(contents: &BackupContents, database: &Path) -> String {
    let BackupContents { note, hosts, entries, images, running, .. } = contents;
    let (made_at, made_by, images) = (note.made_at, &note.made_by, images.len());
    let mut lines = vec![format!(
        "The backup was made at {made_at} by {made_by}: {hosts} hosts, {entries} journal entries, {images} images."
    )];
    if database.exists() {
        let latest = examine_database(database).ok().and_then(|found| found.latest);
        let latest = latest.map(|at| format!(", last written at {at},")).unwrap_or_default();
        let shown = database.display();
        lines.push(format!(
            "It takes the place of {shown}{latest} which is kept aside: what has happened since the backup is not in it."
        ));
    }
    if !running.is_empty() {
        lines.push(format!("Operations that ran then end as failed: {}.", running.join(", ")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Where the database goes that is there now.
fn aside(database: &Path, now: Timestamp) -> PathBuf {
    let digits = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).take(15).collect::<String>();
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".before-restore-{}", digits(&now.to_string())));
    name.into()
}

async fn put_back(
    config: &Config,
    data: &DataDir,
    backup: &Path,
    contents: &BackupContents,
    aside: &Path,
) -> anyhow::Result<Vec<HostRecord>> {
    let database = data.database();
    let new = data.path().join("provisioning.db.restoring");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut leftover = new.as_os_str().to_owned();
        leftover.push(suffix);
        if let Err(error) = std::fs::remove_file(&leftover)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).context("what an earlier restore has left cannot be removed");
        }
    }
    unpack_backup(backup, &new)?;
    let ended = end_restored(config, data, &new).await?;
    if let Some(tokens) = &contents.note.tokens {
        let file = data.tokens_file();
        if file.exists() {
            let mut kept = file.as_os_str().to_owned();
            kept.push(".before-restore");
            std::fs::copy(&file, &kept).context("the operators' tokens cannot be kept aside")?;
        }
        write_private(&file, tokens).with_context(|| file.display().to_string())?;
    }
    put_in_place(&new, &database, aside)?;
    Ok(ended)
}

fn report(contents: &BackupContents, ended: &[HostRecord], aside: &Path, data: &DataDir) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "restored {} hosts and {} journal entries", contents.hosts, contents.entries)?;
    for record in ended {
        writeln!(out, "  {} was being provisioned and has failed: look at it, then rebuild it", record.host.name)?;
    }
    if aside.exists() {
        writeln!(out, "  the database of before is {}", aside.display())?;
    }
    let is_missing = |image: &&Image| {
        let iso = data.path().join("images").join(format!("{}.iso", image.sha256));
        std::fs::metadata(iso).map_or(true, |found| found.len() != image.size_bytes)
    };
    for image in contents.images.iter().filter(is_missing) {
        writeln!(out, "  import its ISO again: {} (sha256 {})", image.name, image.sha256)?;
    }
    Ok(())
}
