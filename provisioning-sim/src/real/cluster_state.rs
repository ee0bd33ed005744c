//! The simulated cluster as a value: who is in it, who is up, and what every change does to quorum.
//!
//! Transitions only, no clock and no lock. Facts: `reference/cluster-join.md`, "Serialise joins" and "Steps with
//! side effects".

use std::collections::BTreeMap;
use std::net::IpAddr;

use provisioning_core::model::{CertFingerprint, Hostname, MemberAddr, Secret};

/// A member that is there from the beginning.
#[derive(Clone, Debug)]
pub struct Founder {
    /// Its node name.
    pub name: Hostname,
    /// Where its API answers.
    pub address: IpAddr,
    /// Its API certificate.
    pub fingerprint: CertFingerprint,
    /// Root's password there.
    pub password: Secret<String>,
}

/// An entry of the cluster's nodelist.
#[derive(Clone, Debug)]
pub struct Member {
    /// The node id: the lowest that was free.
    pub id: u32,
    /// Where its API answers.
    pub ip: IpAddr,
    /// Whether its corosync takes part.
    pub online: bool,
    /// Its API certificate.
    pub fingerprint: CertFingerprint,
    /// Root's password there; `None` when the cluster was not told, and then nobody joins by this member.
    pub(super) password: Option<Secret<String>>,
    /// The `config_version` in its own `corosync.conf`.
    config_seen: u64,
}

/// What happened in the cluster's life, for assertions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterRecords {
    /// How often each node was put into the nodelist.
    pub additions: BTreeMap<Hostname, u32>,
    /// How often each node's `pvecm add` came to its end with success.
    pub joins: BTreeMap<Hostname, u32>,
    /// The most runs of `pvecm add` that were at work at the same time; 1 when joins were serialised.
    pub max_overlap: u32,
    /// Nodes whose corosync gave up because the configuration had changed after they received theirs.
    pub shut_out: Vec<Hostname>,
    /// How often quorum was lost. The addition to a cluster of one member always does, for a moment.
    pub quorum_losses: u32,
}

/// The cluster. Cloned freely: a snapshot for whoever looks at it.
#[derive(Clone, Debug)]
pub struct ClusterState {
    name: String,
    config_version: u64,
    members: BTreeMap<Hostname, Member>,
    expected_by_hand: Option<usize>,
    authorized_keys: String,
    joins_at_work: u32,
    records: ClusterRecords,
}

/// Why the cluster does not do what it is asked; the text is what Proxmox VE says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterRefusal {
    /// Fewer votes than needed: `/etc/pve` is read-only.
    #[error("cluster not ready - no quorum?")]
    NoQuorum,
    /// A node of this name is in the nodelist already.
    #[error("can't add existing node '{0}'")]
    Exists(Hostname),
    /// Another node uses the address; corosync would crash.
    #[error("link0: address '{ip}' already used on link0 by node '{by}'")]
    AddressInUse {
        /// The address.
        ip: IpAddr,
        /// Whose it is.
        by: Hostname,
    },
    /// No node of this name is in the nodelist.
    #[error("Node/IP: {0} is not a known host of the cluster.")]
    NoSuchNode(Hostname),
}

/// What became of a node's corosync when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CorosyncStart {
    /// It takes part.
    Formed,
    /// Its configuration is not the cluster's: it shut itself down again.
    ShutOut,
}

impl ClusterState {
    pub(super) fn found(name: &str, founders: Vec<Founder>) -> Self {
        let mut members = BTreeMap::new();
        let mut authorized_keys = String::new();
        for (founder, id) in founders.into_iter().zip(1..) {
            authorized_keys.push_str(&super::node_files::own_key_line(&founder.name));
            authorized_keys.push('\n');
            let member = Member {
                id,
                ip: founder.address,
                online: true,
                fingerprint: founder.fingerprint,
                password: Some(founder.password),
                config_seen: 1,
            };
            members.insert(founder.name, member);
        }
        Self {
            name: name.to_owned(),
            config_version: 1,
            members,
            expected_by_hand: None,
            authorized_keys,
            joins_at_work: 0,
            records: ClusterRecords::default(),
        }
    }

    // A node joins

