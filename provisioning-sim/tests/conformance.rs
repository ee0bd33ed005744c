//! The product's SSH adapter against a simulated node: whoever is deceived by the simulator fails a rule of the port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use provisioning_adapters::ssh::SshShell;
use provisioning_core::conformance::{RemoteShellFixture, ShellCapabilities};
use provisioning_core::model::{CertFingerprint, OperationId, Secret, Timestamp};
use provisioning_core::ports::{Command, KeyPair, Output, RemoteShell, Target};
use provisioning_core::render::RemoteCommand;
use provisioning_sim::real::node::{NodeSpec, SimNode};
use provisioning_sim::real::pvecm::Pace;
use provisioning_sim::real::ssh::{HostKey, SimSshd};

provisioning_core::remote_shell_conformance!(Host::start().await);

/// A simulated node with power, its sshd, and the one-time key that its installer was given.
struct Host {
    node: SimNode,
    sshd: SimSshd,
    sshd_key: HostKey,
    opening: KeyPair,
}

impl Host {
    async fn start() -> Self {
        let opening = SshShell::new().key_pair(&Secret::new([0x5e; 32]));
        let node = SimNode::installed(NodeSpec {
            name: "node9".parse().expect("a name"),
            ip: [10, 0, 0, 9].into(),
            root_ssh_keys: vec![opening.public.to_string()],
            network: None,
            pace: Pace::default(),
        });
        node.power_on();
        let sshd_key = HostKey::from_seed([9; 32]);
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sshd = SimSshd::start(any_port, node.clone(), sshd_key.clone()).await.expect("loopback has a free port");
        Self { node, sshd, sshd_key, opening }
    }
}

impl RemoteShellFixture for Host {
    type Shell = SshShell;

    async fn fresh(&self) -> SshShell {
        SshShell::new().with_port(self.sshd.address().port())
    }

    fn target(&self) -> Target {
        Target { address: self.sshd.address().ip(), host_keys: vec![self.sshd_key.public()] }
    }

    fn key(&self) -> Secret<String> {
        self.opening.private.clone()
    }

    fn nowhere(&self) -> Target {
        Target { address: IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)), ..self.target() }
    }

    fn break_connections(&self) {
        self.node.power_off();
    }

    fn capabilities(&self) -> ShellCapabilities {
        ShellCapabilities { any_command: false }
    }

    fn known_commands(&self) -> Vec<(Command, Output)> {
        let operation = OperationId::new(Timestamp::from_millis(1), [9; 10]);
        let join = RemoteCommand::StartJoin {
            operation,
            member: "10.0.0.1".parse().expect("an address"),
            fingerprint: CertFingerprint::new([1; 32]),
        };
        let join = Command::new(join.line());
        let foothold = RemoteCommand::Foothold { key: self.opening.public.clone() };
        let follow = RemoteCommand::FollowJoin { operation };
        let says = |stdout: &str| Output { status: 0, stdout: stdout.to_owned(), stderr: String::new() };
        let fails = |status, stderr: &str| Output { status, stdout: String::new(), stderr: stderr.to_owned() };
        let members = "{\n\"nodename\": \"node9\",\n\"version\": 0\n}\n";
        vec![
            (Command::new(RemoteCommand::Members.line()), says(members)),
            (Command::new(foothold.line()), says("")),
            (Command::new(follow.line()), says("absent\n")),
            (Command::new("reboot now"), fails(127, "sh: 1: reboot: not found\n")),
            // Its input ends before the password's line does.
            (join.clone(), fails(1, "")),
            (join.clone().with_stdin(Secret::new("the password\n".to_owned())), says("started\n")),
            (join.with_stdin(Secret::new("the password\n".to_owned())), says("already\n")),
        ]
    }
}
