//! The few commands we run on a host, as fixed scripts with arguments.
//!
//! Each is `sh -c SCRIPT NAME ARGS…`: the script never changes, so nothing in an argument can become shell, and a
//! simulator can recognise a command by its name. What they rely on: `reference/cluster-join.md`.

use crate::model::{CertFingerprint, MemberAddr, OperationId, SshPublicKey};

/// A command for a host's shell. Secrets go to its standard input only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteCommand {
    /// Puts the one-time key into the node-local `authorized_keys2`: the cluster-wide file is replaced by a join.
    Foothold {
        /// The one-time key.
        key: SshPublicKey,
    },
    /// Prints `/etc/pve/.members`, the cluster file system's own view of the membership.
    Members,
    /// Starts `pvecm add` detached from the login, once per operation; prints `started` or `already`.
    /// Reads the cluster's password from standard input.
    StartJoin {
        /// Names the run directory, so that a second start finds the first.
        operation: OperationId,
        /// The member to join by.
        member: MemberAddr,
        /// The member's API certificate.
        fingerprint: CertFingerprint,
    },
    /// Prints how the join fares, a line of `absent`, `starting`, `running`, `lost` or `ended STATUS`, then its
    /// output; its standard error goes to standard error.
    FollowJoin {
        /// Whose join.
        operation: OperationId,
    },
    /// Removes the run directory of a join that ended or was lost, so that another can be started.
    ClearJoin {
        /// Whose join.
        operation: OperationId,
    },
    /// Removes the run directory and every line with the key's blob, each file in place, the foothold last.
    Revoke {
        /// Whose run directory.
        operation: OperationId,
        /// The one-time key.
        key: SshPublicKey,
    },
}

/// How long `pvecm add` may take. It waits for quorum without limit, usual are 10 to 30 s
/// (`reference/cluster-join.md`, "Steps with side effects").
pub const JOIN_TIME_LIMIT_SECONDS: u64 = 180;

const FOOTHOLD: &str = r#"set -eu
umask 077
mkdir -p /root/.ssh
f=/root/.ssh/authorized_keys2
touch "$f"
grep -qxF -e "$1" "$f" && exit 0
[ -z "$(tail -c 1 "$f")" ] || echo >>"$f"
printf "%s\n" "$1" >>"$f""#;

const MEMBERS: &str = "cat /etc/pve/.members";

const START_JOIN: &str = r#"set -eu
umask 077
IFS= read -r secret || [ -n "$secret" ]
d=/run/provisioning-$1
mkdir "$d" 2>/dev/null || { [ -d "$d" ] || { echo "$d cannot be made" >&2; exit 1; }; echo already; exit 0; }
cd /
{ printf "%s\n" "$secret" | setsid sh -c "$5" provisioning-join-run "$d" "$2" "$3" "$4"; } </dev/null >/dev/null 2>&1 &
echo started"#;

/// The detached half of [`START_JOIN`]: its pid and status files appear whole or not at all.
const JOIN_RUN: &str = r#"echo $$ >"$1/pid.new"
mv "$1/pid.new" "$1/pid"
timeout -k 10 "$4" pvecm add "$2" --fingerprint "$3" >"$1/out" 2>"$1/err"
echo $? >"$1/status.new"
mv "$1/status.new" "$1/status""#;

const FOLLOW_JOIN: &str = r#"d=/run/provisioning-$1
[ -d "$d" ] || { echo absent; exit 0; }
if [ -f "$d/status" ]; then echo "ended $(cat "$d/status")"
elif [ ! -f "$d/pid" ]; then echo starting
elif kill -0 "$(cat "$d/pid")" 2>/dev/null; then echo running
elif [ -f "$d/status" ]; then echo "ended $(cat "$d/status")"
else echo lost
fi
[ ! -f "$d/out" ] || cat "$d/out"
[ ! -f "$d/err" ] || cat "$d/err" >&2"#;

const CLEAR_JOIN: &str = r#"d=/run/provisioning-$1
[ -f "$d/status" ] || ! kill -0 "$(cat "$d/pid" 2>/dev/null || echo 1)" 2>/dev/null || exit 0
rm -rf "$d""#;

/// Without the cluster file system it would find no key where one may still stand, so it waits for that. A file that
/// was written is read again: the cluster file system may refuse a write only when the file is closed.
const REVOKE: &str = r#"set -eu
umask 077
rm -rf "/run/provisioning-$1"
[ -e /etc/pve/.members ] || { echo "/etc/pve is not mounted" >&2; exit 4; }
for f in /etc/pve/priv/authorized_keys /root/.ssh/authorized_keys /root/.ssh/authorized_keys.org \
  /root/.ssh/authorized_keys2.org /root/.ssh/authorized_keys2; do
  [ -f "$f" ] || continue
  grep -qF -e "$2" "$f" || { [ $? -eq 1 ] || exit 2; continue; }
  kept=$(grep -vF -e "$2" "$f") || [ $? -eq 1 ]
  if [ -n "$kept" ]; then printf "%s\n" "$kept" >"$f"; else : >"$f"; fi
  ! grep -qF -e "$2" "$f" || { echo "$f still holds the key" >&2; exit 3; }
  [ -s "$f" ] || [ "${f##*/}" != authorized_keys2 ] || rm "$f"
