//! What a machine does, as those who stand before it see it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use provisioning_core::model::Release;

/// One thing that a machine did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    /// Which machine.
    pub host: String,
    /// How long after it was put up.
    pub at: Duration,
    /// What.
    pub event: HostEvent,
}

/// What a machine can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEvent {
    /// It starts.
    PoweredOn,
    /// Somebody pressed its button.
    Reset,
    /// It was switched off at the end of the installation.
    PoweredOff,
    /// Firmware asks for its boot script.
    BootScriptAsked {
        /// Where.
        url: String,
    },
    /// The server holds it: it asks again.
    Held {
        /// After how many seconds.
        seconds: u64,
    },
    /// The boot script printed a line.
    Echo(String),
    /// Firmware has an image in full.
    Downloaded {
        /// From where.
        url: String,
        /// Its size.
        bytes: u64,
    },
    /// Firmware gives up the network and goes on to the disk.
    NextDevice {
        /// Why.
        why: String,
    },
    /// Nothing to boot: it waits for a person.
    NoBootDevice {
        /// Why.
        why: String,
    },
    /// It hangs in a place where real machines hang: it waits for a person.
    Stuck {
        /// Why.
        why: String,
    },
    /// The automated installer runs.
    InstallerStarted {
        /// Of which release.
        release: Release,
    },
    /// It asks for its answer.
    AnswerAsked {
        /// Where.
        url: String,
    },
    /// It has an answer, and takes it.
    AnswerAccepted {
        /// The name it is to have.
        fqdn: String,
    },
    /// It has the first-boot script.
    FirstBootScriptFetched {
        /// Its size.
        bytes: usize,
    },
    /// It wipes and writes disks.
    WritingDisks {
        /// Which.
        disks: Vec<String>,
    },
    /// The disks are written.
    DisksWritten {
        /// How often they were, ever.
        installations: u32,
    },
    /// The installation is done.
    Installed {
        /// The system's name.
        fqdn: String,
    },
    /// The server took its report.
    WebhookAccepted,
    /// The installation failed; the machine starts again by itself.
    InstallationFailed {
        /// Why.
        why: String,
    },
    /// The installation failed; the machine waits for a person at a debug shell.
    DebugShell {
        /// Why.
        why: String,
    },
    /// A person typed `exit`.
    ShellLeft,
    /// The installed system is up.
    SystemBooted {
        /// Its name.
        fqdn: String,
        /// Where sshd listens.
        ssh: SocketAddr,
    },
    /// The first-boot script was not heard.
    PhoneHomeFailed {
        /// Which try, from 1.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// The first-boot script was heard and deleted itself.
    PhonedHome,
    /// The first-boot script failed; it runs again at the next boot.
    FirstBootFailed {
        /// Why.
        why: String,
    },
}

impl HostEvent {
    /// Whether a person will have to look.
    pub fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::NoBootDevice { .. }
                | Self::Stuck { .. }
                | Self::InstallationFailed { .. }
                | Self::DebugShell { .. }
                | Self::FirstBootFailed { .. }
        )
    }
}

impl fmt::Display for HostEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOn => f.write_str("powered on"),
            Self::Reset => f.write_str("reset by a person"),
            Self::PoweredOff => f.write_str("powered off"),
            Self::BootScriptAsked { url } => write!(f, "iPXE asks {url}"),
            Self::Held { seconds } => write!(f, "told to wait {seconds} s"),
            Self::Echo(text) => write!(f, "console: {text}"),
            Self::Downloaded { url, bytes } => write!(f, "downloaded {bytes} bytes from {url}"),
            Self::NextDevice { why } => write!(f, "goes on to the next boot device: {why}"),
            Self::NoBootDevice { why } => write!(f, "no bootable device: {why}"),
            Self::Stuck { why } => write!(f, "stuck: {why}"),
            Self::InstallerStarted { release } => write!(f, "installer {release} started"),
            Self::AnswerAsked { url } => write!(f, "asks for its answer at {url}"),
            Self::AnswerAccepted { fqdn } => write!(f, "takes the answer: becomes {fqdn}"),
            Self::FirstBootScriptFetched { bytes } => write!(f, "has its first-boot script ({bytes} bytes)"),
            Self::WritingDisks { disks } => write!(f, "writes {}", disks.join(", ")),
            Self::DisksWritten { installations } => write!(f, "disks written (installation {installations})"),
            Self::Installed { fqdn } => write!(f, "{fqdn} is installed"),
            Self::WebhookAccepted => f.write_str("webhook taken"),
            Self::InstallationFailed { why } => write!(f, "installation failed, starts again: {why}"),
            Self::DebugShell { why } => write!(f, "debug shell: {why}"),
            Self::ShellLeft => f.write_str("a person typed exit"),
            Self::SystemBooted { fqdn, ssh } => write!(f, "{fqdn} is up, ssh at {ssh}"),
            Self::PhoneHomeFailed { attempt, why } => write!(f, "phone-home try {attempt} failed: {why}"),
            Self::PhonedHome => f.write_str("phoned home"),
            Self::FirstBootFailed { why } => write!(f, "first-boot script failed: {why}"),
        }
    }
}
