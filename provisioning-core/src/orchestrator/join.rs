//! The join: from a shell on the host to a proven member of the cluster.
//!
//! It survives the death of our process and of the connection: `pvecm add` runs detached on the host, and whoever
//! comes back finds the same run (`reference/cluster-join.md`). Its exit status is 0 even when it failed, so
//! success is an independent look at the membership.

use std::time::Duration;

use serde::Deserialize;

use crate::machine::FailureReason;
use crate::model::{Cluster, Hostname, OperationId, Secret, SshPublicKey};
use crate::ports::{Command, Output, Shell, ShellError};
use crate::render::{JOIN_TIME_LIMIT_SECONDS, RemoteCommand};

/// How often a running join is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long after `pvecm add` the cluster may need to see the node online and be quorate.
const SETTLE_TIME: Duration = Duration::from_secs(30);

/// What the join takes and leaves.
pub(super) struct Join<'a> {
    pub(super) shell: &'a dyn Shell,
    pub(super) operation: OperationId,
    pub(super) node: &'a Hostname,
    pub(super) cluster: &'a Cluster,
    pub(super) transcript: &'a mut Transcript,
}

/// Why a join did not come about.
#[derive(Debug)]
pub(super) enum JoinTrouble {
    /// Trying again can help; nothing is half-done by us.
    Later(String),
    /// Only a person can help.
    Never(FailureReason),
}

impl From<ShellError> for JoinTrouble {
    fn from(error: ShellError) -> Self {
        match error {
            ShellError::HostKeyMismatch { .. } => Self::Never(FailureReason::HostKeyMismatch),
            other => Self::Later(other.to_string()),
        }
    }
}

impl Join<'_> {
    /// Joins the cluster, or finds that it was joined. Harmless to repeat at any point.
    pub(super) async fn run(&mut self) -> Result<(), JoinTrouble> {
        let mut run = self.follow().await?;
        if run.progress == Progress::Absent {
            if self.is_member().await? {
                return Ok(());
            }
            self.start().await?;
            run = self.follow().await?;
        }
        let looks = JOIN_TIME_LIMIT_SECONDS + SETTLE_TIME.as_secs();
        for _ in 0..looks {
            match run.progress {
                Progress::Starting | Progress::Running => tokio::time::sleep(LOOK_EVERY).await,
                Progress::Absent | Progress::Ended | Progress::Lost => break,
            }
            run = self.follow().await?;
        }
        self.transcript.note(&run.out, &run.err);
        if self.becomes_member().await? {
            return Ok(());
        }
        let verdict = verdict(&run, self.node);
        if matches!(run.progress, Progress::Ended | Progress::Lost) {
            self.execute(&RemoteCommand::ClearJoin { operation: self.operation }, None).await?;
        }
        Err(verdict)
    }

    async fn start(&mut self) -> Result<(), JoinTrouble> {
        let Cluster { member, fingerprint, password } = self.cluster;
        let command =
            RemoteCommand::StartJoin { operation: self.operation, member: member.clone(), fingerprint: *fingerprint };
        let line = Secret::new(format!("{}\n", password.expose()));
        let output = self.execute(&command, Some(line)).await?;
        match (output.status, output.stdout.trim()) {
            (0, "started" | "already") => Ok(()),
            _ => Err(JoinTrouble::Later(format!("the join could not be started: {}", last_words(&output)))),
        }
    }

    async fn follow(&mut self) -> Result<JoinRun, JoinTrouble> {
        let output = self.execute(&RemoteCommand::FollowJoin { operation: self.operation }, None).await?;
        JoinRun::read(&output)
            .ok_or_else(|| JoinTrouble::Later(format!("the join cannot be followed: {}", last_words(&output))))
    }

    /// Looks at the membership until the node is in it, or the time to settle is over.
    async fn becomes_member(&mut self) -> Result<bool, JoinTrouble> {
        for _ in 0..SETTLE_TIME.as_secs() {
            if self.is_member().await? {
                return Ok(true);
            }
            if self.is_standalone().await? {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.is_member().await
    }

    async fn is_member(&mut self) -> Result<bool, JoinTrouble> {
        Ok(self.members().await?.is_some_and(|members| members.has_online(self.node)))
    }

    /// A node without a cluster will not come to one by waiting.
    async fn is_standalone(&mut self) -> Result<bool, JoinTrouble> {
        Ok(self.members().await?.is_some_and(|members| members.cluster.is_none()))
    }

    async fn members(&mut self) -> Result<Option<Members>, JoinTrouble> {
        let output = self.execute(&RemoteCommand::Members, None).await?;
        // While the cluster file system is restarted there is nothing to read.
        Ok((output.status == 0).then(|| serde_json::from_str(&output.stdout).ok()).flatten())
    }

    async fn execute(&mut self, command: &RemoteCommand, stdin: Option<Secret<String>>) -> Result<Output, ShellError> {
        execute(self.shell, command, stdin, self.transcript).await
    }
}

/// Lets us log in after the join too, which discards the node's own authorized_keys.
pub(super) async fn place_foothold(
    shell: &dyn Shell,
    key: &SshPublicKey,
    transcript: &mut Transcript,
) -> Result<(), JoinTrouble> {
    let output = execute(shell, &RemoteCommand::Foothold { key: key.clone() }, None, transcript).await?;
    if output.status == 0 {
        Ok(())
    } else {
        Err(JoinTrouble::Later(format!("the key could not be kept over the join: {}", last_words(&output))))
    }
}

/// Runs one of the known commands and writes it down.
pub(super) async fn execute(
    shell: &dyn Shell,
    command: &RemoteCommand,
    stdin: Option<Secret<String>>,
    transcript: &mut Transcript,
) -> Result<Output, ShellError> {
    let mut line = Command::new(command.line());
    line.stdin = stdin;
    let outcome = shell.run(&line).await;
    transcript.command(command, &outcome);
    outcome
}

/// What was done on a host, for people. Commands go by name; neither secrets nor keys ever stand in it.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    text: String,
    latest: String,
}