done"#;

impl RemoteCommand {
    /// The command's name: `$0` of its script.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Foothold { .. } => "provisioning-foothold",
            Self::Members => "provisioning-members",
            Self::StartJoin { .. } => "provisioning-join",
            Self::FollowJoin { .. } => "provisioning-follow",
            Self::ClearJoin { .. } => "provisioning-clear",
            Self::Revoke { .. } => "provisioning-revoke",
        }
    }

    /// The line for the host's shell.
    pub fn line(&self) -> String {
        let mut words = vec!["sh".to_owned(), "-c".to_owned(), self.script().to_owned(), self.name().to_owned()];
        words.extend(self.arguments());
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// Reads a line back. `None` for anything that [`Self::line`] did not write: a simulator must not guess.
    pub fn from_line(line: &str) -> Option<Self> {
        let words = unquoted(line)?;
        let [sh, dash_c, _, name, arguments @ ..] = words.as_slice() else { return None };
        if sh != "sh" || dash_c != "-c" {
            return None;
        }
        let command = match (name.as_str(), arguments) {
            ("provisioning-foothold", [key]) => Self::Foothold { key: key.parse().ok()? },
            ("provisioning-members", []) => Self::Members,
            ("provisioning-join", [operation, member, fingerprint, ..]) => Self::StartJoin {
                operation: operation.parse().ok()?,
                member: member.parse().ok()?,
                fingerprint: fingerprint.parse().ok()?,
            },
            ("provisioning-follow", [operation]) => Self::FollowJoin { operation: operation.parse().ok()? },
            ("provisioning-clear", [operation]) => Self::ClearJoin { operation: operation.parse().ok()? },
            ("provisioning-revoke", [operation, blob]) => {
                Self::Revoke { operation: operation.parse().ok()?, key: format!("ssh-ed25519 {blob}").parse().ok()? }
            }
            _ => return None,
        };
        (command.line() == line).then_some(command)
    }

    fn script(&self) -> &'static str {
        match self {
            Self::Foothold { .. } => FOOTHOLD,
            Self::Members => MEMBERS,
            Self::StartJoin { .. } => START_JOIN,
            Self::FollowJoin { .. } => FOLLOW_JOIN,
            Self::ClearJoin { .. } => CLEAR_JOIN,
            Self::Revoke { .. } => REVOKE,
        }
    }

    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Foothold { key } => vec![key.to_string()],
            Self::Members => vec![],
            Self::StartJoin { operation, member, fingerprint } => vec![
                operation.to_string(),
                member.to_string(),
                fingerprint.to_string(),
                JOIN_TIME_LIMIT_SECONDS.to_string(),
                JOIN_RUN.to_owned(),
            ],
            Self::FollowJoin { operation } | Self::ClearJoin { operation } => vec![operation.to_string()],
            Self::Revoke { operation, key } => vec![operation.to_string(), key.blob().to_owned()],
        }
    }
}

/// A word as POSIX sh reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Words that [`quoted`] wrote, one blank between them.
fn unquoted(line: &str) -> Option<Vec<String>> {
    let inside = line.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inside.split("' '").map(|word| word.replace(r"'\''", "'")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";

    #[test]
    fn every_command_reads_back_and_anything_else_does_not() {
        let operation = OperationId::new(Timestamp::from_millis(1), [1; 10]);
        let key: SshPublicKey = KEY.parse().unwrap();
        let commands = [
            RemoteCommand::Foothold { key: key.clone() },
            RemoteCommand::Members,
            RemoteCommand::StartJoin {
                operation,
                member: "pve1.lab.example".parse().unwrap(),
                fingerprint: CertFingerprint::new([7; 32]),
            },
            RemoteCommand::FollowJoin { operation },
            RemoteCommand::ClearJoin { operation },
            RemoteCommand::Revoke { operation, key },
        ];
        for command in commands {
            let line = command.line();
            assert_eq!(RemoteCommand::from_line(&line), Some(command));
            assert_eq!(RemoteCommand::from_line(&line.replacen("-c' '", "-c' 'true; ", 1)), None, "another script");
        }
        assert_eq!(RemoteCommand::from_line("reboot"), None);
    }
}
