//! A login on a simulated host without a socket: the same key files and the same commands, for the virtual world.

use provisioning_core::model::{Secret, SshPublicKey};
use provisioning_core::render::RemoteCommand;

use super::node::SimNode;
use super::node_commands::{Performed, Reply};
use super::pvecm::JoinRequest;

/// A login of root; it ends with the boot it was made in.
#[derive(Debug)]
pub(crate) struct LocalShell {
    node: SimNode,
    boot: u64,
}

/// What a command left: exit status and both outputs.
pub(crate) type Left = (u32, String, String);

/// How a host's sshd answers a key.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// Nobody is there.
    Silence,
    /// The key does not open.
    Refusal,
    /// The key opens.
    Welcome(LocalShell),
}

impl SimNode {
    /// Tries a key at the host's sshd.
    pub(crate) fn log_in(&self, key: &SshPublicKey) -> Greeting {
        let boot = self.power().borrow().boot;
        match self.during(boot, |state| state.log_in("root", key)) {
            None => Greeting::Silence,
            Some(false) => Greeting::Refusal,
            Some(true) => Greeting::Welcome(LocalShell { node: self.clone(), boot }),
        }
    }
}

impl LocalShell {
    /// Runs one of the known commands; `None` when the machine lost its power.
    pub(crate) fn run(&self, command: RemoteCommand, stdin: Option<&Secret<String>>) -> Option<Left> {
        let (node, boot) = (&self.node, self.boot);
        let reply = match node.perform(boot, command) {
            Performed::Ended(reply) => reply,
            Performed::WantsSecret { operation, member, fingerprint } => {
                let line = stdin.map_or("", |secret| secret.expose().as_str());
                let password = Secret::new(line.lines().next().unwrap_or_default().to_owned());
                node.start_join(boot, JoinRequest { operation, member, fingerprint, password })
            }
        };
        reply.map(|Reply { status, stdout, stderr }| (status, stdout, stderr))
    }
}
