//! The networks that this machine is on, the likeliest one for machines to netboot from first.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// An address of ours on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The interface's name.
    pub interface: String,
    /// Our address with the network's prefix.
    pub address: Ipv4Net,
    /// Whether the way to everywhere else leads through it.
    pub has_default_route: bool,
}

impl Network {
    /// The network by itself, such as `10.0.0.0/24`.
    pub fn subnet(&self) -> Ipv4Net {
        self.address.trunc()
    }
}

/// The networks of this machine that others can be on.
///
/// # Errors
/// When the kernel does not list its interfaces.
pub fn networks() -> io::Result<Vec<Network>> {
    let mut found = vec![];
    for address in getifaddrs()? {
        let usable = address.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_BROADCAST);
        if usable
            && !is_inward(&address.interface_name)
            && let Some(ip) = address.address.as_ref().and_then(|storage| storage.as_sockaddr_in())
            && let Some(mask) = address.netmask.as_ref().and_then(|storage| storage.as_sockaddr_in())
            && let Ok(net) = Ipv4Net::with_netmask(ip.ip(), mask.ip())
        {
            found.push((address.interface_name, net));
        }
    }
    // Where there is no such file there is no default route.
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    Ok(ranked(found, default_route(&routes)))
}

/// All interfaces, whatever they are.
///
/// # Errors
/// When the kernel does not list its interfaces.
pub fn interfaces() -> io::Result<Vec<String>> {
    let mut names: Vec<String> = getifaddrs()?.map(|address| address.interface_name).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Whether an interface leads to containers and tunnels of this machine only.
fn is_inward(interface: &str) -> bool {
    let is_tunnel = Path::new("/sys/class/net").join(interface).join("tun_flags").exists();
    is_tunnel || ["docker", "br-", "veth", "virbr", "lxc", "cni", "podman"].iter().any(|p| interface.starts_with(p))
}

fn ranked(found: Vec<(String, Ipv4Net)>, default_route: Option<&str>) -> Vec<Network> {
    let network = |(interface, address): (String, Ipv4Net)| {
        let has_default_route = default_route == Some(interface.as_str());
        Network { interface, address, has_default_route }
    };
    let mut networks: Vec<Network> = found.into_iter().map(network).collect();
    // A single address is no network that another machine could be on; link-local ones come and go.
    networks.retain(|network| network.address.prefix_len() < 31 && !network.address.addr().is_link_local());
    networks.sort_by_key(|network| (!network.has_default_route, network.interface.clone(), network.address));
    networks
}

/// The interface of the default route, of several the one with the lowest metric: `/proc/net/route`.
fn default_route(table: &str) -> Option<&str> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let (interface, target, metric, mask) = (*cells.first()?, *cells.get(1)?, *cells.get(6)?, *cells.get(7)?);
        (target == "00000000" && mask == "00000000").then(|| (metric.parse::<u32>().unwrap_or(u32::MAX), interface))
    });
    rows.min().map(|(_, interface)| interface)
}

/// Whether an address is one of this machine's own, or stands for all of them.
pub fn is_own(address: Ipv4Addr) -> bool {
    // A machine that does not list its interfaces is not contradicted.
    let Ok(addresses) = getifaddrs() else { return true };
    let mut own = addresses.filter_map(|address| Some(address.address?.as_sockaddr_in()?.ip()));
    address.is_unspecified() || own.any(|own| own == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eno1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eno2\t0000010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    #[test]
    fn the_network_of_the_default_route_is_proposed_first() {
        assert_eq!(default_route(ROUTES), Some("eno1"));
        assert_eq!(default_route("Iface\n"), None);
        let found = [("eno0", "10.1.0.2/24"), ("eno1", "10.0.0.2/24"), ("wg0", "10.9.0.1/32")];
        let found = found.map(|(name, net)| (name.to_owned(), net.parse().unwrap()));
        let networks = ranked(found.to_vec(), Some("eno1"));
        let names: Vec<&str> = networks.iter().map(|network| network.interface.as_str()).collect();
        assert_eq!(names, ["eno1", "eno0"]);
        assert_eq!(networks[0].subnet().to_string(), "10.0.0.0/24");
    }

    #[test]
    fn this_machine_has_its_loopback_interface() {
        assert!(interfaces().unwrap().iter().any(|name| name == "lo"));
        assert!(networks().unwrap().iter().all(|network| network.interface != "lo"), "nobody else is on it");
        assert!(is_own(Ipv4Addr::LOCALHOST) && !is_own(Ipv4Addr::new(192, 0, 2, 77)));
    }
}
