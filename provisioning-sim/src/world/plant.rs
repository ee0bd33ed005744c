//! Bugs to plant: wrappers around what the orchestrator asks of the world and around what the world asks of it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use provisioning_core::model::{HostId, MacAddr};
use provisioning_core::orchestrator::{AnswerRefusal, AnswerRequest, BootReply, Orchestrator, Ports, Report};

/// Makes other ports of ports; called whenever the process starts.
pub type WrapPorts = Arc<dyn Fn(Ports) -> Ports + Send + Sync>;

/// Makes what machines talk to of an orchestrator; called whenever the process starts.
pub type WrapServer = Arc<dyn Fn(Arc<Orchestrator>) -> Arc<dyn Server> + Send + Sync>;

/// A bug, or none.
#[derive(Clone)]
pub struct Plant {
    /// Around the ports.
    pub ports: WrapPorts,
    /// Around the orchestrator.
    pub server: WrapServer,
}

impl Default for Plant {
    /// None: the product as it is.
    fn default() -> Self {
        Self { ports: Arc::new(|ports| ports), server: Arc::new(|orchestrator| -> Arc<dyn Server> { orchestrator }) }
    }
}

impl fmt::Debug for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plant").finish_non_exhaustive()
    }
}

/// What machines ask of us and tell us.
#[async_trait]
pub trait Server: Send + Sync {
    /// Firmware asks what to boot.
    async fn boot_script(&self, mac: MacAddr) -> BootReply;
    /// The boot loader fetches kernel and initrd: whether it gets them.
    async fn download(&self, token: &str) -> bool;
    /// The installer asks for its answer file.
    async fn answer(&self, token: &str, body: &[u8]) -> Result<String, AnswerRefusal>;
    /// The installer fetches the first-boot script: whether it gets it.
    async fn first_boot_script(&self, host: HostId, token: &str) -> bool;
    /// A machine reports: whether it was accepted.
    async fn report(&self, report: Report, host: HostId, token: &str, body: &[u8]) -> bool;
}

#[async_trait]
impl Server for Orchestrator {
    async fn boot_script(&self, mac: MacAddr) -> BootReply {
        Self::boot_script(self, mac).await
    }

    async fn download(&self, token: &str) -> bool {
        self.authorise(token).await.is_ok()
    }

    async fn answer(&self, token: &str, body: &[u8]) -> Result<String, AnswerRefusal> {
        let request = AnswerRequest { token: Some(token), body, accept: None, from: None };
        Ok(self.answer_file(&request).await?.text.expose().clone())
    }

    async fn first_boot_script(&self, host: HostId, token: &str) -> bool {
        Self::first_boot_script(self, host, token).await.is_ok()
    }

    async fn report(&self, report: Report, host: HostId, token: &str, body: &[u8]) -> bool {
        Self::report(self, report, host, token, body, None).await.is_ok()
    }
}
