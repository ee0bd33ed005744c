//! What a boot server saw a machine do, or did for it: the raw material of the PXE doctor.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::model::MacAddr;

/// One observation, as the boot server's log tells it.
///
/// A log line names the machine by its MAC address (DHCP) or by its IP address (TFTP), seldom by both: an adapter
/// fills in the other where it knows it, for instance from the neighbour table (`reference/netboot.md` §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The NIC.
    pub mac: Option<MacAddr>,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// What was seen.
    pub what: Sighted,
}

/// What was seen. Variants are only ever added: entries of the journal hold them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Sighted {
    /// It asked for an address and for what to boot (DHCPDISCOVER, port 67).
    Discovered(DhcpClient),
    /// It asked, and was left alone since it is not registered.
    LeftAlone(DhcpClient),
    /// It was offered what to boot: by proxy-DHCP without an address, by full DHCP with one.
    Offered {
        /// What asked.
        client: DhcpClient,
        /// The address offered with it.
        address: Option<Ipv4Addr>,
        /// The boot file or URL in the offer.
        file: Option<String>,
    },
    /// It asked the boot server for the file to load (DHCPREQUEST, port 4011) and was told.
    BootServerAsked {
        /// What asked.
        client: DhcpClient,
        /// The boot file in our answer.
        file: Option<String>,
    },
    /// It asked for the address it was offered (DHCPREQUEST, port 67; full DHCP only).
    Requested {
        /// The address.
        address: Ipv4Addr,
    },
    /// It was given its address (DHCPACK; full DHCP only).
    Acknowledged {
        /// The address.
        address: Ipv4Addr,
    },
    /// It was denied the address it asked for (DHCPNAK; full DHCP only).
    Denied {
        /// Why, in the boot server's words.
        why: String,
    },
    /// It asked, and there is no address to give or no subnet that fits.
    NoAddress {
        /// Why, in the boot server's words.
        why: String,
    },
    /// It fetched a file by TFTP to its end.
    FileSent {
        /// The file's name.
        file: String,
    },
    /// It asked by TFTP for a file that is not there.
    FileMissing {
        /// The file's name.
        file: String,
    },
    /// A TFTP transfer broke off. Firmware that first asks for a file's size ends that transfer on purpose.
    FileBroken {
        /// The file's name, where the log tells it.
        file: Option<String>,
        /// Why, in the boot server's words.
        why: String,
    },
}

/// What a DHCP request says of the program that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpClient {
    /// What it can boot (option 93); `None` where the log did not tell.
    pub arch: Option<ClientArch>,
    /// Whether iPXE asks (user class or option 175), not the firmware before it.
    pub ipxe: bool,
}

/// The client system architectures that netbooting tells apart (option 93, RFC 4578).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientArch {
    /// 0: BIOS.
    Bios,
    /// 7 or 9: UEFI, x86-64.
    UefiX64,
    /// 11: UEFI, arm64.
    UefiArm64,
    /// 16: UEFI HTTP Boot, x86-64.
    UefiHttpX64,
    /// 19: UEFI HTTP Boot, arm64.
    UefiHttpArm64,
    /// Any other.
    Other(u16),
}

impl From<u16> for ClientArch {
    fn from(code: u16) -> Self {
        match code {
            0 => Self::Bios,
            7 | 9 => Self::UefiX64,
            11 => Self::UefiArm64,
            16 => Self::UefiHttpX64,
            19 => Self::UefiHttpArm64,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for ClientArch {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bios => to.write_str("BIOS"),
            Self::UefiX64 => to.write_str("UEFI x86-64"),
            Self::UefiArm64 => to.write_str("UEFI arm64"),
            Self::UefiHttpX64 => to.write_str("UEFI HTTP Boot x86-64"),
            Self::UefiHttpArm64 => to.write_str("UEFI HTTP Boot arm64"),
            Self::Other(code) => write!(to, "architecture {code}"),
        }
    }
}
