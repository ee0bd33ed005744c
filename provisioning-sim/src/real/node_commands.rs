//! What our fixed scripts do on a simulated node, step by step as the shell would do it.
//!
//! The scripts are those of `provisioning_core::render::RemoteCommand`.

use provisioning_core::model::{CertFingerprint, MemberAddr, OperationId, SshPublicKey};
use provisioning_core::render::RemoteCommand;

use super::node::{NodeState, SimNode};
use super::node_files::{ClusterFs, KeyFile};

/// What a command leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// How far a command has come.
pub(super) enum Performed {
    /// To its end; `None` when the machine lost its power.
    Ended(Option<Reply>),
    /// To where it reads a join's secret.
    WantsSecret { operation: OperationId, member: MemberAddr, fingerprint: CertFingerprint },
}

impl SimNode {
    /// Performs a command of a login that was made in `boot`, over SSH or not.
    pub(super) fn perform(&self, boot: u64, command: RemoteCommand) -> Performed {
        Performed::Ended(match command {
            RemoteCommand::Foothold { key } => self.during(boot, |state| state.foothold(&key)),
            RemoteCommand::Members => self.during(boot, |state| state.members(self)),
            RemoteCommand::FollowJoin { operation } => self.during(boot, |state| state.follow(operation)),
            RemoteCommand::ClearJoin { operation } => self.during(boot, |state| {
                state.runs.clear(operation);
                Reply::default()
            }),
            RemoteCommand::Revoke { operation, key } => self.during(boot, |state| state.revoke(operation, &key)),
            RemoteCommand::StartJoin { operation, member, fingerprint } => {
                return Performed::WantsSecret { operation, member, fingerprint };
            }
        })
    }
}

impl NodeState {
    pub(super) fn foothold(&mut self, key: &SshPublicKey) -> Reply {
        let mut content = self.files.read(KeyFile::Root2).unwrap_or_default();
        if !content.lines().any(|line| line == key.as_str()) {
            if !content.is_empty() && !content.ends_with('\n') {
                content.push('\n');
            }
            content.push_str(key.as_str());
            content.push('\n');
            // The file is no part of the cluster file system: it can always be written.
            self.files.write(KeyFile::Root2, content).ok();
        }
        Reply::default()
    }

    pub(super) fn members(&self, node: &SimNode) -> Reply {
        let text = match (self.files.mounted, node.network()) {
            (ClusterFs::Stopped, _) => return Reply::failed(1, "cat: /etc/pve/.members: No such file or directory\n"),
            (ClusterFs::Cluster, Some(cluster)) => cluster.members_text(node.name()),
            (ClusterFs::Alone, Some(cluster)) => cluster.members_text_alone(node.name()),
            _ => format!("{{\n\"nodename\": \"{}\",\n\"version\": 0\n}}\n", node.name()),
        };
        Reply::stdout(&text)
    }

    pub(super) fn follow(&self, operation: OperationId) -> Reply {
        let (stdout, stderr) = self.runs.follow(operation);
        Reply { status: 0, stdout, stderr }
    }

    /// The run directory first, then every line with the key's blob, file by file, the foothold last.
    pub(super) fn revoke(&mut self, operation: OperationId, key: &SshPublicKey) -> Reply {
        self.runs.remove(operation);
        for file in KeyFile::ALL {
            let Some(content) = self.files.read(file) else { continue };
            if !content.contains(key.blob()) {
                continue;
            }
            if self.keys_come_back {
                return Reply::failed(3, &format!("{} still holds the key\n", file.path()));
            }
            let kept: Vec<&str> = content.lines().filter(|line| !line.contains(key.blob())).collect();
            let kept = match kept.join("\n").trim_end_matches('\n') {
                "" => String::new(),
                lines => format!("{lines}\n"),
            };
            if kept.is_empty() && file == KeyFile::Root2 {
                self.files.remove_root2();
            } else if self.files.write(file, kept).is_err() {
                // dash ends with 2 when a redirection fails.
                let name = RemoteCommand::Revoke { operation, key: key.clone() }.name();
                return Reply::failed(2, &format!("{name}: 8: cannot create {}: Permission denied\n", file.path()));
            }
        }
        Reply::default()
    }
}

impl Reply {
    pub(super) fn stdout(text: &str) -> Self {
        Self { stdout: text.to_owned(), ..Self::default() }
    }

    pub(super) fn failed(status: u32, stderr: &str) -> Self {
        Self { status, stdout: String::new(), stderr: stderr.to_owned() }
    }
}
