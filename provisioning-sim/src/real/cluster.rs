//! The simulated cluster as simulated hosts share it: [`ClusterState`] behind a lock that can be waited on.

use std::net::IpAddr;
use std::sync::Arc;

use provisioning_core::model::{CertFingerprint, Hostname, SshPublicKey};
use tokio::sync::watch;

use super::cluster_state::CorosyncStart;
pub use super::cluster_state::{ClusterRecords, ClusterRefusal, ClusterState, Founder, Member};

/// A Proxmox VE cluster that exists only in memory. Clones are the same cluster.
///
/// It is as unforgiving as the real one: an addition raises the expected votes at once, without quorum nothing
/// can be written, and a second addition before the first node is up leaves the first one outside for good
/// (`reference/cluster-join.md`, "Serialise joins").
///
/// ```
/// # use provisioning_core::model::{CertFingerprint, Secret};
/// # use provisioning_sim::real::cluster::{Founder, SimCluster};
/// let founder = Founder {
///     name: "pve1".parse()?,
///     address: [127, 0, 0, 1].into(),
///     fingerprint: CertFingerprint::new([1; 32]),
///     password: Secret::new("secret".to_owned()),
/// };
/// let cluster = SimCluster::found("lab", vec![founder]);
/// assert!(cluster.now().quorate());
/// # Ok::<(), provisioning_core::model::ParseNameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimCluster {
    state: Arc<watch::Sender<ClusterState>>,
}

impl SimCluster {
    /// A cluster of these members, all online.
    pub fn found(name: &str, founders: Vec<Founder>) -> Self {
        Self { state: Arc::new(watch::Sender::new(ClusterState::found(name, founders))) }
    }

    /// `pvecm delnode NAME` on a member. The node's line in the cluster's `authorized_keys` stays behind, as in
    /// the real one.
    ///
    /// # Errors
    /// `NoQuorum` (then [`Self::expect_one_vote`] first) and `NoSuchNode`.
    pub fn delnode(&self, name: &Hostname) -> Result<(), ClusterRefusal> {
        self.change(|state| state.delnode(name))
    }

    /// `pvecm expected 1` on a member: lasts until the nodelist changes.
    pub fn expect_one_vote(&self) {
        self.change(ClusterState::expect_one_vote);
    }

    /// A founder loses its power.
    pub fn power_off(&self, name: &Hostname) {
        self.change(|state| state.go_offline(name));
    }

    /// A founder comes back; `false` when the nodelist changed meanwhile, which shuts it out.
    pub fn power_on(&self, name: &Hostname) -> bool {
        self.start_corosync(name) == CorosyncStart::Formed
    }

    /// The cluster as it is now.
    pub fn now(&self) -> ClusterState {
        self.state.borrow().clone()
    }

    /// What happened so far.
    pub fn records(&self) -> ClusterRecords {
        self.state.borrow().records().clone()
    }

    /// Something about the cluster as it is now, without a copy of it.
    pub fn look<R>(&self, question: impl FnOnce(&ClusterState) -> R) -> R {
        question(&self.state.borrow())
    }

    /// Whether the cluster-wide `authorized_keys` holds this key.
    pub fn holds_key(&self, key: &SshPublicKey) -> bool {
        self.state.borrow().authorized_keys().contains(key.blob())
    }

    /// Waits until the cluster is as wished, and returns it as it was then.
    pub async fn until(&self, wished: impl FnMut(&ClusterState) -> bool) -> ClusterState {
        let mut changes = self.state.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        let found = changes.wait_for(wished).await.expect("the cluster outlives who looks at it");
        found.clone()
    }

    pub(super) fn begin_join(&self) -> JoinAtWork {
        self.change(ClusterState::begin_join);
        JoinAtWork { cluster: self.clone() }
    }

    pub(super) fn add_node(&self, name: &Hostname, ip: IpAddr, cert: CertFingerprint) -> Result<(), ClusterRefusal> {
        self.change(|state| state.add_node(name, ip, cert))
    }

    pub(super) fn start_corosync(&self, name: &Hostname) -> CorosyncStart {
        self.change(|state| state.start_corosync(name))
    }

    pub(super) fn join_succeeded(&self, name: &Hostname) {
        self.change(|state| state.join_succeeded(name));
    }

    pub(super) fn write_authorized_keys(&self, content: String) -> Result<(), ClusterRefusal> {
        self.change(|state| state.write_authorized_keys(content))
    }

    /// `/etc/pve/.members` as this node sees it (`reference/cluster-join.md`, "Verifying membership").
    pub(super) fn members_text(&self, nodename: &Hostname) -> String {
        members_text(&self.state.borrow(), nodename, true)
    }

    /// The same on a node whose corosync does not run: nobody online, no quorum.
    pub(super) fn members_text_alone(&self, nodename: &Hostname) -> String {
        members_text(&self.state.borrow(), nodename, false)
    }

    fn change<R>(&self, change: impl FnOnce(&mut ClusterState) -> R) -> R {
        let mut answer = None;
        self.state.send_modify(|state| answer = Some(change(state)));
        answer.expect("send_modify always calls its closure")
    }
}

/// A run of `pvecm add` that talks to the cluster; counted until it is dropped, however it ends.
pub(super) struct JoinAtWork {
    cluster: SimCluster,
}

impl Drop for JoinAtWork {
    fn drop(&mut self) {
        self.cluster.change(ClusterState::end_join);
    }
}

fn members_text(state: &ClusterState, nodename: &Hostname, connected: bool) -> String {
    let online = |member: &Member| u8::from(connected && member.online);
    let nodes: Vec<String> = state
        .members()
        .iter()
        .map(|(name, m)| {
            format!("  \"{name}\": {{ \"id\": {}, \"online\": {}, \"ip\": \"{}\"}}", m.id, online(m), m.ip)
        })
        .collect();
    format!(
        "{{\n\"nodename\": \"{nodename}\",\n\"version\": {version},\n\"cluster\": {{ \"name\": \"{cluster}\", \
         \"version\": {version}, \"nodes\": {count}, \"quorate\": {quorate} }},\n\"nodelist\": {{\n{nodes}\n  }}\n}}\n",
        version = state.config_version(),
        cluster = state.name(),
        count = state.members().len(),
        quorate = u8::from(connected && state.quorate()),
        nodes = nodes.join(",\n"),
    )
}
