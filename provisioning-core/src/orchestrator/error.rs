//! What operators and machines are told when it cannot be done.

use crate::machine::Phase;
use crate::model::{
    HardwareId, HostId, Hostname, ImageId, MacAddr, OperationId, ReportError, ServerTypeKey, Timestamp,
};
use crate::ports::{Revision, StoreError, VaultError};

/// Why an operator's request was not carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// No such host.
    #[error("host {0} is not registered")]
    NoSuchHost(HostId),
    /// No such image.
    #[error("there is no image {0}")]
    NoSuchImage(ImageId),
    /// No machine with this address is among the discovered ones.
    #[error("no machine with the address {0} was discovered, or it belongs to a host since")]
    NotDiscovered(MacAddr),
    /// No image was imported yet.
    #[error("no image was imported yet")]
    NoImage,
    /// No such server type.
    #[error("there is no server type {key}")]
    NoSuchServerType {
        /// The key that was given.
        key: ServerTypeKey,
        /// The keys that exist.
        known: Vec<ServerTypeKey>,
    },
    /// A host needs at least one NIC.
    #[error("a host has at least one MAC address")]
    NoMac,
    /// A MAC address is given twice.
    #[error("the MAC address {0} is given twice")]
    MacTwice(MacAddr),
    /// Another host has the name.
    #[error("the name {name} is taken by host {by}")]
    NameTaken {
        /// The name.
        name: Hostname,
        /// Whose it is.
        by: HostId,
    },
    /// Another host has the address.
    #[error("the MAC address {mac} belongs to host {by}")]
    MacTaken {
        /// The address.
        mac: MacAddr,
        /// Whose it is.
        by: HostId,
    },
    /// An operation runs on the host.
    #[error("operation {operation} is running, the host is {phase}")]
    Busy {
        /// The operation.
        operation: OperationId,
        /// The host's phase.
        phase: Phase,
    },
    /// A join that was given up may still run on the host; whoever touches it now could make two joins overlap.
    #[error("a join that was given up may still run on the host until {until}")]
    JoinMayRun {
        /// When it must have ended.
        until: Timestamp,
    },
    /// No operation runs on the host.
    #[error("no operation is running, the host is {phase}")]
    NotRunning {
        /// The host's phase.
        phase: Phase,
    },
    /// The operation cannot be resumed.
    #[error("the operation cannot be resumed: {why}")]
    NotResumable {
        /// Why not.
        why: &'static str,
    },
    /// The host was ready before: a rebuild wipes it, and asks for its name.
    #[error("the host was ready before; to wipe it, confirm with its name")]
    NotConfirmed {
        /// The name that confirms.
        name: Hostname,
        /// What was given instead.
        given: Option<String>,
    },
    /// The host cannot be installed as it is configured.
    #[error("the host cannot be installed: {}", faults.join("; "))]
    NotInstallable {
        /// Every fault that was found.
        faults: Vec<String>,
    },
    /// Somebody else changed the host meanwhile.
    #[error("the host is at revision {found:?}, not {expected:?}")]
    Changed {
        /// What the caller had seen.
        expected: Revision,
        /// What is there.
        found: Revision,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The vault failed.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchHost(host) => Self::NoSuchHost(host),
            StoreError::NoSuchImage(image) => Self::NoSuchImage(image),
            StoreError::NameTaken { name, by } => Self::NameTaken { name, by },
            StoreError::MacTaken { mac, by } => Self::MacTaken { mac, by },
            other => Self::Store(other),
        }
    }
}

/// Why a machine's token opens nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not the form of a token, or nobody's.
    #[error("the token is not known")]
    Unknown,
    /// Its operation has ended.
    #[error("the token's operation {0} has ended")]
    Ended(OperationId),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Why an installer got no answer file. The machine stays at a debug shell, so an operator must see it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerRefusal {
    /// The request cannot be read.
    #[error("the request cannot be read")]
    Request(#[from] ReportError),
    /// The token opens nothing.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No armed host has any of these addresses.
    #[error("no armed host has any of the addresses {}", list(macs))]
    NoHost {
        /// The request's addresses.
        macs: Vec<MacAddr>,
    },
    /// Several hosts have one of these addresses.
    #[error("the addresses belong to several hosts: {}", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    SeveralHosts {
        /// Their names.
        names: Vec<Hostname>,
    },
    /// The token is one host's, the addresses are not.
    #[error("the token is {host}'s, but none of the addresses {} is", list(macs))]
    ForeignMacs {
        /// The token's host.
        host: Hostname,
        /// The request's addresses.
        macs: Vec<MacAddr>,
    },
    /// The machine is another one than at the host's last installation; an operator has to confirm it.
    #[error("{host} was machine {known} at its last installation, and this is {found}; an operator has to accept it")]
    OtherHardware {
        /// The host.
        host: Hostname,
        /// The machine that was installed last.
        known: HardwareId,
        /// The machine that asks.
        found: HardwareId,
    },
    /// Another product's installer asks.
    #[error("the installer is of product {product:?}, not pve")]
    ForeignProduct {
        /// What it says it is.
        product: String,
    },
    /// The operation handed out its answer before: a second installer would write the disks again.
    #[error("{host} was installed by this operation already; rebuild it to install it again")]
    AlreadyInstalled {
        /// The host.
        host: Hostname,
    },
    /// No operation runs on the host.
    #[error("{host} is not armed; rebuild it to install it")]
    NotArmed {
        /// The host.
        host: Hostname,
    },
    /// The answer cannot be written for this host and release.
    #[error("no answer file can be written for {host}: {problem}")]
    NotInstallable {
        /// The host.
        host: Hostname,
        /// Why not.
        problem: String,
    },
    /// The store failed for longer than an installer waits.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

fn list(macs: &[MacAddr]) -> String {
    macs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a machine's report was refused. Reports of known machines never are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportRefusal {
    /// No such host.
    #[error("host {0} is not registered")]
    NoSuchHost(HostId),
    /// The token is not one of this host's operations.
    #[error("the token is not known for this host")]
    UnknownToken,
    /// The store failed for longer than a machine waits.
    #[error("the store failed")]
    Store(#[from] StoreError),
}
