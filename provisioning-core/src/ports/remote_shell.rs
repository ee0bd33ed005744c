//! Root's shell on a host, by the one-time key.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::error::{BoxError, Retry};
use crate::model::{Secret, SshPublicKey};

/// A key pair of one operation.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The public half; goes into the answer file.
    pub public: SshPublicKey,
    /// The private half as OpenSSH text; goes into the vault.
    pub private: Secret<String>,
}

/// A host to log in to as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address.
    pub address: IpAddr,
    /// The host keys it may show; any other is refused.
    pub host_keys: Vec<SshPublicKey>,
}

/// A command for the host's shell, and its limits.
#[derive(Clone, Debug)]
pub struct Command {
    /// What the shell reads. No secret may stand in it: other users of the host can see it.
    pub line: String,
    /// What the command reads, closed afterwards. The place for secrets.
    pub stdin: Option<Secret<String>>,
    /// How long it may take in all.
    pub time_limit: Duration,
    /// How much of each output is kept, in bytes; more is an error.
    pub output_limit_bytes: usize,
}

impl Command {
    /// A command that is quick and says little: 30 s, 256 KiB, no input.
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), stdin: None, time_limit: Duration::from_secs(30), output_limit_bytes: 256 * 1024 }
    }

    /// The same, fed from a secret.
    #[must_use]
    pub fn with_stdin(self, stdin: Secret<String>) -> Self {
        Self { stdin: Some(stdin), ..self }
    }
}

/// What a command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; 128 + n when signal n ended it.
    pub status: u32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Opens shells.
///
/// # Contract
/// - `a_pinned_host_key_is_accepted`: whichever of the target's keys it is.
/// - `any_other_host_key_is_refused`: with `HostKeyMismatch`, before a signature is made.
/// - `a_key_that_does_not_open_is_refused`: with `KeyRefused`, and only then.
/// - `a_host_that_is_not_there_is_unreachable`: within 15 s, with `Unreachable`.
/// - `the_same_seed_gives_the_same_key_pair`: and another seed another.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait RemoteShell: Send + Sync {
    /// Makes an ed25519 key pair from 32 random bytes.
    fn key_pair(&self, seed: &Secret<[u8; 32]>) -> KeyPair;
    /// Logs in as root.
    async fn open(&self, target: &Target, key: &Secret<String>) -> Result<Box<dyn Shell>, ShellError>;
}

/// A login.
///
/// # Contract
/// - `both_outputs_arrive_whole`: in their order each, to the last byte, also after the exit status.
/// - `the_exit_status_arrives`.
/// - `stdin_is_fed_and_closed`.
/// - `a_command_over_its_time_is_given_up`: with `TimedOut`.
/// - `output_over_the_limit_is_an_error`: with `TooMuchOutput`, and memory stays within the limit.
/// - `commands_follow_one_another`: a second `run` on the same login works.
/// - `a_lost_connection_is_an_error`: with `Disconnected`, never an empty success.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Shell: Send + Sync {
    /// Runs a command to its end.
    async fn run(&self, command: &Command) -> Result<Output, ShellError>;
    /// Says good-bye; errors no longer matter.
    async fn close(self: Box<Self>);
}

/// Why a login or a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// Nobody answers there, or not in time.
    #[error("no SSH server answers at {address}")]
    Unreachable {
        /// Where.
        address: IpAddr,
        /// The cause.
        #[source]
        source: Option<BoxError>,
    },
    /// The host showed another key than the pinned ones.
    #[error("the host at {address} shows another host key than it reported")]
    HostKeyMismatch {
        /// Where.
        address: IpAddr,
    },
    /// The host does not accept the one-time key.
    #[error("the host at {address} refuses the one-time key")]
    KeyRefused {
        /// Where.
        address: IpAddr,
    },
    /// The private key cannot be read.
    #[error("the one-time key cannot be read")]
    BadKey {
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Disconnected {
        /// The cause.
        #[source]
        source: Option<BoxError>,
    },
    /// The command took too long.
    #[error("the command took more than {limit:?}")]
    TimedOut {
        /// What it was allowed.
        limit: Duration,
    },
    /// The command wrote too much.
    #[error("the command wrote more than {limit_bytes} bytes")]
    TooMuchOutput {
        /// What it was allowed.
        limit_bytes: usize,
    },
}

impl ShellError {
    /// Whether trying again can help. A refused key can: sshd and the cluster file system come up in any order.
    pub fn retry(&self) -> Retry {
        match self {
            Self::HostKeyMismatch { .. } | Self::BadKey { .. } => Retry::Never,
            Self::Unreachable { .. }
            | Self::KeyRefused { .. }
            | Self::Disconnected { .. }
            | Self::TimedOut { .. }
            | Self::TooMuchOutput { .. } => Retry::Later,
        }
    }
}
