//! A simulated machine after its installation: power, key files, cluster file system, detached joins, and a record
//! of who logged in and what was run.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provisioning_core::model::{CertFingerprint, Hostname, SshPublicKey};
use provisioning_core::render::RemoteCommand;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cluster::SimCluster;
use super::cluster_state::CorosyncStart;
use super::node_commands::Reply;
pub use super::node_files::KeyFile;
use super::node_files::{ClusterFs, NodeFiles};
use super::node_runs::RunDirs;
use super::pvecm::{self, JoinFault, JoinRequest, Pace};

/// What an installation made of a machine.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// The first label of the answer's `fqdn`.
    pub name: Hostname,
    /// The address that the node has in its cluster.
    pub ip: IpAddr,
    /// The answer's `root-ssh-keys`, as they were written.
    pub root_ssh_keys: Vec<String>,
    /// The cluster on this node's network; without one every join finds nobody.
    pub network: Option<SimCluster>,
    /// How long a join takes.
    pub pace: Pace,
}

/// A simulated Proxmox VE host. Clones are the same host.
#[derive(Clone, Debug)]
pub struct SimNode(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: NodeSpec,
    state: Mutex<NodeState>,
    power: watch::Sender<Power>,
    /// Detached processes; a power cut ends them.
    processes: Mutex<JoinSet<()>>,
}

/// Whether the machine runs, and for which time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// Whether it runs.
    pub on: bool,
    /// Counts the boots: what belongs to an earlier one is gone.
    pub boot: u64,
}

/// What can be found on the machine right now.
#[derive(Debug)]
pub(super) struct NodeState {
    pub(super) files: NodeFiles,
    pub(super) runs: RunDirs,
    /// `/etc/corosync` holds a configuration and a key.
    pub(super) corosync_configured: bool,
    pub(super) has_guests: bool,
    pub(super) certificate: CertFingerprint,
    pub(super) faults: VecDeque<JoinFault>,
    pub(super) keys_come_back: bool,
    log: NodeLog,
}

/// What was done to the node over SSH, in order.
#[derive(Clone, Debug, Default)]
pub struct NodeLog {
    /// Keys that were let in.
    pub logins: Vec<SshPublicKey>,
    /// User names and keys that were refused.
    pub refused: Vec<(String, SshPublicKey)>,
    /// Commands that a host of ours runs.
    pub commands: Vec<RemoteCommand>,
    /// Everything else that somebody asked for: a fault of the product, because a simulator must not guess.
    pub unknown: Vec<String>,
}

impl SimNode {
    /// The machine as the installer leaves it: switched off, never booted from its disk.
    pub fn installed(spec: NodeSpec) -> Self {
        let state = NodeState {
            files: NodeFiles::installed(spec.name.clone(), spec.network.clone(), &spec.root_ssh_keys),
            runs: RunDirs::default(),
            corosync_configured: false,
            has_guests: false,
            certificate: certificate("standalone", &spec.name),
            faults: VecDeque::new(),
            keys_come_back: false,
            log: NodeLog::default(),
        };
        Self(Arc::new(Inner {
            spec,
            state: Mutex::new(state),
            power: watch::Sender::new(Power::default()),
            processes: Mutex::default(),
        }))
    }

    // Power

    /// Boots from disk. The first boot imports the installer's keys into the cluster file system.
    pub fn power_on(&self) {
        let mut state = self.state();
        if self.0.power.borrow().on {
            return;
        }
        state.files.mounted = match &self.0.spec.network {
            _ if !state.corosync_configured => ClusterFs::Local,
            Some(cluster) if cluster.start_corosync(self.name()) == CorosyncStart::Formed => ClusterFs::Cluster,
            _ => ClusterFs::Alone,
        };
        // pveproxy's start runs `pvecm updatecerts`, which only warns when /etc/pve is read-only.
        state.files.set_up_symlink().and_then(|()| state.files.merge_keys()).ok();
        self.0.power.send_modify(|power| *power = Power { on: true, boot: power.boot + 1 });
    }

    /// Cuts the power: connections, processes and `/run` are gone, the disk stays.
    pub fn power_off(&self) {
        let mut state = self.state();
        self.0.power.send_modify(|power| power.on = false);
        lock(&self.0.processes).abort_all();
        state.files.mounted = ClusterFs::Stopped;
        state.runs = RunDirs::default();
        if let (true, Some(cluster)) = (state.corosync_configured, &self.0.spec.network) {
            cluster.power_off(self.name());
        }
    }

    /// Off, and on again after `down`.
    pub async fn reboot(&self, down: Duration) {
        self.power_off();
        tokio::time::sleep(down).await;
        self.power_on();
    }