impl Transcript {
    /// The text so far.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// A command that said the same as before is not repeated: a join is looked at every second.
    fn command(&mut self, command: &RemoteCommand, outcome: &Result<Output, ShellError>) {
        let result = match outcome {
            Ok(output) => format!("-> {}\n{}{}", output.status, indented(&output.stdout), indented(&output.stderr)),
            Err(error) => format!("-> {error}\n"),
        };
        let entry = format!("$ {}\n{result}", command.name());
        if entry != self.latest {
            self.text.push_str(&entry);
            self.latest = entry;
        }
    }

    fn note(&mut self, out: &str, err: &str) {
        self.text.push_str("pvecm add said:\n");
        self.text.push_str(&indented(out));
        self.text.push_str(&indented(err));
    }
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["   ", line, "\n"]).collect()
}

/// How a detached `pvecm add` fares.
#[derive(Debug)]
struct JoinRun {
    progress: Progress,
    out: String,
    err: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Never started, or cleared.
    Absent,
    /// Its run directory is there, its process not yet.
    Starting,
    Running,
    /// Its exit status is known, and means nothing.
    Ended,
    /// Its process is gone without a status: the host was restarted, or it was killed.
    Lost,
}

impl JoinRun {
    fn read(output: &Output) -> Option<Self> {
        let (first, out) = output.stdout.split_once('\n').unwrap_or((&output.stdout, ""));
        let progress = match first.split(' ').next()? {
            "absent" => Progress::Absent,
            "starting" => Progress::Starting,
            "running" => Progress::Running,
            "ended" => Progress::Ended,
            "lost" => Progress::Lost,
            _ => return None,
        };
        Some(Self { progress, out: out.to_owned(), err: output.stderr.clone() })
    }
}

/// What a join that left no member behind means. The texts are `pvecm`'s (`reference/cluster-join.md`).
fn verdict(run: &JoinRun, node: &Hostname) -> JoinTrouble {
    let all = format!("{}\n{}", run.out, run.err);
    let said = [&run.err, &run.out]
        .iter()
        .find_map(|text| text.lines().rev().map(str::trim).find(|line| !line.is_empty()))
        .map_or_else(|| "nothing".to_owned(), |line| line.chars().take(300).collect());
    if matches!(run.progress, Progress::Starting | Progress::Running) {
        return JoinTrouble::Later("pvecm add is still running".into());
    }
    if all.contains("can't add existing node") {
        return JoinTrouble::Never(FailureReason::NameTaken { node: node.to_string() });
    }
    if all.contains("An error occurred on the cluster node") || all.contains("no quorum") {
        // The cluster refused, so it added nothing.
        return if all.contains("no quorum") {
            JoinTrouble::Later(format!("the cluster has no quorum: {said}"))
        } else {
            JoinTrouble::Never(FailureReason::JoinFailed { said })
        };
    }
    if all.contains("Request addition of this node") {
        return JoinTrouble::Never(FailureReason::HalfJoined { node: node.to_string(), said });
    }
    JoinTrouble::Never(FailureReason::JoinFailed { said })
}

