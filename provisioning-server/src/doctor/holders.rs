//! Who listens on a TCP port, as the kernel tells.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// What the kernel's table has for a socket that listens.
const LISTENS: &str = "0A";

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) pid: i32,
    pub(super) command: String,
}

/// All processes that have a socket open which listens on `address`, or on its port on all addresses. Of processes of
/// other users only root is told: then the list is empty though somebody listens.
pub(super) fn listeners(address: SocketAddr) -> Vec<Listener> {
    let tables =
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| sockets(table));
    let meant = sockets.filter(|(at, _)| {
        let covers = at.ip().is_unspecified() || address.ip().is_unspecified() || at.ip() == address.ip();
        at.port() == address.port() && covers
    });
    meant.flat_map(|(_, inode)| processes_of(inode)).collect()
}

/// Address and inode of each socket that listens.
fn sockets(table: &str) -> impl Iterator<Item = (SocketAddr, u64)> {
    table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, port) = words.get(1)?.split_once(':')?;
        let address = SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?);
        (words.get(3) == Some(&LISTENS)).then(|| Some((address, words.get(9)?.parse().ok()?)))?
    })
}

/// Addresses are printed as numbers of 32 bits in the machine's own byte order.
fn ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..hex.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        _ => None,
    }
}

fn processes_of(inode: u64) -> Vec<Listener> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let holding = pids.filter(|pid| {
        let mut open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
        open.any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == wanted))
    });
    let named = |pid| {
        let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Listener { pid, command: command.trim().to_owned() }
    };
    holding.map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_is_found_by_address_and_port() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let pids = |address| listeners(address).iter().map(|found| found.pid).collect::<Vec<_>>();
        assert_eq!(pids(address), [own]);
        assert_eq!(pids(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port())), [own]);
        assert_eq!(pids(SocketAddr::new("127.0.0.2".parse().unwrap(), address.port())), [0; 0]);
        let six = std::net::TcpListener::bind("[::1]:0").map(|six| (six.local_addr().unwrap(), six));
        if let Ok((address, _six)) = six {
            assert_eq!(pids(address), [own]);
        }
    }
}