    /// The power as it is, and how it changes.
    pub fn power(&self) -> watch::Receiver<Power> {
        self.0.power.subscribe()
    }

    // Trouble, for tests

    /// Each coming run of `pvecm add` takes one of these, in order; further runs have none.
    pub fn plan_join_faults(&self, faults: impl IntoIterator<Item = JoinFault>) {
        self.state().faults.extend(faults);
    }

    /// Some tool replaces the symlink `/root/.ssh/authorized_keys` by a regular file: the way in which a key of one
    /// node leaks to all.
    pub fn replace_keys_symlink(&self) {
        self.state().files.replace_symlink();
    }

    /// Some tool restores key files as soon as they are changed.
    pub fn let_keys_come_back(&self) {
        self.state().keys_come_back = true;
    }

    /// Somebody made a guest on the node, which may then not join.
    pub fn make_guest(&self) {
        self.state().has_guests = true;
    }

    /// An earlier cluster's configuration is still on the disk.
    pub fn leave_cluster_config(&self) {
        self.state().corosync_configured = true;
    }

    // Questions

    /// Its node name.
    pub fn name(&self) -> &Hostname {
        &self.0.spec.name
    }

    /// Its address in the cluster.
    pub fn ip(&self) -> IpAddr {
        self.0.spec.ip
    }

    /// Its API certificate: a join makes a new one.
    pub fn certificate(&self) -> CertFingerprint {
        self.state().certificate
    }

    /// Whether the cluster's file system is mounted on it and its corosync takes part.
    pub fn is_member(&self) -> bool {
        let mounted = self.state().files.mounted;
        let online = |cluster: &SimCluster| {
            cluster.look(|state| state.members().get(self.name()).is_some_and(|member| member.online))
        };
        mounted == ClusterFs::Cluster && self.0.spec.network.as_ref().is_some_and(online)
    }

    /// The files in which this key stands now.
    pub fn files_with(&self, key: &SshPublicKey) -> Vec<KeyFile> {
        let state = self.state();
        let holds = |file: &KeyFile| state.files.read(*file).is_some_and(|content| content.contains(key.blob()));
        KeyFile::ALL.into_iter().filter(holds).collect()
    }

    /// What was done to it so far.
    pub fn log(&self) -> NodeLog {
        self.state().log.clone()
    }

    // For sshd and its commands

    pub(super) fn pace(&self) -> Pace {
        self.0.spec.pace
    }

    pub(super) fn network(&self) -> Option<&SimCluster> {
        self.0.spec.network.as_ref()
    }

    /// Does something on the machine, unless the boot it belongs to is over.
    pub(super) fn during<R>(&self, boot: u64, act: impl FnOnce(&mut NodeState) -> R) -> Option<R> {
        let mut state = self.state();
        let runs = *self.0.power.borrow() == Power { on: true, boot };
        runs.then(|| act(&mut state))
    }

    /// Starts a join that outlives the login, once per operation.
    pub(super) fn start_join(&self, boot: u64, request: JoinRequest) -> Option<Reply> {
        let made = self.during(boot, |state| state.runs.make(request.operation))?;
        if !made {
            return Some(Reply::stdout("already\n"));
        }
        let mut processes = lock(&self.0.processes);
        while processes.try_join_next().is_some() {}
        processes.spawn(pvecm::detached(self.clone(), boot, request));
        Some(Reply::stdout("started\n"))
    }

    fn state(&self) -> MutexGuard<'_, NodeState> {
        lock(&self.0.state)
    }
}

impl NodeState {
    /// Whether sshd lets this key in, which it writes down.
    pub(super) fn log_in(&mut self, user: &str, key: &SshPublicKey) -> bool {
        let accepted = user == "root" && self.files.let_in(key);
        if accepted {
            self.log.logins.push(key.clone());
        } else {
            self.log.refused.push((user.to_owned(), key.clone()));
        }
        accepted
    }

    pub(super) fn would_let_in(&self, user: &str, key: &SshPublicKey) -> bool {
        user == "root" && self.files.let_in(key)
    }

    pub(super) fn note_command(&mut self, command: RemoteCommand) {
        self.log.commands.push(command);
    }

    pub(super) fn note_unknown(&mut self, request: &str) {
        self.log.unknown.push(request.to_owned());
    }
}

/// A node's certificate: another one for every issuer, the same for the same names.
pub(super) fn certificate(issuer: &str, node: &Hostname) -> CertFingerprint {
    let digest = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(node.as_str()).finalize();
    CertFingerprint::new(digest.into())
}

/// Every change leaves the value whole, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
