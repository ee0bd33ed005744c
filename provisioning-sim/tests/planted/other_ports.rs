//! Shell, vault and boot server with one bug each.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use provisioning_core::model::{OperationId, Secret};
use provisioning_core::orchestrator::Ports;
use provisioning_core::ports::{
    BootPlan, BootServer, BootServerError, Command, KeyPair, Output, RemoteShell, Shell, ShellError, Target, Vault,
    VaultError,
};
use provisioning_core::render::RemoteCommand;

/// A revocation that is claimed and not done.
pub(crate) fn without_revocation(ports: Ports) -> Ports {
    let shell = LyingShells { inner: Arc::clone(&ports.shell), lie: Lie::Revoked, revoked: Arc::default() };
    Ports { shell: Arc::new(shell), ..ports }
}

/// A membership that is claimed and was never asked for.
pub(crate) fn without_joins(ports: Ports) -> Ports {
    let shell = LyingShells { inner: Arc::clone(&ports.shell), lie: Lie::Member, revoked: Arc::default() };
    Ports { shell: Arc::new(shell), ..ports }
}

/// Keys that stay in the vault for ever.
pub(crate) fn without_erasure(ports: Ports) -> Ports {
    Ports { vault: Arc::new(KeepingVault(Arc::clone(&ports.vault))), ..ports }
}

/// A boot server that takes one plan and no other.
pub(crate) fn with_a_stale_plan(ports: Ports) -> Ports {
    let boot_server = StaleBootServer { inner: Arc::clone(&ports.boot_server), has_plan: AtomicBool::new(false) };
    Ports { boot_server: Arc::new(boot_server), ..ports }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    Revoked,
    Member,
}

struct LyingShells {
    inner: Arc<dyn RemoteShell>,
    lie: Lie,
    revoked: Arc<Mutex<BTreeSet<IpAddr>>>,
}

#[async_trait]
impl RemoteShell for LyingShells {
    fn key_pair(&self, seed: &Secret<[u8; 32]>) -> KeyPair {
        self.inner.key_pair(seed)
    }

    async fn open(&self, target: &Target, key: &Secret<String>) -> Result<Box<dyn Shell>, ShellError> {
        let address = target.address;
        if self.revoked.lock().expect("a set").remove(&address) {
            return Err(ShellError::KeyRefused { address });
        }
        let inner = self.inner.open(target, key).await?;
        Ok(Box::new(LyingShell { inner, lie: self.lie, revoked: Arc::clone(&self.revoked), address }))
    }
}

struct LyingShell {
    inner: Box<dyn Shell>,
    lie: Lie,
    revoked: Arc<Mutex<BTreeSet<IpAddr>>>,
    address: IpAddr,
}

#[async_trait]
impl Shell for LyingShell {
    async fn run(&self, command: &Command) -> Result<Output, ShellError> {
        let said = |stdout: String| Ok(Output { status: 0, stdout, stderr: String::new() });
        match (RemoteCommand::from_line(&command.line), self.lie) {
            (Some(RemoteCommand::Revoke { .. }), Lie::Revoked) => {
                self.revoked.lock().expect("a set").insert(self.address);
                said(String::new())
            }
            (Some(RemoteCommand::Members), Lie::Member) => {
                let IpAddr::V4(address) = self.address else { panic!("the world has IPv4 addresses") };
                let name = format!("pve-{:02}", address.octets()[3]);
                said(format!(
                    r#"{{"nodename":"{name}","cluster":{{"quorate":1}},"nodelist":{{"{name}":{{"online":1}}}}}}"#
                ))
            }
            _ => self.inner.run(command).await,
        }
    }

    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}

struct KeepingVault(Arc<dyn Vault>);

#[async_trait]
impl Vault for KeepingVault {
    async fn store(&self, operation: OperationId, key: &Secret<String>) -> Result<(), VaultError> {
        self.0.store(operation, key).await
    }

    async fn open(&self, operation: OperationId) -> Result<Option<Secret<String>>, VaultError> {
        self.0.open(operation).await
    }

    async fn erase(&self, _: OperationId) -> Result<(), VaultError> {
        Ok(())
    }

    async fn held(&self) -> Result<Vec<OperationId>, VaultError> {
        self.0.held().await
    }
}

struct StaleBootServer {
    inner: Arc<dyn BootServer>,
    has_plan: AtomicBool,
}

#[async_trait]
impl BootServer for StaleBootServer {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        if self.has_plan.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.inner.apply(plan).await?;
        self.has_plan.store(true, Ordering::SeqCst);
        Ok(())
    }
}
