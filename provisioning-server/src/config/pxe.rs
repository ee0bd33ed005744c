//! `pxe`: how machines find their boot script, and whether a dnsmasq of our own tells them.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::Ipv4Net;
// Values only: the boot server itself is named in `wire.rs`.
use provisioning_adapters::dnsmasq::{Addresses, ConfigPath, InterfaceName, Pool, RespondTo, UserName};
use provisioning_core::model::BaseUrl;

use super::reader::{Reader, Section};

/// How long an address is lent unless `pxe.lease_time` says otherwise.
const LEASE_TIME: Duration = Duration::from_secs(3600);
/// Where Debian's package puts iPXE's programs.
const IPXE_DIR: &str = "/usr/lib/ipxe";

/// `pxe`: how machines find their boot script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PxeConfig {
    /// Whether a dnsmasq of our own answers netbooting machines. Default no: then the operator's DHCP server does.
    pub enabled: bool,
    /// The network interface of the machines' LAN; there when `enabled`.
    pub interface: Option<InterfaceName>,
    /// Their subnet; `None` takes the interface's only one.
    pub subnet: Option<Ipv4Net>,
    /// Who hands out addresses. Default another DHCP server.
    pub addresses: Addresses,
    /// Who is answered. Default registered machines.
    pub respond_to: RespondTo,
    /// The folder of iPXE's programs. Default `/usr/lib/ipxe`.
    pub ipxe_dir: PathBuf,
    /// Whom dnsmasq runs as when we are root. Default `nobody`.
    pub user: UserName,
    /// The folder for dnsmasq's files; `None` is one below `/run/provisioning` for root, else one in the data
    /// directory.
    pub run_dir: Option<ConfigPath>,
    /// The program. Default `dnsmasq`, wherever it is.
    pub program: PathBuf,
}

impl Default for PxeConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            interface: None,
            subnet: None,
            addresses: Addresses::Proxy,
            respond_to: RespondTo::Registered,
            ipxe_dir: PathBuf::from(IPXE_DIR),
            user: nobody(),
            run_dir: None,
            program: PathBuf::from("dnsmasq"),
        }
    }
}

fn nobody() -> UserName {
    "nobody".parse().expect("it is a user's name")
}

/// Reads the section to its end; what is wrong is reported.
pub(super) fn read(reader: &Reader, mut section: Section<'_>, public_url: Option<&BaseUrl>) -> PxeConfig {
    let default = PxeConfig::default();
    let enabled = section.truth("enabled").is_some_and(|(_, enabled)| enabled);
    let interface: Option<InterfaceName> = section.parsed("interface");
    let subnet = section.parsed_as::<Ipv4Net>("subnet", "an IPv4 subnet such as 10.0.0.0/24");
    let subnet = subnet.map(|(_, subnet)| subnet);
    let addresses = addresses(&mut section, subnet);
    let answered = [("registered", RespondTo::Registered), ("all", RespondTo::All)];
    let config = PxeConfig {
        enabled,
        interface,
        subnet,
        addresses,
        respond_to: section.word("respond_to", &answered).unwrap_or_default(),
        ipxe_dir: section.path("ipxe_dir").unwrap_or(default.ipxe_dir),
        user: section.parsed("user").unwrap_or(default.user),
        run_dir: run_dir(reader, &mut section),
        program: section.text("dnsmasq").map_or(default.program, |(_, text)| PathBuf::from(text)),
    };
    if enabled && config.interface.is_none() && !section.was_written("interface") {
        let help =
            "name the interface that the machines' network is plugged into, such as eno1; `ip -4 addr` lists them";
        section.fault("interface", "is missing: pxe.enabled needs it", Some(help.to_owned()));
    }
    if let Some(url) = public_url.filter(|_| enabled) {
        for problem in doubts(url, subnet) {
            section.warn(section.place().clone(), "enabled", problem);
        }
    }
    section.finish();
    config
}

/// A range of addresses, `FIRST-LAST`.
struct Range(Ipv4Addr, Ipv4Addr);

impl FromStr for Range {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').ok_or(())?;
        let parse = |address: &str| address.trim().parse().map_err(drop);
        Ok(Self(parse(first)?, parse(last)?))
    }
}

fn addresses(section: &mut Section<'_>, subnet: Option<Ipv4Net>) -> Addresses {
    let full = section.word("mode", &[("proxy", false), ("dhcp", true)]).unwrap_or(false);
    if !full {
        for key in ["range", "lease_time", "router", "dns"] {
            if let Some(value) = section.take(key) {
                let problem = "means something in pxe.mode dhcp only: another DHCP server hands out the addresses";
                section.fault_at(&value.place, key, problem);
            }
        }
        return Addresses::Proxy;
    }
    let range = section.parsed_as::<Range>("range", "a range of addresses such as 10.0.0.100-10.0.0.199");
    let lease_time = section.duration("lease_time").unwrap_or(LEASE_TIME);
    if lease_time < Duration::from_secs(120) {
        section.fault("lease_time", "is shorter than 2m, the shortest time that dnsmasq lends an address for", None);
    }
    let router = section.parsed_as::<Ipv4Addr>("router", "an IPv4 address").map(|(_, router)| router);
    let dns = section.list::<Ipv4Addr>("dns").unwrap_or_default();
    let Some((place, Range(first, last))) = range else {
        if !section.was_written("range") {
            let help = "write the addresses that machines may be given, such as 10.0.0.100-10.0.0.199";
            section.fault("range", "is missing: pxe.mode dhcp needs it", Some(help.to_owned()));
        }
        return Addresses::Proxy;
    };
    let pool = Pool { first, last, lease_time, router, dns };
    if let Some(Err(error)) = subnet.map(|subnet| pool.check(subnet, None)) {
        section.fault_at(&place, "range", error.to_string());
    }
    Addresses::Dhcp(pool)
}

fn run_dir(reader: &Reader, section: &mut Section<'_>) -> Option<ConfigPath> {
    let (place, text) = section.text("run_dir")?;
    let path = ConfigPath::try_from(reader.path(&text));
    path.map_err(|error| section.fault_at(&place, "run_dir", error.to_string())).ok()
}

/// What is no fault, but keeps most machines from booting.
fn doubts(url: &BaseUrl, subnet: Option<Ipv4Net>) -> Vec<String> {
    let mut doubts = vec![];
    let host = url.as_str().split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    let address: Option<Ipv4Addr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        doubts.push(format!("machines are sent to server.public_url {url}, where each of them finds only itself"));
    } else if let (Some(address), Some(subnet)) = (address, subnet)
        && !subnet.contains(&address)
    {
        doubts.push(format!(
            "machines are sent to {address} of server.public_url, which is not in pxe.subnet {subnet}: they need a \
             route there from the first moment"
        ));
    }
    if url.is_https() {
        doubts.push(
            "server.public_url is https, which iPXE of before 2021 does not speak, and newer ones only with a \
                     certificate that they trust"
                .to_owned(),
        );
    }
    doubts
}