pub(super) fn last_words(output: &Output) -> String {
    let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let last: String = text.trim().lines().last().unwrap_or_default().chars().take(300).collect();
    format!("status {}, {}", output.status, if last.is_empty() { "nothing said" } else { &last })
}

/// `/etc/pve/.members`: the cluster file system's own view.
#[derive(Debug, Deserialize)]
struct Members {
    nodename: String,
    cluster: Option<ClusterView>,
    #[serde(default)]
    nodelist: std::collections::BTreeMap<String, MemberView>,
}

#[derive(Debug, Deserialize)]
struct ClusterView {
    quorate: i64,
}

#[derive(Debug, Deserialize)]
struct MemberView {
    #[serde(default)]
    online: i64,
}

impl Members {
    /// In the cluster, online, quorate, and the node we are on.
    fn has_online(&self, node: &Hostname) -> bool {
        self.nodename == node.as_str()
            && self.cluster.as_ref().is_some_and(|cluster| cluster.quorate == 1)
            && self.nodelist.get(node.as_str()).is_some_and(|member| member.online == 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ended(out: &str, err: &str) -> JoinRun {
        JoinRun { progress: Progress::Ended, out: out.into(), err: err.into() }
    }

    #[test]
    fn a_failed_join_is_told_by_what_pvecm_said() {
        let node: Hostname = "pve-07".parse().unwrap();
        let half = verdict(
            &ended(
                "Login succeeded.\nRequest addition of this node\nJoin request OK, finishing setup locally",
                "dying",
            ),
            &node,
        );
        assert!(matches!(half, JoinTrouble::Never(FailureReason::HalfJoined { .. })));
        let taken = verdict(
            &ended(
                "Request addition of this node",
                "An error occurred on the cluster node: can't add existing node 'pve-07'",
            ),
            &node,
        );
        assert!(matches!(taken, JoinTrouble::Never(FailureReason::NameTaken { .. })));
        let quorum = verdict(
            &ended(
                "Request addition of this node",
                "An error occurred on the cluster node: cluster not ready - no quorum?",
            ),
            &node,
        );
        assert!(matches!(quorum, JoinTrouble::Later(_)));
        let password =
            verdict(&ended("Establishing API connection with host 'a'", "401 authentication failure"), &node);
        let JoinTrouble::Never(FailureReason::JoinFailed { said }) = password else { panic!("{password:?}") };
        assert_eq!(said, "401 authentication failure");
    }

    #[test]
    fn only_an_online_node_of_a_quorate_cluster_is_a_member() {
        let members = |text: &str| serde_json::from_str::<Members>(text).unwrap().has_online(&"pve3".parse().unwrap());
        let text = r#"{"nodename":"pve3","version":4,"cluster":{"name":"lab","version":3,"nodes":2,"quorate":1},
            "nodelist":{"pve1":{"id":1,"online":1,"ip":"10.0.0.5"},"pve3":{"id":2,"online":1,"ip":"10.0.0.7"}}}"#;
        assert!(members(text));
        assert!(!members(&text.replace("\"quorate\":1", "\"quorate\":0")));
        assert!(!members(&text.replace("\"id\":2,\"online\":1", "\"id\":2,\"online\":0")));
        assert!(!members(&text.replace("\"nodename\":\"pve3\"", "\"nodename\":\"pve1\"")));
        assert!(!members(r#"{"nodename":"pve3","version":1,"nodelist":{"pve3":{"id":0,"online":1}}}"#));
    }

    proptest! {
        #[test]
        fn no_view_of_the_members_makes_the_reader_panic_or_takes_a_stranger_for_one(
            name in "pve[1-3]|\\PC{0,9}", quorate in "1|-?[0-9]{1,30}|true|null|\\[\\[1", cut: proptest::sample::Index,
        ) {
            let text = format!(
                r#"{{"nodename":{name:?},"cluster":{{"quorate":{quorate}}},"nodelist":{{"pve3":{{"id":2,"online":1}}}}}}"#
            );
            let is_member = |text: &str| {
                let members = serde_json::from_str::<Members>(text).ok();
                members.is_some_and(|members| members.has_online(&"pve3".parse().unwrap()))
            };
            prop_assert_eq!(is_member(&text), name == "pve3" && quorate == "1");
            let cut = cut.index(text.len());
            prop_assert!(!is_member(&String::from_utf8_lossy(&text.as_bytes()[..cut])), "half a text is none");
        }
    }
}
