//! What must be so before dnsmasq can run, found out beforehand so that an operator is told what to do.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use nix::unistd::{User, geteuid};

use super::config::{Addresses, ConfigPath, InterfaceName, ParseConfigError, UserName};
use super::fault::DnsmasqFault;
use super::holders;

/// What dnsmasq needs of the kernel (`capabilities(7)`): the number, and what it is for.
const CAPABILITIES: [(u32, &str); 3] =
    [(10, "open ports below 1024"), (12, "set up network interfaces"), (13, "send raw packets")];

/// The folder for dnsmasq's files when none was chosen: in the data directory, or, for root, below
/// `/run/provisioning`, since dnsmasq becomes a user to whom the data directory is closed. One folder for each data
/// directory, so that two servers never share it.
///
/// # Errors
/// When the data directory's path cannot stand in dnsmasq's configuration.
pub fn default_run_dir(data_dir: &Path) -> Result<ConfigPath, ParseConfigError> {
    if !geteuid().is_root() {
        return data_dir.join("dnsmasq").try_into();
    }
    // FNV-1a: the same name at each start, whatever the path holds.
    let hash = data_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    PathBuf::from(format!("/run/provisioning/{hash:016x}")).try_into()
}

/// Our address on an interface, with its network.
///
/// # Errors
/// When there is no such interface, or none of its addresses, or several, could be meant.
pub fn own_address(interface: &InterfaceName, subnet: Option<Ipv4Net>) -> Result<Ipv4Net, DnsmasqFault> {
    let failed = DnsmasqFault::system("this machine's network interfaces cannot be listed");
    let addresses = getifaddrs().map_err(|errno| failed(errno.into()))?;
    let (mut present, mut has) = (Vec::new(), Vec::new());
    for address in addresses {
        if address.interface_name == interface.as_str()
            && let Some(ip) = address.address.as_ref().and_then(|storage| storage.as_sockaddr_in())
            && let Some(mask) = address.netmask.as_ref().and_then(|storage| storage.as_sockaddr_in())
            && let Ok(net) = Ipv4Net::with_netmask(ip.ip(), mask.ip())
        {
            has.push(net);
        }
        present.push(address.interface_name);
    }
    present.sort();
    present.dedup();
    if !present.iter().any(|name| name == interface.as_str()) {
        return Err(DnsmasqFault::NoInterface { interface: interface.clone(), present });
    }
    choose(interface, subnet, has)
}

fn choose(interface: &InterfaceName, subnet: Option<Ipv4Net>, has: Vec<Ipv4Net>) -> Result<Ipv4Net, DnsmasqFault> {
    let interface = interface.clone();
    match (subnet, has.as_slice()) {
        (_, []) => Err(DnsmasqFault::NoAddress { interface }),
        (Some(subnet), _) => {
            let found = has.iter().copied().find(|net| subnet.contains(&net.addr()));
            found.ok_or(DnsmasqFault::OtherSubnet { interface, subnet: subnet.trunc(), has })
        }
        (None, &[only]) => Ok(only),
        (None, _) => Err(DnsmasqFault::ManySubnets { interface, has }),
    }
}

/// The program's path.
pub(super) fn program(program: &Path) -> Result<PathBuf, DnsmasqFault> {
    let missing = || DnsmasqFault::NoProgram(program.to_owned());
    if program.components().count() > 1 {
        return if program.is_file() { Ok(program.to_owned()) } else { Err(missing()) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file()).ok_or_else(missing)
}

/// Whether a child of ours may open the ports.
pub(super) fn capabilities() -> Result<(), DnsmasqFault> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    // A child of root's has all that root has; another user's has what is ambient.
    let set = if geteuid().is_root() { "CapEff:" } else { "CapAmb:" };
    let lacking = lacking(&status, set);
    if lacking.is_empty() { Ok(()) } else { Err(DnsmasqFault::NotAllowed(lacking)) }
}

fn lacking(status: &str, set: &str) -> Vec<&'static str> {
    let bits = status.lines().find_map(|line| line.strip_prefix(set));
    let bits = bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or_default();
    CAPABILITIES.iter().filter(|(number, _)| bits & (1 << number) == 0).map(|(_, what)| *what).collect()
}

