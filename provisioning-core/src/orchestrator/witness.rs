//! An existing member of the cluster as a witness: is the cluster ready for one more node, and is the node in it now?

use super::join::{JoinTrouble, Transcript};
use crate::machine::FailureReason;
use crate::model::{Hostname, MemberAddr, Secret};
use crate::ports::{BoxError, ClusterMember, ClusterMemberError, ClusterStatus, Retry, chain};

/// The member to ask, and what the answer is held against.
pub(super) struct Witness<'a> {
    pub(super) port: &'a dyn ClusterMember,
    pub(super) member: &'a MemberAddr,
    /// The node that joined last, if that is not long ago.
    pub(super) joined_before: Option<Hostname>,
}

/// What a node finds that comes to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// The cluster is ready for it, as far as one can know.
    Open,
    /// The cluster has a node of its name.
    Inside,
}

impl Witness<'_> {
    /// Whether the cluster is ready: the member is in one, it is quorate, and the node that joined before is online.
    pub(super) async fn gate(&self, node: &Hostname, transcript: &mut Transcript) -> Result<Gate, JoinTrouble> {
        let Some(status) = self.status(transcript).await? else { return Ok(Gate::Open) };
        let member = self.member;
        if status.name.is_none() {
            let said = format!("{member} is in no cluster itself: run `pvecm create NAME` there");
            return Err(JoinTrouble::Never(FailureReason::JoinFailed { said }));
        }
        if !status.quorate {
            return Err(JoinTrouble::Later(format!("the cluster has no quorum, says {member}")));
        }
        if status.node(node.as_str()).is_some() {
            return Ok(Gate::Inside);
        }
        match &self.joined_before {
            Some(before) if status.node(before.as_str()).is_some_and(|node| !node.online) => {
                let said = format!("{before}, which joined before, is not online, says {member}");
                Err(JoinTrouble::Later(said))
            }
            _ => Ok(Gate::Open),
        }
    }

    /// `None` when the member confirms the membership, or when there is nobody to ask; else its doubt.
    pub(super) async fn confirms(
        &self,
        node: &Hostname,
        transcript: &mut Transcript,
    ) -> Result<Option<String>, JoinTrouble> {
        let Some(status) = self.status(transcript).await? else { return Ok(None) };
        let seen = match status.node(node.as_str()) {
            _ if status.confirms(node.as_str()) => return Ok(None),
            None => "does not know it",
            Some(node) if !node.online => "sees it offline",
            Some(_) => "has no quorum",
        };
        Ok(Some(format!("{node} takes itself for a member of the cluster, but {} {seen}", self.member)))
    }

    /// A ticket, which stands for the password; fresh, since it is worth something for two hours only.
    pub(super) async fn ticket(&self, password: &Secret<String>) -> Result<Secret<String>, JoinTrouble> {
        self.port.ticket(password).await.map_err(|error| self.trouble(error))
    }

    async fn status(&self, transcript: &mut Transcript) -> Result<Option<ClusterStatus>, JoinTrouble> {
        let status = self.port.status().await.map_err(|error| self.trouble(error))?;
        if let Some(status) = &status {
            transcript.remark(&self.told(status));
        }
        Ok(status)
    }

    fn told(&self, status: &ClusterStatus) -> String {
        let nodes = status.nodes.iter().map(|node| {
            let name: String = node.name.chars().filter(|c| !c.is_control()).take(63).collect();
            format!("{name} {}", if node.online { "online" } else { "offline" })
        });
        let quorum = if status.quorate { "quorate" } else { "not quorate" };
        format!("{} sees a cluster that is {quorum}: {}", self.member, nodes.collect::<Vec<_>>().join(", "))
    }

    fn trouble(&self, error: ClusterMemberError) -> JoinTrouble {
        let retry = error.retry();
        let error: BoxError = error.into();
        let said = format!("{}: {}", self.member, chain(&*error));
        match retry {
            Retry::Later => JoinTrouble::Later(said),
            Retry::Never => JoinTrouble::Never(FailureReason::NoWitness { said }),
        }
    }
}
