//! What dnsmasq is told, as types whose text cannot break out of a line of its configuration.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::Ipv4Net;
use provisioning_core::model::BaseUrl;

/// Everything that a dnsmasq of ours is started with.
#[derive(Clone, Debug)]
pub struct DnsmasqConfig {
    /// The interface on the machines' LAN; no other is answered on.
    pub interface: InterfaceName,
    /// Their network, which must hold one of the interface's addresses; `None` takes the interface's only one.
    pub subnet: Option<Ipv4Net>,
    /// Who hands out addresses.
    pub addresses: Addresses,
    /// Which machines are answered.
    pub respond_to: RespondTo,
    /// Where machines reach our HTTP server.
    pub public_url: BaseUrl,
    /// The folder of iPXE's programs. Debian's package puts them into `/usr/lib/ipxe`.
    pub programs: PathBuf,
    /// The folder for the configuration, the hosts file, the pid file and the TFTP root. [`DnsmasqConfig::user`] must
    /// be able to read it, and one process of ours at a time may use it.
    pub run_dir: ConfigPath,
    /// The file of the leases that were given; its folder need not be readable to [`DnsmasqConfig::user`].
    pub lease_file: ConfigPath,
    /// The user that dnsmasq becomes once its ports are open, when we are root. Default of dnsmasq: `nobody`.
    pub user: UserName,
    /// The program: a path, or a name that is looked for in `PATH`, `/usr/sbin` and `/sbin`.
    pub program: PathBuf,
}

/// Who hands out addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Another DHCP server: ours only adds what to boot (proxy-DHCP).
    Proxy,
    /// Ours, which is then the only DHCP server of the LAN.
    Dhcp(Pool),
}

/// The addresses that are handed out, and what comes with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last one.
    pub last: Ipv4Addr,
    /// How long an address is lent; dnsmasq takes two minutes at least. Default of the server: one hour.
    pub lease_time: Duration,
    /// The machines' router; without one dnsmasq names itself.
    pub router: Option<Ipv4Addr>,
    /// The machines' name servers; may be empty.
    pub dns: Vec<Ipv4Addr>,
}

/// The most addresses of a pool: as many as a /16 holds.
const POOL_MAX: u32 = 1 << 16;

impl Pool {
    /// How many addresses it holds; nothing when the first comes after the last.
    pub fn size(&self) -> u32 {
        (u32::from(self.last).saturating_add(1)).saturating_sub(u32::from(self.first))
    }

    /// Whether it fits a network in which `own` is our address.
    ///
    /// # Errors
    /// What does not fit, and what would.
    pub fn check(&self, subnet: Ipv4Net, own: Option<Ipv4Addr>) -> Result<(), PoolError> {
        let (first, last) = (self.first, self.last);
        if first > last {
            return Err(PoolError::Order { first, last });
        }
        if self.size() > POOL_MAX {
            return Err(PoolError::Large { first, last });
        }
        let edges = subnet.prefix_len() < 31;
        for address in [first, last] {
            let edge = edges && (address == subnet.network() || address == subnet.broadcast());
            if !subnet.contains(&address) || edge {
                return Err(PoolError::Outside { address, subnet: subnet.trunc() });
            }
        }
        if let Some(own) = own.filter(|own| (first..=last).contains(own)) {
            return Err(PoolError::Own { own });
        }
        match self.router.filter(|router| !subnet.contains(router)) {
            Some(router) => Err(PoolError::Router { router, subnet: subnet.trunc() }),
            None => Ok(()),
        }
    }
}

/// Why a pool does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It runs backwards.
    #[error("{first} comes after {last}: write the lower address first")]
    Order {
        /// Its first address.
        first: Ipv4Addr,
        /// Its last.
        last: Ipv4Addr,
    },
    /// It holds more than dnsmasq is asked to keep book of.
    #[error("{first}-{last} holds more than 65536 addresses: take a part of it")]
    Large {
        /// Its first address.
        first: Ipv4Addr,
        /// Its last.
        last: Ipv4Addr,
    },
    /// An end of it is no host's address in the network.
    #[error("{address} is no address for a host in {subnet}")]
    Outside {
        /// The address.
        address: Ipv4Addr,
        /// The network.
        subnet: Ipv4Net,
    },
    /// Our own address would be given away.
    #[error("{own} is this server's own address: leave it out of the range")]
    Own {
        /// Our address.
        own: Ipv4Addr,
    },
    /// The router is not on the LAN.
    #[error("the router {router} is not in {subnet}")]
    Router {
        /// The router.
        router: Ipv4Addr,
        /// The network.
        subnet: Ipv4Net,
    },
}

/// Which machines are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RespondTo {
    /// Those in the boot plan.
    #[default]
    Registered,
    /// All, so that unknown ones ask us for a boot script and are discovered by it.
    All,
}

/// The name of a network interface: 1 to 15 of `A-Z a-z 0-9 . _ -`, not `.` or `..`.
///
/// The kernel allows more characters, a comma and a number sign among them, which dnsmasq would take for its own.
///
/// ```
/// # use provisioning_adapters::dnsmasq::InterfaceName;
/// assert!("enp3s0.100".parse::<InterfaceName>().is_ok());
/// assert!("eth0,eth1".parse::<InterfaceName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceName(Box<str>);