    pub(super) fn begin_join(&mut self) {
        self.joins_at_work += 1;
        self.records.max_overlap = self.records.max_overlap.max(self.joins_at_work);
    }

    pub(super) fn end_join(&mut self) {
        self.joins_at_work -= 1;
    }

    /// The request for addition: expected votes rise at once, while the new node is still down.
    pub(super) fn add_node(
        &mut self,
        name: &Hostname,
        ip: IpAddr,
        cert: CertFingerprint,
    ) -> Result<(), ClusterRefusal> {
        if !self.quorate() {
            return Err(ClusterRefusal::NoQuorum);
        }
        if self.members.contains_key(name) {
            return Err(ClusterRefusal::Exists(name.clone()));
        }
        if let Some((by, _)) = self.members.iter().find(|(_, member)| member.ip == ip) {
            return Err(ClusterRefusal::AddressInUse { ip, by: by.clone() });
        }
        let member =
            Member { id: self.lowest_free_id(), ip, online: false, fingerprint: cert, password: None, config_seen: 0 };
        self.noting_quorum(|state| {
            state.members.insert(name.clone(), member);
            state.config_changed();
            // The reply carries the configuration as it is now.
            if let Some(member) = state.members.get_mut(name) {
                member.config_seen = state.config_version;
            }
        });
        *self.records.additions.entry(name.clone()).or_default() += 1;
        Ok(())
    }

    /// A node's corosync starts with the configuration that the node received last.
    pub(super) fn start_corosync(&mut self, name: &Hostname) -> CorosyncStart {
        let version = self.config_version;
        match self.members.get_mut(name) {
            Some(member) if member.config_seen == version => {
                member.online = true;
                CorosyncStart::Formed
            }
            _ => {
                self.records.shut_out.push(name.clone());
                CorosyncStart::ShutOut
            }
        }
    }

    pub(super) fn join_succeeded(&mut self, name: &Hostname) {
        *self.records.joins.entry(name.clone()).or_default() += 1;
    }

    // Afterwards

    pub(super) fn go_offline(&mut self, name: &Hostname) {
        self.noting_quorum(|state| {
            if let Some(member) = state.members.get_mut(name) {
                member.online = false;
            }
        });
    }

    pub(super) fn delnode(&mut self, name: &Hostname) -> Result<(), ClusterRefusal> {
        if !self.quorate() {
            return Err(ClusterRefusal::NoQuorum);
        }
        if !self.members.contains_key(name) {
            return Err(ClusterRefusal::NoSuchNode(name.clone()));
        }
        self.noting_quorum(|state| {
            state.members.remove(name);
            state.config_changed();
        });
        Ok(())
    }

    pub(super) fn expect_one_vote(&mut self) {
        self.expected_by_hand = Some(1);
    }

    pub(super) fn write_authorized_keys(&mut self, content: String) -> Result<(), ClusterRefusal> {
        if !self.quorate() {
            return Err(ClusterRefusal::NoQuorum);
        }
        self.authorized_keys = content;
        Ok(())
    }

    // Questions

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The nodelist.
    pub fn members(&self) -> &BTreeMap<Hostname, Member> {
        &self.members
    }

    /// The version of `corosync.conf`; every change of the nodelist raises it.
    pub fn config_version(&self) -> u64 {
        self.config_version
    }

    /// The votes of all members together, or what an operator set it to.
    pub fn expected_votes(&self) -> usize {
        self.expected_by_hand.unwrap_or(self.members.len())
    }

    /// Whether more than half of the expected votes are online: only then `/etc/pve` can be written.
    pub fn quorate(&self) -> bool {
        2 * self.members.values().filter(|member| member.online).count() > self.expected_votes()
    }

    /// The content of `/etc/pve/priv/authorized_keys`.
    pub fn authorized_keys(&self) -> &str {
        &self.authorized_keys
    }

    /// How many runs of `pvecm add` are at work on it now.
    pub fn joins_at_work(&self) -> u32 {
        self.joins_at_work
    }

    /// What happened so far.
    pub fn records(&self) -> &ClusterRecords {
        &self.records
    }

