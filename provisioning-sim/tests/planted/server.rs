//! What machines talk to, with one bug.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use provisioning_core::model::{HostId, MacAddr, Secret};
use provisioning_core::orchestrator::{AnswerRefusal, BootReply, Orchestrator, Report};
use provisioning_sim::world::{Plant, Server};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A machine that was given the installer once is given it again.
    InstallsAgain,
    /// A report counts for whatever operation runs.
    TakesAnyToken,
}

pub(crate) fn that(bug: Bug) -> Plant {
    let wrap = move |inner: Arc<Orchestrator>| -> Arc<dyn Server> {
        Arc::new(BrokenServer { inner, bug, scripts: Mutex::default() })
    };
    Plant { server: Arc::new(wrap), ..Plant::default() }
}

struct BrokenServer {
    inner: Arc<Orchestrator>,
    bug: Bug,
    scripts: Mutex<BTreeMap<MacAddr, String>>,
}

impl BrokenServer {
    fn server(&self) -> &dyn Server {
        &*self.inner
    }

    async fn running_token(&self, host: HostId) -> Option<String> {
        let running = self.inner.store().host(host).await.ok()??.state.running()?;
        Some(self.inner.store().operation(running).await.ok()??.token.expose())
    }
}

#[async_trait]
impl Server for BrokenServer {
    async fn boot_script(&self, mac: MacAddr) -> BootReply {
        let reply = self.server().boot_script(mac).await;
        let (Bug::InstallsAgain, BootReply::Script(script)) = (self.bug, &reply) else { return reply };
        let mut scripts = self.scripts.lock().expect("a map");
        if script.expose().contains("/vmlinuz") {
            scripts.insert(mac, script.expose().clone());
        }
        scripts.get(&mac).map_or(reply, |script| BootReply::Script(Secret::new(script.clone())))
    }

    async fn download(&self, token: &str) -> bool {
        self.server().download(token).await
    }

    async fn answer(&self, token: &str, body: &[u8]) -> Result<String, AnswerRefusal> {
        self.server().answer(token, body).await
    }

    async fn first_boot_script(&self, host: HostId, token: &str) -> bool {
        self.server().first_boot_script(host, token).await
    }

    async fn report(&self, report: Report, host: HostId, token: &str, body: &[u8]) -> bool {
        let other = if self.bug == Bug::TakesAnyToken { self.running_token(host).await } else { None };
        self.server().report(report, host, other.as_deref().unwrap_or(token), body).await
    }
}
