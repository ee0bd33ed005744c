//! What a fleet is told, and the cluster that its hosts join.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use provisioning_core::model::{CertFingerprint, Hostname, Release, Secret};

use crate::real::cluster::{Founder, SimCluster};
use crate::real::host::Timing;
use crate::real::pvecm::Pace;

/// What a fleet is told.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// The server's base address.
    pub server: String,
    /// Where firmware is told to boot from, when that is another address.
    pub boot_server: Option<String>,
    /// The certificate that operators trust, as PEM, in place of the system's authorities. Machines know it by what the
    /// server tells them.
    pub ca_pem: Option<String>,
    /// The operator's token; `None` for a server that asks for none.
    pub token: Option<Secret<String>>,
    /// How many machines.
    pub hosts: u16,
    /// Decides addresses, delays and all else that looks random.
    pub seed: u64,
    /// The release that is installed.
    pub release: Release,
    /// The server type that the hosts are registered with; the server's first one otherwise.
    pub server_type: Option<String>,
    /// What the hosts' names begin with.
    pub name_prefix: String,
    /// Where the machines' sshd listens.
    pub ssh_port: u16,
    /// Kernel names of the machines' disks; the usual four when empty.
    pub disks: Vec<String>,
    /// The cluster; without one every join finds nobody, and a server that leaves hosts standalone does not ask.
    pub cluster: Option<ClusterOptions>,
    /// How long a join takes.
    pub join_pace: Pace,
    /// How often a failed host is rebuilt.
    pub rebuild_failed: u32,
    /// When the fleet stops waiting; never when `None`.
    pub timeout: Option<Duration>,
    /// How long the server may be away before the operator gives up.
    pub outage_max: Duration,
    /// How fast the machines' clocks run.
    pub timing: Timing,
    /// Bytes of filler in a synthetic image, if the server needs one.
    pub iso_filler_bytes: usize,
}

impl FleetOptions {
    /// Six machines of release 9.2 with a simulated cluster, against this server.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            boot_server: None,
            ca_pem: None,
            token: None,
            hosts: 6,
            seed: 1,
            release: Release::new(9, 2),
            server_type: None,
            name_prefix: "sim".to_owned(),
            ssh_port: 2222,
            disks: Vec::new(),
            cluster: Some(ClusterOptions::default()),
            join_pace: Pace::default(),
            rebuild_failed: 0,
            timeout: None,
            outage_max: Duration::from_secs(120),
            timing: Timing::default(),
            iso_filler_bytes: 8 << 20,
        }
    }

    /// The name of machine number `number`: prefix, seed, and its number from 1.
    pub fn host_name(&self, number: u16) -> String {
        format!("{}-{}-{:03}", self.name_prefix, self.seed, u32::from(number) + 1)
    }
}

/// The simulated cluster's one founder, as the server under test must be told of it.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Its node name: `proxmox.existing_node`.
    pub member: Hostname,
    /// Its address, should the server be told that instead.
    pub address: IpAddr,
    /// Its API certificate: `proxmox.join_fingerprint`.
    pub fingerprint: CertFingerprint,
    /// Root's password: `proxmox.join_password`.
    pub password: Secret<String>,
}

impl ClusterOptions {
    /// The founder's name unless told otherwise.
    pub const MEMBER: &str = "pve1";
    /// Its address.
    pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 76, 0, 1));
    /// Its certificate unless told otherwise.
    pub const FINGERPRINT: &str =
        "51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB";
    /// Root's password unless told otherwise: known to everybody, since nothing real is behind it.
    pub const PASSWORD: &str = "simulated-cluster";

    /// The cluster with its founder, online.
    pub fn found(&self) -> SimCluster {
        let founder = Founder {
            name: self.member.clone(),
            address: self.address,
            fingerprint: self.fingerprint,
            password: self.password.clone(),
        };
        SimCluster::found("simulated", vec![founder])
    }

    /// The lines that a server's configuration needs for this cluster and these machines; the password's file is for
    /// the operator to write.
    pub fn config_lines(&self, ssh_port: u16) -> String {
        format!(
            "proxmox:\n  existing_node: {}\n  join_fingerprint: \"{}\"\n  join_password_file: join-password\n  \
             ssh_port: {ssh_port}\n",
            self.member, self.fingerprint,
        )
    }
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            member: Self::MEMBER.parse().expect("it is a host name"),
            address: Self::ADDRESS,
            fingerprint: Self::FINGERPRINT.parse().expect("it is a fingerprint"),
            password: Secret::new(Self::PASSWORD.to_owned()),
        }
    }
}