    /// The member whose API answers at `address`: an IP address, a node name or a full name.
    pub(super) fn api_at(&self, address: &MemberAddr) -> Option<&Member> {
        let text = address.as_str();
        let answers = |name: &Hostname, member: &Member| match text.parse::<IpAddr>() {
            Ok(ip) => member.ip == ip,
            Err(_) => text.split('.').next() == Some(name.as_str()),
        };
        self.members.iter().find(|(name, member)| member.online && answers(name, member)).map(|(_, member)| member)
    }

    fn lowest_free_id(&self) -> u32 {
        let mut ids: Vec<u32> = self.members.values().map(|member| member.id).collect();
        ids.sort_unstable();
        let free_after_last = ids.last().map_or(1, |last| last + 1);
        ids.iter().zip(1..).find(|(taken, id)| **taken != *id).map_or(free_after_last, |(_, id)| id)
    }

    fn config_changed(&mut self) {
        self.config_version += 1;
        self.expected_by_hand = None;
        let version = self.config_version;
        // Running members get the new file through the cluster file system; the others keep what they have.
        self.members.values_mut().filter(|member| member.online).for_each(|member| member.config_seen = version);
    }

    fn noting_quorum(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.quorate();
        change(self);
        if before && !self.quorate() {
            self.records.quorum_losses += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn founded(founders: u8) -> ClusterState {
        let founder = |n| Founder {
            name: name(&format!("pve{n}")),
            address: ip(n),
            fingerprint: CertFingerprint::new([n; 32]),
            password: Secret::new("secret".to_owned()),
        };
        ClusterState::found("lab", (1..=founders).map(founder).collect())
    }

    fn add(state: &mut ClusterState, node: &str, last: u8) -> Result<(), ClusterRefusal> {
        state.add_node(&name(node), ip(last), CertFingerprint::new([last; 32]))
    }

    #[test]
    fn a_lone_founder_loses_quorum_until_the_second_member_is_up() {
        let mut state = founded(1);
        add(&mut state, "a", 11).unwrap();
        assert!(!state.quorate());
        assert_eq!(add(&mut state, "b", 12), Err(ClusterRefusal::NoQuorum));
        assert_eq!(state.start_corosync(&name("a")), CorosyncStart::Formed);
        assert!(state.quorate());
        assert_eq!(state.records().quorum_losses, 1);
    }

    #[test]
    fn a_second_addition_before_the_first_node_is_up_shuts_the_first_one_out() {
        let mut state = founded(3);
        add(&mut state, "a", 11).unwrap();
        add(&mut state, "b", 12).unwrap();
        assert_eq!(state.start_corosync(&name("a")), CorosyncStart::ShutOut);
        assert_eq!(state.start_corosync(&name("b")), CorosyncStart::Formed);
        assert!(state.quorate(), "three founders and b hold four of five votes");
        assert_eq!(state.records().shut_out, [name("a")]);
    }

    #[test]
    fn names_and_addresses_stand_once_in_the_nodelist() {
        let mut state = founded(3);
        assert_eq!(add(&mut state, "pve1", 11), Err(ClusterRefusal::Exists(name("pve1"))));
        assert_eq!(add(&mut state, "a", 2), Err(ClusterRefusal::AddressInUse { ip: ip(2), by: name("pve2") }));
        assert_eq!(state.expected_votes(), 3);
    }

    #[test]
    fn delnode_needs_quorum_and_frees_the_name_and_the_id() {
        let mut state = founded(1);
        add(&mut state, "a", 11).unwrap();
        assert_eq!(state.delnode(&name("a")), Err(ClusterRefusal::NoQuorum));
        state.expect_one_vote();
        state.delnode(&name("a")).unwrap();
        assert_eq!(state.delnode(&name("a")), Err(ClusterRefusal::NoSuchNode(name("a"))));
        add(&mut state, "a", 11).unwrap();
        assert_eq!(state.members()[&name("a")].id, 2);
    }

    #[test]
    fn a_member_that_missed_a_change_does_not_come_back_by_itself() {
        let mut state = founded(3);
        state.go_offline(&name("pve3"));
        assert_eq!(state.start_corosync(&name("pve3")), CorosyncStart::Formed);
        state.go_offline(&name("pve3"));
        add(&mut state, "a", 11).unwrap();
        assert_eq!(state.start_corosync(&name("pve3")), CorosyncStart::ShutOut);
    }
}
