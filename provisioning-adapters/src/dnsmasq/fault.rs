//! Why no dnsmasq of ours can run here, in words that tell an operator what to do.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use super::config::{InterfaceName, ParseConfigError, PoolError, UserName};
use super::holders::Holder;
use super::render::RenderError;

/// Why the boot server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsmasqFault {
    /// There is no such program.
    #[error("there is no program {}: install it (Debian: apt-get install dnsmasq-base)", .0.display())]
    NoProgram(PathBuf),
    /// There is no such interface.
    #[error("there is no network interface {interface}; this machine has {}", present.join(", "))]
    NoInterface {
        /// The interface that was asked for.
        interface: InterfaceName,
        /// Those that are there.
        present: Vec<String>,
    },
    /// The interface has no IPv4 address.
    #[error("{interface} has no IPv4 address: give it one in the machines' LAN")]
    NoAddress {
        /// The interface.
        interface: InterfaceName,
    },
    /// None of the interface's addresses is in the subnet.
    #[error("no address of {interface} is in {subnet}; it has {}", networks(has))]
    OtherSubnet {
        /// The interface.
        interface: InterfaceName,
        /// The subnet that was asked for.
        subnet: Ipv4Net,
        /// The interface's addresses.
        has: Vec<Ipv4Net>,
    },
    /// The interface has several networks.
    #[error("{interface} is in several networks ({}): say which one is the machines'", networks(has))]
    ManySubnets {
        /// The interface.
        interface: InterfaceName,
        /// Its addresses.
        has: Vec<Ipv4Net>,
    },
    /// A capability is missing.
    #[error(
        "this process may not {}: run it as root, or give it the capabilities CAP_NET_BIND_SERVICE, CAP_NET_RAW and \
         CAP_NET_ADMIN (systemd: AmbientCapabilities=)",
        .0.join(", nor ")
    )]
    NotAllowed(Vec<&'static str>),
    /// A port is taken by another process.
    #[error("port {}/udp is taken by {}: stop it, or keep it off {interface}", holder.port, holder)]
    PortTaken {
        /// Our interface.
        interface: InterfaceName,
        /// Who has it.
        holder: Holder,
    },
    /// An own dnsmasq of an earlier start does not end.
    #[error("dnsmasq of an earlier start (process {0}) does not end: end it by hand")]
    Undead(i32),
    /// iPXE's programs are not there.
    #[error(
        "{} has neither undionly.kpxe nor snponly.efi nor ipxe.efi: install iPXE's programs there (Debian: apt-get \
         install ipxe)",
        .0.display()
    )]
    NoPrograms(PathBuf),
    /// There is no such user.
    #[error("there is no user {0} for dnsmasq to run as")]
    NoUser(UserName),
    /// The user of dnsmasq cannot read our files.
    #[error("{} is closed to the user {user}, whom dnsmasq runs as: let others search it, or choose another folder", path.display())]
    Closed {
        /// The first folder on the way that is closed.
        path: PathBuf,
        /// Who cannot read.
        user: UserName,
    },
    /// The pool does not fit the network.
    #[error("the range of addresses does not fit")]
    Pool(#[from] PoolError),
    /// A path cannot stand in dnsmasq's configuration.
    #[error("a path does not fit")]
    Path(#[from] ParseConfigError),
    /// The configuration cannot be rendered.
    #[error("dnsmasq's configuration cannot be made")]
    Render(#[from] RenderError),
    /// dnsmasq does not accept what we have rendered.
    #[error("dnsmasq refuses the configuration {}: {said}", path.display())]
    Refused {
        /// The configuration.
        path: PathBuf,
        /// What dnsmasq says.
        said: String,
    },
    /// dnsmasq ended at once, or was never ready.
    #[error("dnsmasq does not start on {interface}, {address}: {said}")]
    NotStarted {
        /// The interface.
        interface: InterfaceName,
        /// Our address.
        address: Ipv4Addr,
        /// Its last words.
        said: String,
    },
    /// The system did not do something.
    #[error("{what}")]
    System {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DnsmasqFault {
    /// The system did not do `what`.
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

fn networks(networks: &[Ipv4Net]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
