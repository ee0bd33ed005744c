//! Why an operation failed: our own data, kept in the journal, readable by the next version.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an operation ended without reaching ready. Variants are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum FailureReason {
    /// The leg took longer than its time-out allows.
    DeadlinePassed {
        /// What the last try said, when something was being tried.
        last_error: Option<String>,
    },
    /// An operator cancelled it.
    Cancelled,
    /// The host reported no SSH host key that could be pinned.
    NoHostKey,
    /// The host showed another SSH host key than it had reported.
    HostKeyMismatch,
    /// The one-time key is gone, so the host cannot be reached.
    KeyLost,
    /// Another member of the cluster has the host's name.
    NameTaken {
        /// The name.
        node: String,
    },
    /// `pvecm add` ended and the node is no member.
    JoinFailed {
        /// Its last words.
        said: String,
    },
    /// The cluster may count the node as a member although it is none.
    HalfJoined {
        /// The node's name in the cluster.
        node: String,
        /// Its last words.
        said: String,
    },
    /// `pvecm add` ended early, and yet the node is a member.
    JoinUnfinished {
        /// Its last words.
        said: String,
    },
    /// An existing member of the cluster cannot be asked for a proof of the membership.
    NoWitness {
        /// What stands in the way.
        said: String,
    },
    /// After the removal the one-time key still opened the host.
    KeyStillOpens,
    /// The inventory service refused the host.
    InventoryRefused {
        /// What it said.
        said: String,
    },
    /// The server was restored from a backup, which holds no keys, while the operation ran in it.
    Restored,
    /// Something on the host went another way than a Proxmox node's would.
    Unexpected {
        /// What.
        said: String,
    },
}

impl FailureReason {
    /// The reason's stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::Cancelled => "cancelled",
            Self::NoHostKey => "no_host_key",
            Self::HostKeyMismatch => "host_key_mismatch",
            Self::KeyLost => "key_lost",
            Self::NameTaken { .. } => "name_taken",
            Self::JoinFailed { .. } => "join_failed",
            Self::HalfJoined { .. } => "half_joined",
            Self::JoinUnfinished { .. } => "join_unfinished",
            Self::NoWitness { .. } => "no_witness",
            Self::KeyStillOpens => "key_still_opens",
            Self::InventoryRefused { .. } => "inventory_refused",
            Self::Restored => "restored",
            Self::Unexpected { .. } => "unexpected",
        }
    }

    /// What a person can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::DeadlinePassed { .. } => {
                "look at the machine's console; when it is well, rebuild it, or raise the leg's entry under timeouts".into()
            }
            Self::Cancelled => "rebuild it when you want it".into(),
            Self::NoHostKey => "look at the webhook under artefacts: it lists no ed25519 or ecdsa host key; rebuild".into(),
            Self::HostKeyMismatch => {
                "another machine answers at the host's address, or somebody sits in between: check the address, then rebuild"
                    .into()
            }
            Self::KeyLost => "rebuild: the host's one-time key cannot be had again".into(),
            Self::NameTaken { node } => {
                format!("if the member is an old life of this host, run `pvecm delnode {node}` on a member, then resume")
            }
            Self::JoinFailed { .. } => "mend what pvecm complains of, then resume: no reinstall is needed".into(),
            Self::HalfJoined { node, .. } => {
                format!(
                    "run `pvecm delnode {node}` on a quorate member, then rebuild; a cluster of one member has lost its \
                     quorum by this: run `pvecm expected 1` there first"
                )
            }
            Self::JoinUnfinished { .. } => {
                "run `pvecm updatecerts` on the node, look at `pvecm status` there, then resume: no reinstall is needed".into()
            }
            Self::NoWitness { .. } => {
                "mend proxmox.api_token or proxmox.join_fingerprint and restart the server, then resume: no reinstall is needed"
                    .into()
            }
            Self::KeyStillOpens => {
                "log in at the host's console and remove the one-time key from every authorized_keys file and from whatever \
                 brings it back, then resume"
                    .into()
            }
            Self::InventoryRefused { .. } => "mend the entry or the request template of the inventory service, then resume".into(),
            Self::Restored => {
                "look at what the machine does now; if it is no working node, rebuild it: its one-time key is in no backup".into()
            }
            Self::Unexpected { .. } => "read the join transcript under artefacts, then resume or rebuild".into(),
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeadlinePassed { last_error: None } => f.write_str("the time for this stage ran out"),
            Self::DeadlinePassed { last_error: Some(last) } => {
                write!(f, "the time for this stage ran out; the last try said: {last}")
            }
            Self::Cancelled => f.write_str("cancelled by an operator"),
            Self::NoHostKey => f.write_str("the host reported no SSH host key to pin"),
            Self::HostKeyMismatch => f.write_str("the host showed another SSH host key than it had reported"),
            Self::KeyLost => f.write_str("the one-time key is gone"),
            Self::NameTaken { node } => write!(f, "the cluster has another member named {node}"),
            Self::JoinFailed { said } => write!(f, "the join failed: {said}"),
            Self::HalfJoined { node, said } => write!(f, "{node} may stand half-joined in the cluster: {said}"),
            Self::JoinUnfinished { said } => write!(f, "the node is a member, but its join ended early: {said}"),
            Self::NoWitness { said } => write!(f, "no member of the cluster can confirm the membership: {said}"),
            Self::KeyStillOpens => f.write_str("the one-time key still opens the host after its removal"),
            Self::InventoryRefused { said } => write!(f, "the inventory service refused the host: {said}"),
            Self::Restored => f.write_str("the server was restored from a backup while the operation ran in it"),
            Self::Unexpected { said } => write!(f, "unexpected: {said}"),
        }
    }
}
