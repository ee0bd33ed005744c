//! Installed systems that answer real SSH and join a simulated cluster.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use provisioning_core::model::Hostname;
use tokio::sync::Semaphore;

use crate::real::cluster::SimCluster;
use crate::real::host::{InstalledSystem, SshHostKeys, SystemSpec, Systems};
use crate::real::node::{NodeSpec, SimNode};
use crate::real::pvecm::Pace;
use crate::real::ssh::{HostKey, SimSshd};

/// Makes nodes of one cluster, or of none.
#[derive(Debug)]
pub struct SshSystems {
    cluster: Option<SimCluster>,
    pace: Pace,
    memory: Arc<Semaphore>,
}

impl SshSystems {
    /// Systems on the network of this cluster, whose joins take their time.
    pub fn new(cluster: Option<SimCluster>, pace: Pace) -> Self {
        Self { cluster, pace, memory: Arc::new(Semaphore::new(1)) }
    }

    /// The cluster that the systems may join.
    pub fn cluster(&self) -> Option<&SimCluster> {
        self.cluster.as_ref()
    }
}

impl Systems for SshSystems {
    fn install(&self, spec: SystemSpec) -> Box<dyn InstalledSystem> {
        let label = spec.fqdn.split('.').next().unwrap_or_default();
        let node = label.parse::<Hostname>().ok().map(|name| {
            SimNode::installed(NodeSpec {
                name,
                ip: spec.address,
                root_ssh_keys: spec.root_ssh_keys,
                network: self.cluster.clone(),
                pace: self.pace,
            })
        });
        let (address, port) = (spec.address, spec.ssh_port);
        Box::new(SshSystem { node, key: HostKey::from_seed(spec.key_seed), address, port, sshd: None })
    }

    fn memory(&self) -> Arc<Semaphore> {
        self.memory.clone()
    }
}

struct SshSystem {
    /// `None` when the name can be no node's, as one that is all digits.
    node: Option<SimNode>,
    key: HostKey,
    address: IpAddr,
    port: u16,
    sshd: Option<SimSshd>,
}

#[async_trait]
impl InstalledSystem for SshSystem {
    fn ssh_host_keys(&self) -> SshHostKeys {
        let absent = || "unknown".to_owned();
        SshHostKeys { ed25519: self.key.public().to_string(), ecdsa: absent(), rsa: absent() }
    }

    fn cert_fingerprint(&self) -> String {
        self.node.as_ref().map(|node| node.certificate().to_string()).unwrap_or_default()
    }

    async fn power_on(&mut self) -> io::Result<()> {
        let Some(node) = &self.node else {
            return Err(io::Error::other("its name can be no node's"));
        };
        node.power_on();
        let address = SocketAddr::new(self.address, self.port);
        self.sshd = Some(SimSshd::start(address, node.clone(), self.key.clone()).await?);
        Ok(())
    }

    async fn power_off(&mut self) {
        if let Some(node) = &self.node {
            node.power_off();
        }
        if let Some(sshd) = self.sshd.take() {
            sshd.stop().await;
        }
    }
}
