//! A network of the lab: a bridge with the machines' taps, and a namespace each for the DHCP server and for ours.

use std::ffi::OsStr;
use std::net::Ipv4Addr;

use tokio::process::Command;

use super::footprint::{Footprint, ip};

/// The LAN's first three numbers; the last ones are below.
const NET: [u8; 3] = [10, 77, 0];
/// The default gateway that DHCP tells of: nobody needs it.
pub(crate) const GATEWAY: Ipv4Addr = at(1);
/// Our server.
pub(crate) const SERVER: Ipv4Addr = at(2);
/// The ordinary DHCP server.
pub(crate) const DHCP: Ipv4Addr = at(3);
/// The member of the cluster that hosts join by.
pub(crate) const MEMBER: Ipv4Addr = at(9);
/// What DHCP servers hand out.
pub(crate) const LEASES: (Ipv4Addr, Ipv4Addr) = (at(100), at(199));
/// The whole LAN.
pub(crate) const SUBNET: &str = "10.77.0.0/24";

const fn at(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(NET[0], NET[1], NET[2], last)
}

/// A place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the machines and the cluster's member are plugged in.
    Lan,
    /// Where our server runs.
    Server,
    /// Where the ordinary DHCP server runs.
    Dhcp,
}

impl Place {
    const ALL: [Self; 3] = [Self::Lan, Self::Server, Self::Dhcp];

    fn role(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Server => "server",
            Self::Dhcp => "dhcp",
        }
    }
}

/// The namespaces of one site.
#[derive(Debug)]
pub(crate) struct Lan {
    prefix: String,
}

impl Lan {
    /// Makes the namespaces of `site`, and what connects them. The footprint removes them.
    pub(crate) fn build(footprint: &Footprint, site: &str) -> anyhow::Result<Self> {
        let lan = Self { prefix: format!("{}-{site}", footprint.name()) };
        for place in Place::ALL {
            ip(&["netns", "add", &lan.namespace(place)])?;
            lan.ip(place, &["link", "set", "lo", "up"])?;
        }
        lan.ip(Place::Lan, &["link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0"])?;
        lan.ip(Place::Lan, &["link", "set", "br0", "up"])?;
        for address in [GATEWAY, MEMBER] {
            lan.ip(Place::Lan, &["address", "add", &format!("{address}/24"), "dev", "br0"])?;
        }
        lan.connect(Place::Server, SERVER)?;
        lan.connect(Place::Dhcp, DHCP)?;
        Ok(lan)
    }

    /// Plugs a machine's NIC in; one that is not `connected` has a link and nobody at its other end.
    pub(crate) fn plug_in(&self, tap: &str, connected: bool) -> anyhow::Result<()> {
        self.ip(Place::Lan, &["tuntap", "add", tap, "mode", "tap"])?;
        if connected {
            self.ip(Place::Lan, &["link", "set", tap, "master", "br0"])?;
        }
        self.ip(Place::Lan, &["link", "set", tap, "up"])?;
        Ok(())
    }

    /// A command that will run at a place of the network; it dies with the handle.
    pub(crate) fn command(&self, place: Place, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(place)]).arg(program).kill_on_drop(true);
        // Ctrl-C is for us to pass on, in the right order.
        command.process_group(0);
        command
    }

    /// The ids of the processes at a place.
    pub(crate) fn processes(&self, place: Place) -> anyhow::Result<Vec<u32>> {
        let list = ip(&["netns", "pids", &self.namespace(place)])?;
        Ok(list.split_whitespace().filter_map(|id| id.parse().ok()).collect())
    }

    fn connect(&self, place: Place, address: Ipv4Addr) -> anyhow::Result<()> {
        let (port, there) = (place.role(), self.namespace(place));
        self.ip(Place::Lan, &["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", &there])?;
        self.ip(Place::Lan, &["link", "set", port, "master", "br0", "up"])?;
        self.ip(place, &["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        self.ip(place, &["link", "set", "eth0", "up"])?;
        Ok(())
    }

    fn ip(&self, place: Place, args: &[&str]) -> anyhow::Result<()> {
        let namespace = self.namespace(place);
        ip(&[&["-netns", &namespace], args].concat()).map(drop)
    }

    fn namespace(&self, place: Place) -> String {
        format!("{}-{}", self.prefix, place.role())
    }
}
