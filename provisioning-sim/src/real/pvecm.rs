//! `pvecm add` on a simulated node: same order, same words, same exit status (0 even when it failed), same traps.
//!
//! Facts: `reference/cluster-join.md`, "`pvecm add`", "Output of a successful run", "Steps with side effects".

use std::time::Duration;

use provisioning_core::model::{CertFingerprint, MemberAddr, OperationId, Secret};
use provisioning_core::render::JOIN_TIME_LIMIT_SECONDS;

use super::cluster::{ClusterState, SimCluster};
use super::cluster_state::CorosyncStart;
use super::node::{NodeState, SimNode, certificate};
use super::node_files::ClusterFs;

/// How long a join takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// One of its ten steps. Real joins need 10 to 30 s in all.
    pub step: Duration,
    /// When `timeout` ends it; the command line says 180 s, a test may have less patience.
    pub time_limit: Duration,
}

impl Default for Pace {
    /// About 200 ms in all, with the real limit.
    fn default() -> Self {
        Self { step: Duration::from_millis(20), time_limit: Duration::from_secs(JOIN_TIME_LIMIT_SECONDS) }
    }
}

/// What goes wrong in one run of `pvecm add`, beyond what the state of node and cluster brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinFault {
    /// The node's own name has no address but loopback: the only fault here with another exit status, 255.
    OwnNameUnresolvable,
    /// The member does not answer.
    Unreachable,
    /// Whoever answers shows another certificate.
    OtherCertificate,
    /// The member refuses root's password.
    PasswordRefused,
    /// It fails after the cluster has added the node: the nodelist keeps a dead member.
    DiesAfterAddition,
    /// Its corosync finds nobody, and it waits for quorum until it is ended.
    HangsAtQuorum,
    /// It is killed, with the shell that would have written its status, before it asks for the addition.
    Killed,
}

/// What a detached join was started with.
#[derive(Debug)]
pub(super) struct JoinRequest {
    pub(super) operation: OperationId,
    pub(super) member: MemberAddr,
    pub(super) fingerprint: CertFingerprint,
    pub(super) password: Secret<String>,
}

/// How a run ends when it does not succeed.
enum End {
    /// Before its worker began: status 255.
    Early(String),
    /// In its worker, whose result nobody looks at: status 0.
    InWorker(String),
    /// Killed; nothing is written any more.
    Silent,
}

/// A run and the boot it belongs to.
struct Run {
    node: SimNode,
    boot: u64,
    request: JoinRequest,
    fault: Option<JoinFault>,
}

/// The process that the start script leaves behind: `pvecm add` under `timeout`, and its status written down.
pub(super) async fn detached(node: SimNode, boot: u64, request: JoinRequest) {
    let operation = request.operation;
    let Some(fault) = node.during(boot, |state| {
        state.runs.started(operation);
        state.faults.pop_front()
    }) else {
        return;
    };
    let limit = node.pace().time_limit;
    let run = Run { node: node.clone(), boot, request, fault };
    let status = match tokio::time::timeout(limit, run.add()).await {
        Ok(Ok(())) => Some((0, String::new())),
        Ok(Err(End::InWorker(text))) => Some((0, text + "\n")),
        Ok(Err(End::Early(text))) => Some((255, text + "\n")),
        Ok(Err(End::Silent)) => None,
        // What `timeout` exits with.
        Err(_) => Some((124, String::new())),
    };
    node.during(boot, |state| {
        if let Some((_, text)) = &status {
            state.runs.err(operation, text);
        }
        state.runs.ended(operation, status.map(|(status, _)| status));
    });
}

impl Run {
    async fn add(&self) -> Result<(), End> {
        self.check_before_the_worker()?;
        self.check_joinable()?;
        let cluster = self.log_in().await?;
        let at_work = cluster.begin_join();
        self.request_addition(&cluster).await?;
        self.take_over_configuration().await?;
        self.wait_for_quorum(&cluster).await?;
        self.renew_files(&cluster).await?;
        drop(at_work);
        self.say(&format!("successfully added node '{}' to cluster.\n", self.node.name()))
    }

    fn check_before_the_worker(&self) -> Result<(), End> {
        if self.fault == Some(JoinFault::OwnNameUnresolvable) {
            return Err(End::Early(format!(
                "hostname lookup '{}' failed - failed to get address info",
                self.node.name()
            )));
        }
        match self.on_node(|state| state.files.mounted)? {
            ClusterFs::Stopped => Err(End::Early("pve cluster filesystem not online.".to_owned())),
            ClusterFs::Local | ClusterFs::Alone | ClusterFs::Cluster => Ok(()),
        }
    }

    /// What must not be there, each named; then the symlink, which a join puts in place before it talks to anybody.
    fn check_joinable(&self) -> Result<(), End> {
        let faults = self.on_node(|state| {
            let configured = ["authentication key '/etc/corosync/authkey'", "cluster config '/etc/pve/corosync.conf'"];
            let configured = configured.iter().map(|what| format!("* {what} already exists\n"));
            let mut faults: String = configured.filter(|_| state.corosync_configured).collect();
            if state.has_guests {
                faults.push_str("* this host already contains virtual guests\n");
            }
            faults
        })?;
        if !faults.is_empty() {
            return Err(End::InWorker(format!(
                "detected the following error(s):\n{faults}Check if node may join a cluster failed!"
            )));
        }
        self.on_node(|state| state.files.set_up_symlink())?.map_err(|_| read_only())
    }

