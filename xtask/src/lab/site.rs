//! A whole place to provision in: LAN, DHCP server, cluster member, our server; and the machines that cases bring.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Context as _;
use tokio::sync::Mutex;

use super::Bench;
use super::footprint::Footprint;
use super::lan::{GATEWAY, LEASES, Lan, Place};
use super::machine::{Hardware, Machine};
use super::member::Member;
use super::server::Server;
use super::service::Service;

/// How the machines get their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settings {
    /// An ordinary DHCP server hands them out; ours only says what to boot.
    ProxyDhcp,
    /// Ours does both, as the only one.
    FullDhcp,
}

impl Settings {
    pub(crate) const ALL: [Self; 2] = [Self::ProxyDhcp, Self::FullDhcp];

    fn name(self) -> &'static str {
        match self {
            Self::ProxyDhcp => "proxy",
            Self::FullDhcp => "full",
        }
    }
}

/// A running site.
pub(crate) struct Site {
    bench: Arc<Bench>,
    folder: PathBuf,
    lan: Lan,
    dhcp: Mutex<Option<Service>>,
    member: Mutex<Member>,
    server: Mutex<Server>,
    api: super::api::Api,
    machines: AtomicU8,
}

impl Site {
    /// Builds the network and starts everything but machines.
    pub(crate) async fn start(bench: &Arc<Bench>, footprint: &Footprint, settings: Settings) -> anyhow::Result<Self> {
        let folder = footprint.folder().join(settings.name());
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let lan = Lan::build(footprint, settings.name())?;
        let dhcp = match settings {
            Settings::ProxyDhcp => Some(ordinary_dhcp(&lan, &folder)?),
            Settings::FullDhcp => None,
        };
        let script = bench.scripts.join("member.sh");
        let member = Member::start(&lan, &script, &folder)?;
        let ipxe = bench.images.ipxe();
        let server = Server::start(&lan, &bench.program, settings, &member, &ipxe, &folder).await?;
        server.operator(&["image", "import", &bench.images.iso().display().to_string()]).await?;
        let api = server.api().clone();
        Ok(Self {
            bench: Arc::clone(bench),
            folder,
            lan,
            dhcp: Mutex::new(dhcp),
            member: Mutex::new(member),
            server: Mutex::new(server),
            api,
            machines: AtomicU8::new(1),
        })
    }

    pub(crate) fn lan(&self) -> &Lan {
        &self.lan
    }

    pub(crate) fn api(&self) -> &super::api::Api {
        &self.api
    }

    /// Builds a machine of this name, switched off.
    pub(crate) fn machine(&self, name: &str, hardware: Hardware) -> anyhow::Result<Machine> {
        let number = self.machines.fetch_add(1, Ordering::Relaxed);
        Machine::build(&self.lan, name, number, hardware, self.folder.join(name), self.bench.kvm)
    }

    /// A disk with a system on it.
    pub(crate) fn installed_disk(&self) -> PathBuf {
        self.bench.images.disk()
    }

    /// Says something to the server as its operator.
    pub(crate) async fn operator(&self, args: &[&str]) -> anyhow::Result<()> {
        self.server.lock().await.operator(args).await
    }

    /// Whether the cluster has a node of this name.
    pub(crate) async fn cluster_has(&self, node: &str) -> anyhow::Result<bool> {
        self.member.lock().await.has_node(node)
    }

    /// Copies the consoles of a case's machine, and the logs of the site, to where they survive the lab.
    pub(crate) fn keep_consoles(&self, case: &str, kept: &Path) -> anyhow::Result<PathBuf> {
        let target = kept.join(case);
        fs::create_dir_all(&target)?;
        for folder in [self.folder.clone(), self.folder.join(case)] {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let file = entry?.path();
                if file.extension().is_some_and(|extension| extension == "log") {
                    fs::copy(&file, target.join(file.file_name().unwrap_or_default()))?;
                }
            }
        }
        Ok(target)
    }

    /// Stops everything in order: the server first, which must end by itself.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        self.server.lock().await.stop().await?;
        self.member.lock().await.stop().await?;
        if let Some(dhcp) = self.dhcp.lock().await.as_mut() {
            dhcp.stop().await?;
        }
        Ok(())
    }
}

/// A DHCP server that knows nothing of netboot, as a router at home is one.
fn ordinary_dhcp(lan: &Lan, folder: &Path) -> anyhow::Result<Service> {
    let mut command = lan.command(Place::Dhcp, "dnsmasq");
    let (first, last) = LEASES;
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping", "--log-facility=-"]);
    command.args(["--user=root", "--interface=eth0", "--bind-interfaces"]);
    command.arg(format!("--dhcp-range={first},{last},255.255.255.0,1h"));
    command.arg(format!("--dhcp-option=option:router,{GATEWAY}"));
    command.arg(format!("--dhcp-leasefile={}", folder.join("dhcp.leases").display()));
    command.arg(format!("--pid-file={}", folder.join("dhcp.pid").display()));
    Service::start(command, "dhcp", folder)
}
