//! A cluster, simulated hosts with an sshd each, and a plain SSH client to try them with.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use provisioning_core::model::{CertFingerprint, Hostname, OperationId, Secret, SshPublicKey, Timestamp};
use provisioning_core::render::RemoteCommand;
use provisioning_sim::real::cluster::{Founder, SimCluster};
use provisioning_sim::real::node::{NodeSpec, SimNode};
use provisioning_sim::real::pvecm::Pace;
use provisioning_sim::real::ssh::{HostKey, SimSshd};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, client};
use tokio::time::{interval, timeout};

pub(crate) const PASSWORD: &str = "the cluster's password";

/// Long enough for a busy machine; whoever waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn name(text: &str) -> Hostname {
    text.parse().unwrap()
}

pub(crate) fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// A cluster of `pve1` to `pveN` at 10.0.0.1 and following.
pub(crate) fn cluster(founders: u8) -> SimCluster {
    let founder = |n: u8| Founder {
        name: name(&format!("pve{n}")),
        address: ip(n),
        fingerprint: CertFingerprint::new([n; 32]),
        password: Secret::new(PASSWORD.to_owned()),
    };
    SimCluster::found("lab", (1..=founders).map(founder).collect())
}

pub(crate) fn quick() -> Pace {
    Pace { step: Duration::from_millis(2), ..Pace::default() }
}

/// A host with power and an sshd, and the one-time key that its installer was given.
pub(crate) struct Host {
    pub(crate) node: SimNode,
    pub(crate) sshd: SimSshd,
    pub(crate) sshd_key: HostKey,
    pub(crate) key: PrivateKey,
    pub(crate) operation: OperationId,
}

impl Host {
    /// `n` makes its name, address and keys.
    pub(crate) async fn start(n: u8, network: Option<&SimCluster>, pace: Pace) -> Self {
        let key = private_key([n; 32]);
        let node = SimNode::installed(NodeSpec {
            name: name(&format!("node{n}")),
            ip: ip(n),
            root_ssh_keys: vec![format!("{} one-time", public(&key))],
            network: network.cloned(),
            pace,
        });
        node.power_on();
        let sshd_key = HostKey::from_seed([n; 32]);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let sshd = SimSshd::start(any, node.clone(), sshd_key.clone()).await.unwrap();
        let operation = OperationId::new(Timestamp::from_millis(1), [n; 10]);
        Self { node, sshd, sshd_key, key, operation }
    }

    pub(crate) fn public_key(&self) -> SshPublicKey {
        public(&self.key)
    }

    pub(crate) async fn log_in(&self) -> Result<Login, Refused> {
        Login::open(self.sshd.address(), &self.sshd_key, "root", &self.key).await
    }

    pub(crate) fn foothold(&self) -> RemoteCommand {
        RemoteCommand::Foothold { key: self.public_key() }
    }

    pub(crate) fn start_join(&self) -> RemoteCommand {
        RemoteCommand::StartJoin {
            operation: self.operation,
            member: ip(1).to_string().parse().unwrap(),
            fingerprint: CertFingerprint::new([1; 32]),
        }
    }

    pub(crate) fn follow(&self) -> RemoteCommand {
        RemoteCommand::FollowJoin { operation: self.operation }
    }

    pub(crate) fn clear(&self) -> RemoteCommand {
        RemoteCommand::ClearJoin { operation: self.operation }
    }

    pub(crate) fn revoke(&self) -> RemoteCommand {
        RemoteCommand::Revoke { operation: self.operation, key: self.public_key() }
    }

    /// Sets the foothold, joins with this password and follows to the end.
    pub(crate) async fn join_with(&self, password: &str) -> (Login, Output) {
        let login = self.log_in().await.unwrap();
        assert_eq!(login.run(&self.foothold()).await.status, 0);
        assert_eq!(login.run_with(&self.start_join(), &format!("{password}\n")).await.stdout, "started\n");
        let end = self.follow_to_the_end(&login).await;
        (login, end)
    }

    pub(crate) async fn join(&self) -> (Login, Output) {
        self.join_with(PASSWORD).await
    }

    pub(crate) async fn follow_to_the_end(&self, login: &Login) -> Output {
        let followed = async {
            let mut again = interval(Duration::from_millis(5));
            loop {
                again.tick().await;
                let output = login.run(&self.follow()).await;
                if output.stdout.starts_with("ended ") || output.stdout.starts_with("lost") {
                    return output;
                }
            }
        };
        timeout(PATIENCE, followed).await.unwrap()
    }

    /// Waits until sshd answers again, and logs in.
    pub(crate) async fn log_in_when_up(&self) -> Login {
        let logged_in = async {
            let mut again = interval(Duration::from_millis(5));
            loop {
                again.tick().await;
                if let Ok(login) = self.log_in().await {
                    return login;
                }
            }
        };
        timeout(PATIENCE, logged_in).await.unwrap()
    }
}

pub(crate) fn private_key(seed: [u8; 32]) -> PrivateKey {
    PrivateKey::try_from(KeypairData::from(Ed25519Keypair::from_seed(&seed))).unwrap()
}

pub(crate) fn public(key: &PrivateKey) -> SshPublicKey {
    key.public_key().to_openssh().unwrap().parse().unwrap()
}

/// Why there is no login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NotThere,
    Key,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) status: u32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) struct Login(client::Handle<Pinned>);

struct Pinned(SshPublicKey);

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        Ok(key.to_openssh().unwrap().parse() == Ok(self.0.clone()))
    }
}

impl Login {
    pub(crate) async fn open(
        address: SocketAddr,
        sshd_key: &HostKey,
        user: &str,
        key: &PrivateKey,
    ) -> Result<Self, Refused> {
        let config = Arc::new(client::Config { nodelay: true, ..client::Config::default() });
        let connected = client::connect(config, address, Pinned(sshd_key.public())).await;
        let mut handle = connected.map_err(|_| Refused::NotThere)?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), None);
        match handle.authenticate_publickey(user, key).await {
            Ok(result) if result.success() => Ok(Self(handle)),
            Ok(_) => Err(Refused::Key),
            Err(_) => Err(Refused::NotThere),
        }
    }

    pub(crate) async fn run(&self, command: &RemoteCommand) -> Output {
        self.run_line(&command.line(), "").await.unwrap()
    }

    pub(crate) async fn run_with(&self, command: &RemoteCommand, stdin: &str) -> Output {
        self.run_line(&command.line(), stdin).await.unwrap()
    }

    /// `None` when the connection broke before an exit status came.
    pub(crate) async fn run_line(&self, line: &str, stdin: &str) -> Option<Output> {
        let mut channel = self.0.channel_open_session().await.ok()?;
        channel.exec(true, line).await.ok()?;
        if !stdin.is_empty() {
            channel.data_bytes(stdin.as_bytes().to_vec()).await.ok()?;
        }
        channel.eof().await.ok();
        let (mut status, mut stdout, mut stderr) = (None, Vec::new(), Vec::new());
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => stdout.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, .. } => stderr.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Some(Output { status: status?, stdout: text(stdout), stderr: text(stderr) })
    }

    /// Asks for an interactive shell; whether it was granted.
    pub(crate) async fn is_given_a_shell(&self) -> bool {
        let mut channel = self.0.channel_open_session().await.unwrap();
        channel.request_shell(true).await.unwrap();
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return true,
                Some(ChannelMsg::Failure) | None => return false,
                Some(_) => {}
            }
        }
    }
}
