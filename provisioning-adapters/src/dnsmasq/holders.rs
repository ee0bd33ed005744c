//! Who holds the UDP ports that we need. Another dnsmasq on the same port goes unnoticed otherwise: both of them bind
//! it without an error, and machines are answered twice or not at all.

use std::fmt;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::config::InterfaceName;

/// The process that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The port.
    pub port: u16,
    /// Its process; `None` when we may not look at it.
    pub process: Option<(i32, String)>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, command)) => write!(f, "process {pid} ({command})"),
            None => f.write_str("a process of another user (`ss -ulnp` as root names it)"),
        }
    }
}

/// The first process that holds one of the ports on `address` or on all addresses. A dnsmasq that says it keeps to
/// other interfaces, such as libvirt's, holds nothing of ours.
pub(super) fn holder(ports: &[u16], address: Ipv4Addr, interface: &InterfaceName) -> Option<Holder> {
    let table = fs::read_to_string("/proc/thread-self/net/udp").unwrap_or_default();
    let sockets =
        sockets(&table).filter(|(at, port, _)| ports.contains(port) && (at.is_unspecified() || *at == address));
    for (_, port, inode) in sockets {
        let process = process_of(inode);
        let elsewhere = process.as_ref().is_some_and(|(pid, _)| keeps_elsewhere(*pid, interface));
        if !elsewhere {
            return Some(Holder { port, process });
        }
    }
    None
}

/// Address, port and inode of each socket in the kernel's table.
fn sockets(table: &str) -> impl Iterator<Item = (Ipv4Addr, u16, u64)> {
    table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, port) = words.get(1)?.split_once(':')?;
        // The address is printed as a number in the machine's own byte order.
        let address = Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes());
        Some((address, u16::from_str_radix(port, 16).ok()?, words.get(9)?.parse().ok()?))
    })
}

/// The process that has the socket open, with its command.
fn process_of(inode: u64) -> Option<(i32, String)> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).find_map(|pid| {
        let mut open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.filter_map(Result::ok);
        let has = open.any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == wanted));
        has.then(|| (pid, command_of(pid)))
    })
}

fn command_of(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

/// Arguments of a process.
pub(super) fn arguments(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments = bytes.split(|byte| *byte == 0).filter(|argument| !argument.is_empty());
    arguments.map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

fn keeps_elsewhere(pid: i32, interface: &InterfaceName) -> bool {
    if command_of(pid) != "dnsmasq" {
        return false;
    }
    let arguments = arguments(pid);
    let written = arguments.iter().find_map(|argument| argument.strip_prefix("--conf-file="));
    let file = fs::read_to_string(Path::new(written.unwrap_or("/etc/dnsmasq.conf"))).unwrap_or_default();
    let options = arguments.iter().filter_map(|argument| argument.strip_prefix("--"));
    other_interfaces_only(file.lines().chain(options), interface)
}

/// Whether dnsmasq's options name interfaces, bind to them alone, and ours is none of them.
fn other_interfaces_only<'a>(options: impl Iterator<Item = &'a str>, interface: &InterfaceName) -> bool {
    let (mut binds, mut named, mut ours) = (false, false, false);
    for option in options.map(str::trim) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key.trim() {
            "bind-interfaces" | "bind-dynamic" => binds = true,
            "interface" => {
                named = true;
                // A name that ends in * stands for many.
                let mut interfaces = value.split(',').map(str::trim);
                ours |= interfaces.any(|name| match name.strip_suffix('*') {
                    Some(prefix) => interface.as_str().starts_with(prefix),
                    None => name == interface.as_str(),
                });
            }
            _ => {}
        }
    }
    binds && named && !ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n \
             8836: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 775692 2 0 0\n \
             8838: 0A004D0A:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 775696 2 0 0\n";
        let found: Vec<_> = sockets(table).collect();
        let own = Ipv4Addr::from(u32::from_str_radix("0A004D0A", 16).unwrap().to_ne_bytes());
        assert_eq!(found, [(Ipv4Addr::UNSPECIFIED, 67, 775_692), (own, 69, 775_696)]);
    }

    #[test]
    fn a_socket_of_this_process_is_found_with_its_name() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let interface = "eth0".parse().unwrap();
        let found = holder(&[port], Ipv4Addr::LOCALHOST, &interface).expect("this process holds it");
        let (pid, command) = found.process.clone().expect("it is our own");
        assert_eq!(u32::try_from(pid).unwrap(), std::process::id());
        assert!(found.to_string().contains(&command), "{found}");
        assert_eq!(holder(&[port], "127.0.0.2".parse().unwrap(), &interface), None);
    }

    #[test]
    fn another_dnsmasq_may_keep_to_another_interface() {
        let ours = "eth0".parse().unwrap();
        let elsewhere = |lines: &str| other_interfaces_only(lines.lines(), &ours);
        assert!(elsewhere("except-interface=lo\nbind-dynamic\ninterface=virbr0\n"));
        assert!(!elsewhere("bind-interfaces\ninterface=virbr0,eth0\n"));
        assert!(!elsewhere("bind-interfaces\ninterface=eth*\n"));
        assert!(!elsewhere("interface=virbr0\n"), "it takes all addresses and filters");
        assert!(!elsewhere("bind-interfaces\n"), "it answers everywhere");
    }
}