/// The name of a user of this system: 1 to 32 of `a-z A-Z 0-9 _ -`, a letter or `_` first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(Box<str>);

/// An absolute path of `A-Z a-z 0-9 / . _ -` without `..`: dnsmasq knows no quotes for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPath(PathBuf);

impl InterfaceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ConfigPath {
    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path of a file below, whose name is one of our own.
    pub(super) fn file(&self, name: &'static str) -> PathBuf {
        self.0.join(name)
    }
}

impl FromStr for InterfaceName {
    type Err = ParseConfigError;

    fn from_str(text: &str) -> Result<Self, ParseConfigError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = (1..=15).contains(&text.len()) && text.bytes().all(allowed) && text != "." && text != "..";
        // A leading dash would be read as an option by the tools that the name is given to.
        if fits && !text.starts_with('-') { Ok(Self(text.into())) } else { Err(ParseConfigError::Interface) }
    }
}

impl FromStr for UserName {
    type Err = ParseConfigError;

    fn from_str(text: &str) -> Result<Self, ParseConfigError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let fits = begins && text.len() <= 32 && text.bytes().all(allowed);
        if fits { Ok(Self(text.into())) } else { Err(ParseConfigError::User) }
    }
}

impl TryFrom<PathBuf> for ConfigPath {
    type Error = ParseConfigError;

    fn try_from(path: PathBuf) -> Result<Self, ParseConfigError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        let plain = path.to_str().is_some_and(|text| text.bytes().all(allowed));
        let up = path.components().any(|part| part.as_os_str() == "..");
        if plain && path.is_absolute() && !up { Ok(Self(path)) } else { Err(ParseConfigError::Path(path)) }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no such value; the message says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseConfigError {
    /// No interface's name.
    #[error("not a network interface's name: 1 to 15 letters, digits and . _ - as `ip link` shows them")]
    Interface,
    /// No user's name.
    #[error("not a user's name: 1 to 32 letters, digits and _ -, a letter or _ first")]
    User,
    /// A path that dnsmasq's configuration cannot hold.
    #[error("{} is not a path that dnsmasq can be told: an absolute one of letters, digits and / . _ -", .0.display())]
    Path(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_would_break_out_of_their_line_are_refused() {
        for text in ["", "eth0\n", "eth0 ", "eth0,eth1", "eth0#", "a/b", ".", "..", "-i", "abcdefghijklmnop", "ethö"] {
            assert_eq!(text.parse::<InterfaceName>(), Err(ParseConfigError::Interface), "{text:?}");
        }
        for text in ["", "no body", "1x", "-x", "root\nport=53", "a,b", &"x".repeat(33)] {
            assert_eq!(text.parse::<UserName>(), Err(ParseConfigError::User), "{text:?}");
        }
        for text in ["run", "/a b", "/a,b", "/a\nb", "/a/../b", "/a#b", "/a\"b"] {
            assert!(ConfigPath::try_from(PathBuf::from(text)).is_err(), "{text:?}");
        }
        assert!(ConfigPath::try_from(PathBuf::from("/run/provisioning/a-1_b.c")).is_ok());
    }

    #[test]
    fn a_pool_stays_within_its_network_and_off_our_own_address() {
        let pool = |first: &str, last: &str, router: Option<&str>| Pool {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            lease_time: Duration::from_secs(3600),
            router: router.map(|router| router.parse().unwrap()),
            dns: vec![],
        };
        let subnet = "10.0.0.2/24".parse().unwrap();
        let own = Some("10.0.0.2".parse().unwrap());
        let said = |pool: Pool| pool.check(subnet, own).unwrap_err().to_string();
        assert_eq!(pool("10.0.0.100", "10.0.0.199", Some("10.0.0.1")).check(subnet, own), Ok(()));
        assert_eq!(pool("10.0.0.100", "10.0.0.199", None).size(), 100);
        assert_eq!(
            said(pool("10.0.0.9", "10.0.0.8", None)),
            "10.0.0.9 comes after 10.0.0.8: write the lower address first"
        );
        assert_eq!(said(pool("10.0.0.9", "10.0.1.8", None)), "10.0.1.8 is no address for a host in 10.0.0.0/24");
        assert_eq!(said(pool("10.0.0.9", "10.0.0.255", None)), "10.0.0.255 is no address for a host in 10.0.0.0/24");
        assert!(said(pool("10.0.0.1", "10.0.0.9", None)).contains("this server's own address"));
        assert!(said(pool("10.0.0.5", "10.0.0.9", Some("10.1.0.1"))).contains("the router 10.1.0.1 is not in"));
        assert!(said(pool("10.0.0.5", "10.9.0.9", None)).contains("more than 65536"));
    }

    proptest! {
        #[test]
        fn no_name_that_is_taken_holds_a_character_of_dnsmasq(text in ".{0,20}") {
            let special = |text: &str| text.contains([',', '#', '"', '\n', ' ', '=', ':']);
            if let Ok(name) = text.parse::<InterfaceName>() {
                prop_assert!(!special(name.as_str()));
            }
            if let Ok(name) = text.parse::<UserName>() {
                prop_assert!(!special(name.as_str()));
            }
            if let Ok(path) = ConfigPath::try_from(PathBuf::from(format!("/{text}"))) {
                prop_assert!(!special(path.as_path().to_str().unwrap()));
            }
        }
    }
}
