//! The join: from a shell on the host to a proven member of the cluster.
//!
//! It survives the death of our process and of the connection: `pvecm add` runs detached on the host, and whoever
//! comes back finds the same run (`reference/cluster-join.md`). Its exit status is 0 even when it failed, so
//! success is an independent look at the membership.

use std::time::Duration;

use super::verdict::{JoinRun, Members, Progress, verdict};
use super::witness::{Gate, Witness};
use crate::machine::FailureReason;
use crate::model::{Cluster, Hostname, JoinSecret, OperationId, Secret, SshPublicKey};
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
    /// An existing member of the cluster, if one may be asked.
    pub(super) witness: Witness<'a>,
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
                return self.confirmed().await;
            }
            if self.witness.gate(self.node, self.transcript).await? == Gate::Inside {
                return self.comes_back().await;
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
        let verdict = match self.becomes_member().await? {
            true if run.is_over() && !run.says_success(self.node) => {
                JoinTrouble::Never(FailureReason::JoinUnfinished { said: run.said() })
            }
            true => return self.confirmed().await,
            false => verdict(&run, self.node),
        };
        if run.is_over() {
            self.execute(&RemoteCommand::ClearJoin { operation: self.operation }, None).await?;
        }
        Err(verdict)
    }

    /// The cluster has a node of this name. It is this one if it was cut off while it joined: then it comes online by
    /// itself. Else nothing may be touched.
    async fn comes_back(&mut self) -> Result<(), JoinTrouble> {
        if self.becomes_member().await? {
            return self.confirmed().await;
        }
        Err(JoinTrouble::Never(FailureReason::NameTaken { node: self.node.to_string() }))
    }

    /// The node's own word is not enough where another can be had.
    async fn confirmed(&mut self) -> Result<(), JoinTrouble> {
        for look in 1..=SETTLE_TIME.as_secs() {
            match self.witness.confirms(self.node, self.transcript).await? {
                None => return Ok(()),
                Some(doubt) if look == SETTLE_TIME.as_secs() => return Err(JoinTrouble::Later(doubt)),
                Some(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        Ok(())
    }

    async fn start(&mut self) -> Result<(), JoinTrouble> {
        let Cluster { member, fingerprint, password, join_secret } = self.cluster;
        let command =
            RemoteCommand::StartJoin { operation: self.operation, member: member.clone(), fingerprint: *fingerprint };
        let line = match join_secret {
            JoinSecret::Password => line_of(password),
            JoinSecret::Ticket => line_of(&self.witness.ticket(password).await?),
        };
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
        Ok(self.members().await?.is_some_and(|members| members.is_standalone()))
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

/// As `pvecm add` reads it. Made at its full length, since a text that grows leaves copies behind.
fn line_of(secret: &Secret<String>) -> Secret<String> {
    let mut line = String::with_capacity(secret.expose().len() + 1);
    line.push_str(secret.expose());
    line.push('\n');
    Secret::new(line)
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

    /// What an existing member of the cluster said; not repeated either.
    pub(super) fn remark(&mut self, text: &str) {
        let entry = format!("{text}\n");
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

pub(super) fn last_words(output: &Output) -> String {
    let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let last: String = text.trim().lines().last().unwrap_or_default().chars().take(300).collect();
    format!("status {}, {}", output.status, if last.is_empty() { "nothing said" } else { &last })
}
