//! One try to bring a host to ready.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{HostId, ImageId, OperationId};
use super::net::SshPublicKey;
use super::server_type::ServerType;
use super::time::Timestamp;
use super::token::BootToken;

/// What an operation was started with; none of it changes while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// The host.
    pub host: HostId,
    /// The image that is installed.
    pub image: ImageId,
    /// The server type as it was when the operator confirmed.
    pub server_type: Arc<ServerType>,
    /// What machines show to be served. Not serialised: a store keeps it in a column of its own.
    pub token: BootToken,
    /// The one-time key's public half; the private one lies sealed in the vault.
    pub public_key: SshPublicKey,
    /// When it was started.
    pub started_at: Timestamp,
}

/// What an operation leaves to look at, with secrets masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtefactKind {
    /// The iPXE script as served.
    BootScript,
    /// The installer's request.
    SystemInfo,
    /// The answer file as served.
    Answer,
    /// The first-boot script as served.
    FirstBootScript,
    /// The webhook's body.
    InstallReport,
    /// Commands and output of the SSH session.
    JoinTranscript,
    /// The phone-home's body.
    PhoneHome,
    /// The last request for an answer file that was refused.
    RefusedRequest,
    /// What its author asked for, under which key: a repeat of the same request is recognised by it.
    Request,
}

impl ArtefactKind {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::BootScript,
        Self::SystemInfo,
        Self::Answer,
        Self::FirstBootScript,
        Self::InstallReport,
        Self::JoinTranscript,
        Self::PhoneHome,
        Self::RefusedRequest,
        Self::Request,
    ];

    /// Its name in the API and in stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BootScript => "boot_script",
            Self::SystemInfo => "system_info",
            Self::Answer => "answer",
            Self::FirstBootScript => "first_boot_script",
            Self::InstallReport => "install_report",
            Self::JoinTranscript => "join_transcript",
            Self::PhoneHome => "phone_home",
            Self::RefusedRequest => "refused_request",
            Self::Request => "request",
        }
    }
}

/// A text an operation left: what a machine was given, or what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// What it is.
    pub kind: ArtefactKind,
    /// The latest text, secrets masked.
    pub text: String,
    /// When it was made.
    pub at: Timestamp,
}
