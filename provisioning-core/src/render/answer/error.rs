//! Why there is no answer file: each reason is something that an operator can change.

use std::fmt;

use ipnet::IpNet;

use super::dialect::{OLDEST, OLDEST_REPORTING};
use crate::model::{Domain, Hostname, Release};

/// Why an answer cannot be rendered, or a rebuild with an image not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The installer is too old to be answered.
    #[error(
        "an installer of release {release} cannot be answered: {OLDEST} and later can, and for a rebuild it takes \
         an image of {OLDEST_REPORTING} or later"
    )]
    UnsupportedRelease {
        /// The installer's release.
        release: Release,
    },
    /// The installer can be answered, but never reports.
    #[error(
        "an installer of release {release} has neither webhook nor first-boot script, so the end of its installation \
         would never be heard of: use an image of {OLDEST_REPORTING} or later"
    )]
    CannotReport {
        /// The image's release.
        release: Release,
    },
    /// Something asked for came with a later release.
    #[error(
        "{feature} needs an installer of release {since} or later, this one is {release}: use a newer image or do without"
    )]
    NotInRelease {
        /// What was asked for.
        feature: &'static str,
        /// The first release that has it.
        since: Release,
        /// The installer's release.
        release: Release,
    },
    /// No password in clear for an installer that takes no hash.
    #[error(
        "an installer of release {release} takes no password hash and there is no password in clear to give it: \
         use an image of {OLDEST_REPORTING} or later"
    )]
    NoClearPassword {
        /// The installer's release.
        release: Release,
    },
    /// The password in clear is too short.
    #[error("root's password in clear has {bytes} bytes, the installer wants at least {min}: choose a longer one")]
    PasswordTooShort {
        /// Its length in bytes of UTF-8.
        bytes: usize,
        /// The fewest that will do.
        min: usize,
    },
    /// The password in clear has a line break or the like, which would end the line it is set by.
    #[error("root's password in clear has a control character such as a line break: choose one without")]
    PasswordHasControl,
    /// Name and domain together are too long.
    #[error("the full name of host {name} in domain {domain} is longer than 253 characters: shorten either")]
    FqdnTooLong {
        /// The host's name.
        name: Hostname,
        /// The site's domain.
        domain: Domain,
    },
    /// A fixed address, but no NIC to give it to.
    #[error("host {host} has a fixed address but no MAC address to tell its NIC by: add one")]
    NoMac {
        /// The host's name.
        host: Hostname,
    },
    /// A fixed address, but nothing known of the network around it.
    #[error(
        "host {host} has the fixed address {address}, but the configuration names neither gateway nor name server \
         for such hosts: add them, or remove the host's address to keep what DHCP gives it"
    )]
    NoStaticNetwork {
        /// The host's name.
        host: Hostname,
        /// Its address.
        address: IpNet,
    },
    /// An address that the installed host could not be reached with. Installers since 9.0.6 no longer look.
    #[error("{field} {value} of host {host} {fault}")]
    Address {
        /// Which: `address`, `gateway` or `dns`.
        field: &'static str,
        /// What it was.
        value: String,
        /// The host's name.
        host: Hostname,
        /// What is wrong with it.
        fault: AddressFault,
    },
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressFault {
    /// Unspecified, loopback or multicast.
    NoUnicast,
    /// A prefix of length 0.
    NoPrefix,
    /// The first address of the subnet.
    Network {
        /// The subnet.
        subnet: IpNet,
    },
    /// The last address of an IPv4 subnet.
    Broadcast {
        /// The subnet.
        subnet: IpNet,
    },
    /// IPv4 beside IPv6.
    OtherFamily {
        /// The host's subnet.
        subnet: IpNet,
    },
    /// Not in the host's subnet.
    Outside {
        /// The host's subnet.
        subnet: IpNet,
    },
    /// The gateway is the host.
    HostItself,
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUnicast => {
                f.write_str("belongs to no machine on a LAN (unspecified, loopback or multicast): give another")
            }
            Self::NoPrefix => f.write_str("has a prefix of 0 bits: give the subnet's, as in 10.0.0.5/24"),
            Self::Network { subnet } => write!(f, "is the address of the subnet {subnet} itself: give a host's"),
            Self::Broadcast { subnet } => write!(f, "is the broadcast address of the subnet {subnet}: give a host's"),
            Self::OtherFamily { subnet } => {
                write!(f, "and its subnet {subnet} are not of one family: give both as IPv4 or both as IPv6")
            }
            Self::Outside { subnet } => {
                write!(f, "is outside its subnet {subnet}: correct it, or the host's address or prefix")
            }
            Self::HostItself => f.write_str("is the host's own address: give the router's"),
        }
    }
}
