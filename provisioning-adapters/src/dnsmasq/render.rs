//! dnsmasq's configuration as text, from parsed types only. The template escapes nothing, since dnsmasq has no quotes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use provisioning_core::model::BaseUrl;
use serde::Serialize;
use tera::{Context, Tera};

use super::config::{Addresses, ConfigPath, DnsmasqConfig, InterfaceName, RespondTo, UserName};
use super::programs::{BootPrograms, Fetched, Program};

const TEMPLATE: &str = include_str!("templates/dnsmasq.conf.tera");
/// Programs that are fetched at the same time at most: a row of racks that is switched on at once. dnsmasq's own
/// default is 50.
const TFTP_MAX: u32 = 250;
/// What a BOOTP `file` field holds; longer names are cut without a word (`reference/netboot.md` §2.5).
const FILE_LENGTH_MAX: usize = 127;

/// What a configuration is rendered from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The interface on the LAN.
    pub interface: &'a InterfaceName,
    /// Our address there, with its network.
    pub own: Ipv4Net,
    /// Who hands out addresses.
    pub addresses: &'a Addresses,
    /// Who is answered.
    pub respond_to: RespondTo,
    /// Where machines reach our HTTP server.
    pub public_url: &'a BaseUrl,
    /// The programs that are there.
    pub programs: &'a [Program],
    /// The folder of the files that dnsmasq reads.
    pub run_dir: &'a ConfigPath,
    /// The file of the leases.
    pub lease_file: &'a ConfigPath,
    /// Whom dnsmasq runs as.
    pub user: &'a UserName,
}

impl<'a> Facts<'a> {
    /// What a configuration says, on an interface that has our address `own`, with these boot programs.
    pub(super) fn of(config: &'a DnsmasqConfig, own: Ipv4Net, programs: &'a BootPrograms) -> Self {
        Self {
            interface: &config.interface,
            own,
            addresses: &config.addresses,
            respond_to: config.respond_to,
            public_url: &config.public_url,
            programs: &programs.present,
            run_dir: &config.run_dir,
            lease_file: &config.lease_file,
            user: &config.user,
        }
    }
}

/// The URL that iPXE is given; it puts its NIC's address into it.
pub fn boot_url(public_url: &BaseUrl) -> String {
    public_url.join("/ipxe/${mac}")
}

/// The URL of a boot program, for UEFI HTTP Boot.
pub fn program_url(public_url: &BaseUrl, name: &str) -> String {
    public_url.join(&format!("/netboot/{name}"))
}

/// Renders the configuration.
///
/// # Errors
/// `TooLong` when a machine would be given half a URL.
pub fn render(facts: &Facts<'_>) -> Result<String, RenderError> {
    let lines = Lines::of(facts)?;
    let mut tera = Tera::new();
    // Nothing is HTML here.
    tera.autoescape_on(Vec::<&str>::new());
    tera.add_raw_template("dnsmasq.conf", TEMPLATE)?;
    Ok(tera.render("dnsmasq.conf", &Context::from_serialize(&lines)?)?)
}

/// What the template sees.
#[derive(Serialize)]
struct Lines<'a> {
    interface: &'a str,
    user: &'a str,
    address: Ipv4Addr,
    netmask: Ipv4Addr,
    pool: Option<PoolLines>,
    registered_only: bool,
    boot_url: String,
    clients: Vec<ClientLines>,
    pid_file: String,
    lease_file: String,
    tftp_root: String,
    hosts_file: String,
    tftp_max: u32,
}

#[derive(Serialize)]
struct PoolLines {
    first: Ipv4Addr,
    last: Ipv4Addr,
    leases_max: u32,
    lease_seconds: u64,
    router: Option<Ipv4Addr>,
    dns: String,
}

#[derive(Serialize)]
struct ClientLines {
    tag: &'static str,
    codes: &'static [u16],
    by_http: bool,
    program: String,
}

impl<'a> Lines<'a> {
    fn of(facts: &'a Facts<'_>) -> Result<Self, RenderError> {
        let clients = facts.programs.iter().map(|program| {
            let by_http = program.client.fetched == Fetched::ByHttp;
            let file = if by_http { program_url(facts.public_url, program.name) } else { program.name.to_owned() };
            Ok(ClientLines { tag: program.client.tag, codes: program.client.codes, by_http, program: fitting(file)? })
        });
        let below = |name: &'static str| facts.run_dir.file(name).to_string_lossy().into_owned();
        Ok(Self {
            interface: facts.interface.as_str(),
            user: facts.user.as_str(),
            address: facts.own.addr(),
            netmask: facts.own.netmask(),
            pool: match facts.addresses {
                Addresses::Proxy => None,
                Addresses::Dhcp(pool) => Some(PoolLines {
                    first: pool.first,
                    last: pool.last,
                    // Addresses that are kept for hosts may lie outside of the range, and count too.
                    leases_max: pool.size() + 1000,
                    lease_seconds: pool.lease_time.as_secs().max(120),
                    router: pool.router,
                    dns: pool.dns.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
                }),
            },
            registered_only: facts.respond_to == RespondTo::Registered,
            boot_url: fitting(boot_url(facts.public_url))?,
            clients: clients.collect::<Result<_, RenderError>>()?,
            pid_file: below("dnsmasq.pid"),
            lease_file: facts.lease_file.as_path().to_string_lossy().into_owned(),
            tftp_root: below("tftp"),
            hosts_file: below("hosts"),
            tftp_max: TFTP_MAX,
        })
    }
}

fn fitting(file: String) -> Result<String, RenderError> {
    if file.len() <= FILE_LENGTH_MAX { Ok(file) } else { Err(RenderError::TooLong { file }) }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A URL does not fit where DHCP carries it.
    #[error("{file} has {} characters and DHCP carries 127: shorten the public URL", file.len())]
    TooLong {
        /// The URL.
        file: String,
    },
    /// The template is at fault.
    #[error("the template of dnsmasq's configuration is at fault")]
    Template(#[from] tera::Error),
}
