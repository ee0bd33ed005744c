//! The cluster as one of its members sees it: what the joining node's own word is held against.

use std::net::IpAddr;

use async_trait::async_trait;

use super::error::{BoxError, Retry};
use crate::model::{CertFingerprint, Secret};

/// The cluster, as a member tells it (`reference/cluster-join.md`, "Verifying membership").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The cluster's name; `None` when the member is a standalone host, and there is nothing to join.
    pub name: Option<String>,
    /// Whether more than half of the votes are online: without that nothing can be written, and nobody can join.
    pub quorate: bool,
    /// All nodes that the cluster knows, dead ones too.
    pub nodes: Vec<ClusterNode>,
}

/// A node that the cluster knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its name, as the cluster has it.
    pub name: String,
    /// Whether it takes part now.
    pub online: bool,
    /// Its address, where the cluster knows one.
    pub ip: Option<IpAddr>,
}

impl ClusterStatus {
    /// The node of this name; the cluster compares names as they are written, and ours are in lower case.
    pub fn node(&self, name: &str) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.name.eq_ignore_ascii_case(name))
    }

    /// Whether the node is in the cluster, online, and the cluster quorate.
    pub fn confirms(&self, name: &str) -> bool {
        self.name.is_some() && self.quorate && self.node(name).is_some_and(|node| node.online)
    }
}

/// An existing member of the cluster that hosts join, asked through its API.
///
/// # Contract
/// - `the_cluster_is_told_as_the_member_sees_it`: its quorum and every node, with its name and whether it is online.
/// - `a_lone_member_has_no_cluster`: a standalone host is told without a name of a cluster.
/// - `whoever_shows_another_certificate_learns_nothing`: `Untrusted`, and neither token nor password was sent.
/// - `refused_credentials_are_never_tried_again`: `Refused`, for the status and for the ticket.
/// - `a_ticket_is_what_the_member_gave`: for the right password, word for word.
/// - `a_silent_member_is_tried_later`.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ClusterMember: Send + Sync {
    /// The cluster as the member sees it now; `None` when there is nobody to ask, because no API token is configured.
    async fn status(&self) -> Result<Option<ClusterStatus>, ClusterMemberError>;
    /// Logs in as `root@pam`, and gives the ticket: it stands for the password for two hours, on this cluster only.
    async fn ticket(&self, password: &Secret<String>) -> Result<Secret<String>, ClusterMemberError>;
}

/// Why the member did not tell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterMemberError {
    /// Whoever answers shows another certificate than the pinned one, and was told nothing.
    #[error("it shows the certificate {shown}, and not the one of proxmox.join_fingerprint")]
    Untrusted {
        /// The certificate that was shown.
        shown: CertFingerprint,
    },
    /// The member understood, and said no.
    #[error("it refused: {said}")]
    Refused {
        /// What it said.
        said: String,
    },
    /// Nobody answered, or nothing that can be read.
    #[error("it did not answer: {said}")]
    Unavailable {
        /// What went wrong, in an operator's words.
        said: String,
        /// The cause.
        #[source]
        source: Option<BoxError>,
    },
}

impl ClusterMemberError {
    /// Whether trying again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Untrusted { .. } | Self::Refused { .. } => Retry::Never,
            Self::Unavailable { .. } => Retry::Later,
        }
    }
}

/// For sites that have configured no way to ask: the new node's own word decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct NobodyToAsk;

#[async_trait]
impl ClusterMember for NobodyToAsk {
    async fn status(&self) -> Result<Option<ClusterStatus>, ClusterMemberError> {
        Ok(None)
    }

    async fn ticket(&self, _: &Secret<String>) -> Result<Secret<String>, ClusterMemberError> {
        Err(ClusterMemberError::Refused { said: "there is no member that could be asked for a ticket".into() })
    }
}
