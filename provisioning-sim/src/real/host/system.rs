//! The installed system as the machine sees it: something that can be switched on and has keys.
//!
//! What runs inside, its sshd and its cluster, is behind these traits, so that a machine can be simulated with any.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Makes systems out of finished installations.
pub trait Systems: Send + Sync {
    /// Puts a system on a machine's disk, switched off.
    fn install(&self, spec: SystemSpec) -> Box<dyn InstalledSystem>;

    /// Turns at holding a machine's images in memory: shared by all machines of one simulation.
    fn memory(&self) -> Arc<Semaphore>;
}

/// What an installation decided.
#[derive(Clone, Debug)]
pub struct SystemSpec {
    /// The full name.
    pub fqdn: String,
    /// The management address.
    pub address: IpAddr,
    /// Where sshd listens.
    pub ssh_port: u16,
    /// Lines of root's authorized_keys, as the installer writes them.
    pub root_ssh_keys: Vec<String>,
    /// What host keys and certificate are made from: another one for every installation.
    pub key_seed: [u8; 32],
}

/// The SSH host keys of an installed system, as OpenSSH public key lines; `unknown` where there is none, which is what
/// the installer reports then (`reference/post-hook.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshHostKeys {
    /// Ed25519.
    pub ed25519: String,
    /// ECDSA.
    pub ecdsa: String,
    /// RSA.
    pub rsa: String,
}

/// A system on a disk.
#[async_trait]
pub trait InstalledSystem: Send + Sync {
    /// Its SSH host keys, which stay the same for its whole life.
    fn ssh_host_keys(&self) -> SshHostKeys;
    /// The fingerprint of its API certificate: `AA:BB:...`.
    fn cert_fingerprint(&self) -> String;
    /// Boots it: sshd listens when this returns.
    async fn power_on(&mut self) -> std::io::Result<()>;
    /// Cuts its power. Harmless when it is off.
    async fn power_off(&mut self);
}
