//! What a join's output and the node's own view of the cluster mean. Pure: the join decides by it.

use serde::Deserialize;

use super::join::JoinTrouble;
use crate::machine::FailureReason;
use crate::model::Hostname;
use crate::ports::Output;

/// How much of what `pvecm` said goes into a reason, in characters.
const SAID_CHARS_MAX: usize = 300;

/// How a detached `pvecm add` fares.
#[derive(Debug)]
pub(super) struct JoinRun {
    pub(super) progress: Progress,
    pub(super) out: String,
    pub(super) err: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
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
    /// Reads what the follow script printed.
    pub(super) fn read(output: &Output) -> Option<Self> {
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

    /// Whether its process is gone.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.progress, Progress::Ended | Progress::Lost)
    }

    /// Whether it came to its end: only then its last line says so, while its exit status is 0 in any case.
    pub(super) fn says_success(&self, node: &Hostname) -> bool {
        let line = format!("successfully added node '{node}' to cluster.");
        self.out.lines().any(|said| said.trim() == line)
    }

    /// What `pvecm` complained of. Its last line sums up what the lines before it tell.
    pub(super) fn said(&self) -> String {
        const SUMMARIES: [&str; 2] = ["Cluster join aborted!", "Check if node may join a cluster failed!"];
        let lines = |text: &str| -> Vec<String> {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !SUMMARIES.contains(line));
            lines.map(str::to_owned).collect()
        };
        let complaints = lines(&self.err);
        let listed: Vec<&str> = complaints.iter().filter_map(|line| line.strip_prefix("* ")).collect();
        let said = if listed.is_empty() {
            complaints.last().cloned().or_else(|| lines(&self.out).pop()).unwrap_or_else(|| "nothing".to_owned())
        } else {
            listed.join("; ")
        };
        said.chars().take(SAID_CHARS_MAX).collect()
    }
}

/// What a join that left no member behind means. The texts are `pvecm`'s (`reference/cluster-join.md`).
pub(super) fn verdict(run: &JoinRun, node: &Hostname) -> JoinTrouble {
    let all = format!("{}\n{}", run.out, run.err);
    let said = run.said();
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

/// `/etc/pve/.members`: the cluster file system's own view.
#[derive(Debug, Deserialize)]
pub(super) struct Members {
    nodename: String,
    cluster: Option<OwnCluster>,
    #[serde(default)]
    nodelist: std::collections::BTreeMap<String, OwnNode>,
}

#[derive(Debug, Deserialize)]
struct OwnCluster {
    quorate: i64,
}

#[derive(Debug, Deserialize)]
struct OwnNode {
    #[serde(default)]
    online: i64,
}

impl Members {
    /// In the cluster, online, quorate, and the node we are on.
    pub(super) fn has_online(&self, node: &Hostname) -> bool {
        self.nodename == node.as_str()
            && self.cluster.as_ref().is_some_and(|cluster| cluster.quorate == 1)
            && self.nodelist.get(node.as_str()).is_some_and(|member| member.online == 1)
    }

    /// The node is in no cluster.
    pub(super) fn is_standalone(&self) -> bool {
        self.cluster.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ended(out: &str, err: &str) -> JoinRun {
        JoinRun { progress: Progress::Ended, out: out.into(), err: err.into() }
    }

    fn reason(out: &str, err: &str) -> FailureReason {
        match verdict(&ended(out, err), &"pve-07".parse().unwrap()) {
            JoinTrouble::Never(why) => why,
            JoinTrouble::Later(said) => panic!("to be tried again: {said}"),
        }
    }

    #[test]
    fn a_failed_join_is_told_by_what_pvecm_said() {
        let half = reason(
            "Login succeeded.\nRequest addition of this node\nJoin request OK, finishing setup locally",
            "dying",
        );
        assert!(matches!(half, FailureReason::HalfJoined { .. }));
        let taken = reason(
            "Request addition of this node",
            "An error occurred on the cluster node: can't add existing node 'pve-07'\nCluster join aborted!",
        );
        assert!(matches!(taken, FailureReason::NameTaken { .. }));
        let text = "An error occurred on the cluster node: cluster not ready - no quorum?\nCluster join aborted!";
        let quorum = verdict(&ended("Request addition of this node", text), &"pve-07".parse().unwrap());
        assert!(matches!(quorum, JoinTrouble::Later(said) if said.contains("cluster not ready - no quorum?")));
        let password = reason("Establishing API connection with host 'a'", "401 authentication failure");
        assert_eq!(password, FailureReason::JoinFailed { said: "401 authentication failure".into() });
    }

    #[test]
    fn what_pvecm_complains_of_is_told_and_not_its_summary() {
        let checks = "detected the following error(s):\n* authentication key '/etc/corosync/authkey' already exists\n\
                      * this host already contains virtual guests\nCheck if node may join a cluster failed!\n";
        let said =
            "authentication key '/etc/corosync/authkey' already exists; this host already contains virtual guests";
        assert_eq!(reason("", checks), FailureReason::JoinFailed { said: said.into() });
        let links = "An error occurred on the cluster node: corosync.conf: no link0\nCluster join aborted!\n";
        let said = "An error occurred on the cluster node: corosync.conf: no link0";
        assert_eq!(reason("Request addition of this node\n", links), FailureReason::JoinFailed { said: said.into() });
        assert_eq!(reason("", ""), FailureReason::JoinFailed { said: "nothing".into() });
    }

    #[test]
    fn only_the_last_line_of_this_nodes_join_is_a_success() {
        let node: Hostname = "pve-07".parse().unwrap();
        assert!(
            ended("waiting for quorum...OK\nsuccessfully added node 'pve-07' to cluster.\n", "").says_success(&node)
        );
        assert!(!ended("successfully added node 'pve-70' to cluster.\n", "").says_success(&node));
        assert!(
            !ended("waiting for quorum...OK\n", "successfully added node 'pve-07' to cluster.").says_success(&node)
        );
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