    /// The fingerprint is looked at before the password is shown to anybody.
    async fn log_in(&self) -> Result<SimCluster, End> {
        let request = &self.request;
        self.say(&format!("Establishing API connection with host '{}'\n", request.member))?;
        self.step().await;
        let cluster = self.node.network().filter(|_| self.fault != Some(JoinFault::Unreachable));
        let found = cluster.and_then(|c| c.now().api_at(&request.member).cloned().map(|member| (c, member)));
        let Some((cluster, mut member)) = found else {
            return Err(End::InWorker(format!("500 Can't connect to {}:8006 (No route to host)", request.member)));
        };
        if self.fault == Some(JoinFault::OtherCertificate) {
            member.fingerprint = certificate("somebody else", self.node.name());
        }
        if member.fingerprint != request.fingerprint {
            return Err(End::InWorker(format!("fingerprint '{}' not verified, abort!", member.fingerprint)));
        }
        let refused = self.fault == Some(JoinFault::PasswordRefused);
        if refused || member.password.as_ref() != Some(&request.password) {
            return Err(End::InWorker("401 authentication failure".to_owned()));
        }
        self.say("Login succeeded.\n")?;
        if self.fault == Some(JoinFault::Killed) {
            return Err(End::Silent);
        }
        Ok(cluster.clone())
    }

    async fn request_addition(&self, cluster: &SimCluster) -> Result<(), End> {
        let (name, ip) = (self.node.name(), self.node.ip());
        self.say("check cluster join API version\n")?;
        self.step().await;
        self.say(&format!("No cluster network links passed explicitly, fallback to local node IP '{ip}'\n"))?;
        self.say("Request addition of this node\n")?;
        self.step().await;
        // In one hold of the node: a power cut comes before or after, never between.
        self.on_node(|_| cluster.add_node(name, ip, certificate(cluster.now().name(), name)))?.map_err(|refusal| {
            End::InWorker(format!("An error occurred on the cluster node: {refusal}\nCluster join aborted!"))
        })?;
        self.step().await;
        if self.fault == Some(JoinFault::DiesAfterAddition) {
            return Err(End::InWorker(
                "unable to write '/etc/corosync/authkey.tmp.4711' - No space left on device".to_owned(),
            ));
        }
        self.say("Join request OK, finishing setup locally\n")
    }

    /// From here on there is no way back: the node's own database, and with it its `authorized_keys`, is gone.
    async fn take_over_configuration(&self) -> Result<(), End> {
        self.say("stopping pve-cluster service\n")?;
        self.on_node(|state| {
            state.corosync_configured = true;
            state.files.mounted = ClusterFs::Stopped;
        })?;
        self.step().await;
        self.say("backup old database to '/var/lib/pve-cluster/backup/config-1767225600.sql.gz'\n")?;
        self.on_node(|state| state.files.drop_local_database())?;
        self.step().await;
        Ok(())
    }

    /// Waits without limit: only `timeout` ends a node that was shut out.
    async fn wait_for_quorum(&self, cluster: &SimCluster) -> Result<(), End> {
        self.say("waiting for quorum...")?;
        let hangs = self.fault == Some(JoinFault::HangsAtQuorum);
        let formed = self.on_node(|state| {
            // pve-cluster starts again with an empty database, which fills only with quorum.
            state.files.mounted = ClusterFs::Alone;
            !hangs && cluster.start_corosync(self.node.name()) == CorosyncStart::Formed
        })?;
        if !formed {
            std::future::pending::<()>().await;
        }
        let name = self.node.name();
        let online = |state: &ClusterState| state.members().get(name).is_some_and(|member| member.online);
        cluster.until(|state| state.quorate() && online(state)).await;
        self.step().await;
        self.on_node(|state| state.files.mounted = ClusterFs::Cluster)?;
        self.say("OK\n")
    }

    async fn renew_files(&self, cluster: &SimCluster) -> Result<(), End> {
        self.say("(re)generate node files\ngenerate new node certificate\n")?;
        self.step().await;
        let issuer = cluster.now().name().to_owned();
        self.on_node(|state| state.certificate = certificate(&issuer, self.node.name()))?;
        self.say("merge authorized SSH keys\n")?;
        let merged = self.on_node(|state| state.files.set_up_symlink().and_then(|()| state.files.merge_keys()))?;
        merged.map_err(|_| read_only())?;
        self.step().await;
        self.say("generated new node certificate, restart pveproxy and pvedaemon services\n")?;
        self.step().await;
        self.on_node(|_| cluster.join_succeeded(self.node.name()))
    }

    fn say(&self, text: &str) -> Result<(), End> {
        self.on_node(|state| state.runs.out(self.request.operation, text))
    }

    async fn step(&self) {
        tokio::time::sleep(self.node.pace().step).await;
    }

    fn on_node<R>(&self, act: impl FnOnce(&mut NodeState) -> R) -> Result<R, End> {
        self.node.during(self.boot, act).ok_or(End::Silent)
    }
}

fn read_only() -> End {
    End::InWorker("unable to open file '/etc/pve/priv/authorized_keys.tmp.4711' - Permission denied".to_owned())
}
