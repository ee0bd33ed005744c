//! Where the server listens, whether it is reached under its URL, and whom it asks itself.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use provisioning_core::model::BaseUrl;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Check;
use super::holders::{Listener, listeners as listening};
use crate::config::Config;
use crate::wire::upkeep::ask_member;

/// How long a name server, or another machine, may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Each address that is listened on: free, or held by our own server.
pub(super) fn listeners(config: &Config, server: Option<i32>) -> Vec<Check> {
    let addresses = [
        ("listen", Some(config.server.listen)),
        ("boot-listen", config.server.boot_listen),
        ("artifact-listen", config.server.artifact_listen),
    ];
    addresses.into_iter().filter_map(|(name, address)| Some(listener(name, address?, server))).collect()
}

fn listener(name: &str, address: SocketAddr, server: Option<i32>) -> Check {
    if address.port() == 0 {
        return Check::ok(name, format!("{address}: a free port is taken at each start"));
    }
    let key = format!("server.{}", name.replace('-', "_"));
    let held_by = listening(address);
    // Of a socket unit the service manager holds the socket, whether the server runs or not.
    let is_ours = |held: &Listener| Some(held.pid) == server || (held.pid == 1 && held.command == "systemd");
    if let Some(ours) = held_by.iter().find(|held| is_ours(held)) {
        return Check::ok(
            name,
            format!("{address} is held by {} (process {}), as it should be", ours.command, ours.pid),
        );
    }
    if let Some(other) = held_by.first() {
        let found = format!("{address} is taken by process {} ({})", other.pid, other.command);
        return Check::failed(name, found, format!("stop that process, or give {key} another port"));
    }
    match TcpListener::bind(address) {
        Ok(_) if server.is_some() => {
            let found = format!(
                "nothing listens on {address}, though the server runs: it was started with another configuration"
            );
            Check::warning(name, found, "restart the server")
        }
        Ok(_) => Check::ok(name, format!("{address} is free")),
        Err(error) => refused(name, &key, address, &error),
    }
}

fn refused(name: &str, key: &str, address: SocketAddr, error: &io::Error) -> Check {
    let what_to_do = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("find out who holds it (ss -ltnp as root), stop that, or give {key} another port")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("give {key} an address that this machine has (ip addr), or 0.0.0.0 for all of them")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "give {key} a port from 1024 up, or the server CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=)"
            )
        }
        _ => format!("mend {key}"),
    };
    Check::failed(name, format!("{address} cannot be listened on: {error}"), what_to_do)
}

/// Whether machines that follow `server.public_url` come here.
pub(super) async fn public_url(config: &Config) -> Check {
    const NAME: &str = "public-url";
    let url = &config.site.public_url;
    let Some(authority) = authority(url) else {
        return Check::failed(NAME, format!("{url} names no host"), "mend server.public_url");
    };
    let found = match timeout(ANSWER_MAX, lookup_host(authority.as_str())).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect::<Vec<IpAddr>>(),
        Ok(Err(error)) => {
            let what_to_do = "enter the name in your DNS, or write an address in server.public_url";
            return Check::failed(NAME, format!("{url} leads nowhere: {error}"), what_to_do);
        }
        Err(_) => {
            let what_to_do = "see whether the name server answers, or write an address in server.public_url";
            return Check::failed(NAME, format!("{url} leads nowhere: the name server does not answer"), what_to_do);
        }
    };
    let own: Vec<IpAddr> = getifaddrs()
        .into_iter()
        .flatten()
        .filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())))
        })
        .collect();
    let shown = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if found.iter().any(|address| own.contains(address) || address.is_loopback()) {
        return Check::ok(NAME, format!("{url} leads to {shown}, which is this machine"));
    }
    let found = format!("{url} leads to {shown}, and this machine has no such address");
    Check::warning(NAME, found, "mend server.public_url, unless a proxy or address translation is in between")
}

/// Host and port of a URL.
fn authority(url: &BaseUrl) -> Option<String> {
    let authority = url.as_str().split("://").nth(1)?.split('/').next().filter(|text| !text.is_empty())?;
    let host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    let port = if url.is_https() { 443 } else { 80 };
    Some(if host.contains(':') { authority.to_owned() } else { format!("{authority}:{port}") })
}

/// The cluster's member and the inventory service.
pub(super) async fn online(config: &Config, is_asked: bool) -> Vec<Check> {
    const MEMBER: &str = "cluster-member";
    const INVENTORY: &str = "inventory";
    if !is_asked {
        let why = "asked with --online only";
        return vec![Check::skipped(MEMBER, why), Check::skipped(INVENTORY, why)];
    }
    let member = match ask_member(config).await {
        Ok(None) => Check::skipped(MEMBER, "proxmox.existing_node is empty: hosts stay standalone"),
        Ok(Some(found)) => Check::ok(MEMBER, found),
        Err(error) => {
            let what_to_do = "see that proxmox.existing_node is up and answers on port 8006, and that join_fingerprint, \
                              join_password and api_token are its own";
            Check::failed(MEMBER, format!("{error:#}"), what_to_do)
        }
    };
    vec![member, inventory(config, INVENTORY).await]
}

async fn inventory(config: &Config, name: &str) -> Check {
    let Some(infrastructure) = &config.infrastructure else {
        return Check::skipped(name, "infrastructure.base_url is empty: nobody is told");
    };
    let url = &infrastructure.base_url;
    let what_to_do = "see that the service runs, and mend infrastructure.base_url";
    let authority = url.parse().ok().and_then(|url| authority(&url));
    let Some(authority) = authority else { return Check::failed(name, format!("{url} names no host"), what_to_do) };
    match timeout(ANSWER_MAX, TcpStream::connect(authority.as_str())).await {
        Ok(Ok(_)) => Check::ok(name, format!("{url} can be reached")),
        Ok(Err(error)) => Check::failed(name, format!("{url} cannot be reached: {error}"), what_to_do),
        Err(_) => Check::failed(name, format!("{url} does not answer"), what_to_do),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_leads_to_its_host_and_its_port_or_the_usual_one() {
        for (url, expected) in [
            ("http://10.0.0.2:8080", "10.0.0.2:8080"),
            ("https://prov.lab", "prov.lab:443"),
            ("http://prov.lab/sub", "prov.lab:80"),
            ("http://[fd00::2]", "[fd00::2]:80"),
            ("http://[fd00::2]:8080", "[fd00::2]:8080"),
        ] {
            assert_eq!(authority(&url.parse().unwrap()).as_deref(), Some(expected));
        }
    }
}