/// Whether the ports are free: 67 (DHCP), 69 (TFTP), in proxy mode also 4011 (PXE boot server).
pub(super) fn ports(addresses: &Addresses, own: Ipv4Addr, interface: &InterfaceName) -> Result<(), DnsmasqFault> {
    let ports: &[u16] = match addresses {
        Addresses::Proxy => &[67, 69, 4011],
        Addresses::Dhcp(_) => &[67, 69],
    };
    match holders::holder(ports, own, interface) {
        Some(holder) => Err(DnsmasqFault::PortTaken { interface: interface.clone(), holder }),
        None => Ok(()),
    }
}

/// Whether dnsmasq's user can read what stands in the folder. Only root changes to that user.
pub(super) fn readable(run_dir: &ConfigPath, user: &UserName) -> Result<(), DnsmasqFault> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let failed = DnsmasqFault::system(format!("the user {user} cannot be looked up"));
    let known = User::from_name(user.as_str()).map_err(|errno| failed(errno.into()))?;
    let known = known.ok_or_else(|| DnsmasqFault::NoUser(user.clone()))?;
    if known.uid.is_root() {
        return Ok(());
    }
    for folder in run_dir.as_path().ancestors() {
        let metadata = fs::metadata(folder).map_err(DnsmasqFault::system(folder.display().to_string()))?;
        let mode = metadata.mode();
        let own = metadata.uid() == known.uid.as_raw() && mode & 0o500 == 0o500;
        if mode & 0o001 == 0 && !own {
            return Err(DnsmasqFault::Closed { path: folder.to_owned(), user: user.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_address_in_the_machines_network_is_ours() {
        let eth0: InterfaceName = "eth0".parse().unwrap();
        let said = |subnet: Option<&str>, has: &[&str]| {
            let subnet = subnet.map(|subnet| subnet.parse().unwrap());
            choose(&eth0, subnet, nets(has)).map(|net| net.to_string()).map_err(|fault| fault.to_string())
        };
        let two = ["10.0.0.2/24", "192.168.1.2/24"];
        assert_eq!(said(Some("192.168.1.0/24"), &two).as_deref(), Ok("192.168.1.2/24"));
        assert_eq!(said(None, &two[..1]).as_deref(), Ok("10.0.0.2/24"));
        assert!(said(None, &two).unwrap_err().contains("in several networks (10.0.0.2/24, 192.168.1.2/24)"));
        assert!(said(Some("10.1.0.0/24"), &two).unwrap_err().contains("no address of eth0 is in 10.1.0.0/24"));
        assert!(said(None, &[]).unwrap_err().contains("no IPv4 address"));
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_beside_those_that_are() {
        let lo = own_address(&"lo".parse().unwrap(), None).map(|net| net.to_string());
        let fault = own_address(&"nosuch0".parse().unwrap(), None).unwrap_err().to_string();
        assert!(fault.contains("no network interface nosuch0; this machine has"), "{fault}");
        // A namespace without an address on `lo` is no fault of ours.
        assert!(lo.is_err() || lo.as_deref().is_ok_and(|net| net == "127.0.0.1/8"));
    }

    #[test]
    fn each_missing_capability_is_told_by_what_it_is_for() {
        let status = "CapEff:\t0000000000001400\nCapAmb:\t0000000000000000\n";
        assert_eq!(lacking(status, "CapEff:"), ["send raw packets"]);
        assert_eq!(lacking(status, "CapAmb:").len(), 3);
        assert_eq!(lacking("", "CapEff:").len(), 3);
    }

    #[test]
    fn a_program_is_found_by_name_and_by_path() {
        assert!(program(Path::new("sh")).unwrap().ends_with("sh"));
        let fault = program(Path::new("/nowhere/dnsmasq")).unwrap_err().to_string();
        assert!(fault.contains("/nowhere/dnsmasq") && fault.contains("apt-get install dnsmasq-base"), "{fault}");
    }

    #[test]
    fn a_folder_that_dnsmasqs_user_cannot_enter_is_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let checked = readable(&closed.clone().try_into().unwrap(), &"nobody".parse().unwrap());
        match checked {
            Err(DnsmasqFault::Closed { path, .. }) => assert_eq!(path, closed),
            other => assert!(other.is_ok() && !geteuid().is_root(), "{other:?}"),
        }
    }
}
