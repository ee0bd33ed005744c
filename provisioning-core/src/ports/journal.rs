//! The journal: the past, append-only, in one order for all hosts.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::machine::{BootAnswer, EventKind, Ignored, Phase, WorkKind};
use crate::model::{HardwareId, HostId, Hostname, ImageId, MacAddr, OperationId, Release, Timestamp};
use crate::netboot::{ClientArch, Sighted};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place: 1, 2, 3 … without gaps that a reader could take for a loss. Also the SSE event id.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The host it is about.
    pub host: Option<HostId>,
    /// The operation it belongs to.
    pub operation: Option<OperationId>,
    /// Who brought it about.
    pub source: Source,
    /// What happened.
    pub what: Happening,
}

/// A line before the store has given it its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// When it happened.
    pub at: Timestamp,
    /// The host it is about.
    pub host: Option<HostId>,
    /// The operation it belongs to.
    pub operation: Option<OperationId>,
    /// Who brought it about.
    pub source: Source,
    /// What happened.
    pub what: Happening,
}

impl NewEntry {
    /// The entry at its place.
    pub fn at_place(self, seq: u64) -> JournalEntry {
        let Self { at, host, operation, source, what } = self;
        JournalEntry { seq, at, host, operation, source, what }
    }
}

/// Who brought something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A person or program with operator's rights.
    Operator,
    /// Netbooting firmware.
    Firmware,
    /// The boot server, by its log.
    BootServer,
    /// The Proxmox installer.
    Installer,
    /// The installed host.
    Host,
    /// Our SSH session on the host.
    Ssh,
    /// The inventory service.
    Inventory,
    /// We ourselves: deadlines, the outbox.
    Provisioning,
}

/// What a machine asked or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineRequest {
    /// Its installer asked for the answer file.
    Answer,
    /// Its installer told of the installation.
    InstallReport,
    /// Its first boot phoned home.
    PhoneHome,
}

/// What happened. Variants are only ever added; no secret ever stands in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happening {
    /// A host was registered.
    HostRegistered {
        /// Its name then.
        name: Hostname,
    },
    /// An operator changed a host.
    HostEdited {
        /// Its name since.
        name: Hostname,
    },
    /// A host was removed.
    HostRemoved {
        /// Its last name.
        name: Hostname,
    },
    /// An event was applied and changed the state: folding these through `step` gives the host's row.
    Moved {
        /// What happened.
        event: EventKind,
        /// The phase before.
        from: Phase,
        /// The phase since.
        to: Phase,
    },
    /// An event changed nothing.
    EventIgnored {
        /// What happened.
        event: EventKind,
        /// Why it changed nothing.
        why: Ignored,
        /// The phase, before and since.
        phase: Phase,
    },
    /// An event that cannot happen in this phase; nothing changed.
    EventRefused {
        /// What was reported.
        event: EventKind,
        /// The phase.
        phase: Phase,
    },
    /// A machine asked what to boot.
    Booted {
        /// The NIC it asked with.
        mac: MacAddr,
        /// What it was told.
        answer: BootAnswer,
        /// From where it asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
        /// What it calls itself, such as `iPXE/1.21.1`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    /// The boot server saw a host's NIC on its way, or did something for it.
    Sighted {
        /// The NIC.
        mac: MacAddr,
        /// Its address, as far as it was known.
        address: Option<Ipv4Addr>,
        /// What was seen.
        what: Sighted,
    },
    /// A machine was seen whose address belongs to no host.
    MachineDiscovered {
        /// The NIC.
        mac: MacAddr,
        /// Its address, as far as it was known.
        address: Option<IpAddr>,
        /// What it can boot, as far as it was known.
        arch: Option<ClientArch>,
    },
    /// An operator made a host of a discovered machine.
    MachineAdopted {
        /// The NIC.
        mac: MacAddr,
        /// The host's name.
        name: Hostname,
    },
    /// An operator does not want to see a discovered machine.
    MachineDismissed {
        /// The NIC.
        mac: MacAddr,
    },
    /// An installer asked for an answer file and was refused.
    AnswerDenied {
        /// From where.
        from: Option<IpAddr>,
        /// Why, in words.
        why: String,
    },
    /// A report of a machine could not be used.
    ReportUnusable {
        /// From where.
        from: Option<IpAddr>,
        /// Why, in words.
        why: String,
    },
    /// A machine's request that changed something, and where it came from. The request itself is an artefact.
    RequestFrom {
        /// What it asked or told.
        request: MachineRequest,
        /// From where.
        from: IpAddr,
    },
    /// An operator confirmed that the host is another machine now than at its last installation.
    HardwareAccepted {
        /// The new machine's id; `None` accepts whichever asks next.
        hardware_id: Option<HardwareId>,
    },
    /// Something an operator should know.
    Warning {
        /// What, in words.
        text: String,
    },
    /// Work of the outbox failed and will be tried again.
    WorkPostponed {
        /// Which.
        work: WorkKind,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong.
        error: String,
        /// When it is tried next.
        due: Timestamp,
    },
    /// The one-time key of an operation was erased from the vault.
    KeyErased,
    /// An image was imported.
    ImageImported {
        /// Its id.
        image: ImageId,
        /// Its name.
        name: String,
        /// Its release.
        release: Release,
    },
    /// An image was made the default.
    DefaultImageChosen {
        /// Its id.
        image: ImageId,
        /// Its name.
        name: String,
    },
    /// Somebody asked for a change with operator's rights, or tried to; `AuditRecord` says how it went.
    Audited(AuditRecord),
    /// An image was removed.
    ImageRemoved {
        /// Its id.
        image: ImageId,
        /// Its name.
        name: String,
    },
}

/// Who asked for what, from where, and how it went. Never a secret: tokens are told by their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Who: the name of the token or login; `None` when nobody was recognised.
    pub by: Option<String>,
    /// How they proved it.
    pub via: AccessPath,
    /// From which address; `None` over the control socket.
    pub from: Option<IpAddr>,
    /// What was asked for, in words: `rebuild a host`.
    pub action: String,
    /// What it was done to: a host's name, an image's id; empty when the action says it all.
    pub subject: String,
    /// The HTTP status that was answered.
    pub status: u16,
}

impl AuditRecord {
    /// Whether what was asked for was done.
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }
}

/// How somebody who operates has proven that they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessPath {
    /// By a bearer token.
    Token,
    /// By a session of a browser.
    Session,
    /// By a password, to open a session.
    Password,
    /// By opening the control socket.
    Control,
    /// Not at all: the server is open.
    Open,
    /// In vain.
    Nothing,
}

impl AccessPath {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Password => "password",
            Self::Control => "control",
            Self::Open => "open",
            Self::Nothing => "nothing",
        }
    }
}
