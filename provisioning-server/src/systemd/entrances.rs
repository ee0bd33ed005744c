//! The doors to the network: a socket that the service manager has opened, or one that we open; and who is in the way.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use tokio::net::TcpListener;

use super::activation::{ActivationError, Entrance, Inherited};
use crate::config::ServerConfig;
use crate::http::listen;

/// The doors of a server, open.
#[derive(Debug)]
pub struct Entrances {
    /// For everybody.
    pub main: TcpListener,
    /// For firmware.
    pub boot: Option<TcpListener>,
    /// For kernel and initrd.
    pub artifacts: Option<TcpListener>,
}

/// Opens the doors of the configuration, by sockets that were opened for us where there are any.
///
/// # Errors
/// When an address cannot be listened on, or a socket does not fit the configuration.
pub fn open(config: &ServerConfig, mut inherited: Inherited) -> Result<Entrances, EntranceError> {
    let main = open_one(Entrance::Main, config.listen, &mut inherited)?;
    let mut optional =
        |door, address: Option<SocketAddr>| address.map(|address| open_one(door, address, &mut inherited)).transpose();
    let boot = optional(Entrance::Boot, config.boot_listen)?;
    let artifacts = optional(Entrance::Artifacts, config.artifact_listen)?;
    let configured = [
        (Entrance::Main, Some(config.listen)),
        (Entrance::Boot, config.boot_listen),
        (Entrance::Artifacts, config.artifact_listen),
    ];
    let configured: Vec<_> = configured.into_iter().filter_map(|(door, address)| Some((door, address?))).collect();
    inherited.finish(&configured)?;
    Ok(Entrances { main, boot, artifacts })
}

fn open_one(door: Entrance, address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, EntranceError> {
    let failed = |source| EntranceError::new(door, address, source);
    match inherited.claim(door, address)? {
        Some(listener) => {
            tracing::info!(%address, key = door.key(), "took the socket that the service manager keeps open");
            TcpListener::from_std(listener).map_err(failed)
        }
        None => listen::bind(address).map_err(failed),
    }
}

/// Why a door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EntranceError {
    /// Somebody else has the port.
    #[error("{key}: port {} of {} is taken by {holder}: stop that, or choose another port in {key}", address.port(), address.ip())]
    Taken {
        /// The configuration's key.
        key: &'static str,
        /// What is taken.
        address: SocketAddr,
        /// By whom.
        holder: String,
    },
    /// The address is none of this machine's.
    #[error(
        "{key}: {} is no address of this machine, which has {}: correct {key}, or listen on 0.0.0.0",
        address.ip(), present.join(", ")
    )]
    NoSuchAddress {
        /// The configuration's key.
        key: &'static str,
        /// What was asked for.
        address: SocketAddr,
        /// What is there.
        present: Vec<String>,
    },
    /// A port below 1024 without the right to it.
    #[error(
        "{key}: port {} needs a right that this process does not have: give it CAP_NET_BIND_SERVICE, let the service \
         manager open the port (provisioning.socket), or choose one from 1024 on",
        address.port()
    )]
    NotAllowed {
        /// The configuration's key.
        key: &'static str,
        /// What was asked for.
        address: SocketAddr,
    },
    /// Something else.
    #[error("{key}: cannot listen on {address}")]
    Other {
        /// The configuration's key.
        key: &'static str,
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A socket that was opened for us does not fit.
    #[error(transparent)]
    Activation(#[from] ActivationError),
}

impl EntranceError {
    fn new(door: Entrance, address: SocketAddr, source: io::Error) -> Self {
        let key = door.key();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { key, address, holder: holder(address) },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { key, address, present: own_addresses() },
            io::ErrorKind::PermissionDenied => Self::NotAllowed { key, address },
            _ => Self::Other { key, address, source },
        }
    }
}

fn own_addresses() -> Vec<String> {
    let Ok(addresses) = getifaddrs() else { return vec!["none that can be listed".to_owned()] };
    let ip = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        Some(v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))?.to_string())
    };
    addresses.filter_map(ip).collect()
}

/// Who listens on a port, as far as we may see.
fn holder(address: SocketAddr) -> String {
    let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
    let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let inodes: Vec<u64> = tables.iter().flat_map(|table| listening(table, address.port())).collect();
    match inodes.iter().find_map(|inode| process_of(*inode)) {
        Some((pid, name)) => format!("process {pid} ({name})"),
        None => "a process of another user (`ss -tlnp` as root names it)".to_owned(),
    }
}

/// The inodes of the sockets in the kernel's table that listen on a port.
fn listening(table: &str, port: u16) -> impl Iterator<Item = u64> {
    /// The state of a socket that listens.
    const LISTENING: &str = "0A";
    table.lines().skip(1).filter_map(move |line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local) = words.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local, 16) == Ok(port) && *words.get(3)? == LISTENING;
        is_it.then(|| words.get(9)?.parse().ok()).flatten()
    })
}

/// The first process that has the socket open, with its command; a child shares its parent's.
fn process_of(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids: Vec<u32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().find_map(|pid| {
        let mut open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.filter_map(Result::ok);
        let has = open.any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == Path::new(&wanted)));
        has.then(|| (pid, fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: SocketAddr) -> ServerConfig {
        let data_dir = "/nowhere".into();
        ServerConfig { listen: address, data_dir, tls: None, boot_listen: None, artifact_listen: None }
    }

    #[tokio::test]
    async fn who_has_the_port_is_named() {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let said = open(&at(address), Inherited::none()).unwrap_err().to_string();
        let own = format!("process {} (", std::process::id());
        assert!(said.contains("server.listen: port") && said.contains(&own), "{said}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_told_beside_our_own() {
        let said = open(&at("192.0.2.77:0".parse().unwrap()), Inherited::none()).unwrap_err().to_string();
        assert!(said.contains("192.0.2.77 is no address of this machine, which has 127.0.0.1"), "{said}");
    }
}
