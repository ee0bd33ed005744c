//! Judges answer files as Proxmox' own installer of a given release would: what it refuses is refused here, in words
//! that name the key.
//!
//! Written from `reference/answer-file.md` alone, without a look at the server's renderer, so that the two can
//! disagree. Where a release would accept a file and abort later on the target for a reason that stands in the file,
//! the file is refused here too.

mod disk;
mod duplicates;
mod extras;
mod global;
mod network;
mod places;
mod table;

use provisioning_core::model::Release;
use serde_json::Value;

pub use disk::{DiskPick, DiskPlan};
pub use extras::{FirstBootPlan, FirstBootSource, Ordering, WebhookPlan};
pub use global::{FqdnPlan, RebootMode};
pub use network::{NetworkPlan, StaticPlan};
use table::Table;
pub use table::glob_matches;

/// The form that an answer came in, by its `Content-Type` (`reference/fetch-answer.md`, The response).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// TOML, which all releases read.
    Toml,
    /// JSON, from 9.2 on.
    Json,
}

/// What an answer makes the installer do.
#[derive(Clone, Debug, PartialEq)]
pub struct InstallPlan {
    /// The installed system's name.
    pub fqdn: FqdnPlan,
    /// Lines of root's authorized_keys.
    pub root_ssh_keys: Vec<String>,
    /// Whether a failed installation reboots by itself, once the flag is set.
    pub reboot_on_error: bool,
    /// What follows a successful installation.
    pub reboot_mode: RebootMode,
    /// Address and NIC.
    pub network: NetworkPlan,
    /// Disks and file system.
    pub disks: DiskPlan,
    /// Whom to tell.
    pub webhook: Option<WebhookPlan>,
    /// What runs at the first boot.
    pub first_boot: Option<FirstBootPlan>,
}

/// Why the installer refuses an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct AnswerError {
    /// The key at fault, such as `global.fqdn`, or `answer` for the whole.
    pub at: String,
    /// What is wrong with it.
    pub problem: String,
}

impl AnswerError {
    fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into() }
    }
}

/// Judges the answer by the rules of `release` and says what the installer is going to do.
///
/// # Errors
/// The first fault that is found.
pub fn judge(text: &[u8], format: AnswerFormat, release: Release) -> Result<InstallPlan, AnswerError> {
    if release < Release::new(8, 2) {
        return Err(AnswerError::new("answer", format!("release {release} has no automated installation")));
    }
    let text = std::str::from_utf8(text).map_err(|_| AnswerError::new("answer", "is not UTF-8"))?;
    let mut root = Table::root(tree(text, format, release)?, release)?;
    let plan = read(&mut root)?;
    root.finish()?;
    Ok(plan)
}

fn read(root: &mut Table) -> Result<InstallPlan, AnswerError> {
    let global = global::read(root.required_table("global")?)?;
    let network = network::read(root.required_table("network")?)?;
    let disks = disk::read(root.required_table("disk-setup")?)?;
    let webhook =
        root.table_since("post-installation-webhook", Release::new(8, 3))?.map(extras::webhook).transpose()?;
    let first_boot = root.table_since("first-boot", Release::new(8, 3))?.map(extras::first_boot).transpose()?;
    Ok(InstallPlan {
        fqdn: global.fqdn,
        root_ssh_keys: global.root_ssh_keys,
        reboot_on_error: global.reboot_on_error,
        reboot_mode: global.reboot_mode,
        network,
        disks,
        webhook,
        first_boot,
    })
}

/// The answer as a tree, whichever form it came in.
fn tree(text: &str, format: AnswerFormat, release: Release) -> Result<Value, AnswerError> {
    match format {
        AnswerFormat::Json if release < Release::new(9, 2) => {
            Err(AnswerError::new("answer", format!("is JSON, which release {release} reads as TOML and refuses")))
        }
        AnswerFormat::Json => duplicates::strict_json(text).map_err(|e| AnswerError::new("answer", e.to_string())),
        AnswerFormat::Toml => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let table: toml::Table = toml::from_str(text).map_err(|e| AnswerError::new("answer", e.to_string()))?;
            serde_json::to_value(table).map_err(|e| AnswerError::new("answer", e.to_string()))
        }
    }
}
