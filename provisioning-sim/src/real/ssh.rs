//! The sshd of a simulated node on a real socket: there while the node has power, gone with every connection when
//! it has not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use provisioning_core::model::SshPublicKey;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::server::Config;
use russh::{MethodKind, MethodSet};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::node::SimNode;
use super::ssh_session::Session;

/// How long sshd waits before it tries again what the system refused.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The node's ed25519 host key.
#[derive(Clone)]
pub struct HostKey(PrivateKey);

impl HostKey {
    /// The same seed gives the same key.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(KeypairData::from(Ed25519Keypair::from_seed(&seed)).try_into().expect("an ed25519 pair is a private key"))
    }

    /// The public half, as webhook and phone-home report it.
    pub fn public(&self) -> SshPublicKey {
        core_key(self.0.public_key()).expect("an ed25519 key is of a type that we know")
    }
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HostKey").field(&self.public()).finish()
    }
}

/// A running sshd. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct SimSshd {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl SimSshd {
    /// Listens on `address` (port 0: any free one) while the node has power.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr, node: SimNode, host_key: HostKey) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let config = Config {
            methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
            keys: vec![host_key.0],
            // A refusal costs nothing here; russh would hold it for a second.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            nodelay: true,
            ..Config::default()
        };
        let accepting = tokio::spawn(serve(listener, address, node, Arc::new(config)));
        Ok(Self { address, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and every connection, and returns when the port is free.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // Cancelled, as it should be.
        (&mut self.accepting).await.ok();
    }
}

impl Drop for SimSshd {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(first: TcpListener, address: SocketAddr, node: SimNode, config: Arc<Config>) {
    let mut power = node.power();
    let mut first = Some(first);
    loop {
        let now = *power.borrow_and_update();
        let listener = first.take();
        if now.on {
            let listener = match listener {
                Some(listener) => listener,
                None => bound_again(address).await,
            };
            tokio::select! {
                biased;
                changed = power.changed() => if changed.is_err() { return },
                () = accept(listener, &node, now.boot, &config) => {}
            }
        } else {
            drop(listener);
            if power.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Accepts for ever; dropping it drops the connections.
async fn accept(listener: TcpListener, node: &SimNode, boot: u64, config: &Arc<Config>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, config.clone(), Session::new(node.clone(), boot)));
                    }
                    // Gone before it was accepted, or no file descriptor left: the next may fare better.
                    Err(error) => {
                        tracing::debug!(%error, "sshd could not accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
}

/// One connection. russh runs its half as a task of its own, so the bytes go through a pipe that ends with us: a
/// power cut leaves no farewell on the wire.
async fn connection(mut stream: TcpStream, config: Arc<Config>, session: Session) {
    stream.set_nodelay(true).ok();
    let (ours, mut far) = tokio::io::duplex(64 * 1024);
    let protocol = async {
        match russh::server::run_stream(config, ours, session).await {
            Ok(running) => running.await,
            Err(error) => Err(error),
        }
    };
    let wire = async move { tokio::io::copy_bidirectional(&mut stream, &mut far).await };
    let (protocol, wire) = tokio::join!(protocol, wire);
    if let Err(error) = protocol {
        tracing::debug!(%error, "ssh session ended");
    }
    if let Err(error) = wire {
        tracing::debug!(%error, "ssh connection ended");
    }
}

/// The port is ours, but the system may need a moment to give it back.
async fn bound_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(%error, %address, "sshd cannot listen yet"),
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// A key in the core's type; `None` for types that Proxmox hosts of ours never see.
pub(super) fn core_key(key: &russh::keys::PublicKey) -> Option<SshPublicKey> {
    key.to_openssh().ok()?.parse().ok()
}
