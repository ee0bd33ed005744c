//! Keys about machines that netboot, and what they fetch.

use super::Otherwise::{Default, Said};
use super::Shape::{List, Path, Text, Time, Truth, Whole, Word};
use super::{Group, IPV4, Key};

pub(super) const PXE: Group = Group {
    name: "pxe",
    is_list: false,
    about: "How machines find their boot script. Either a dnsmasq of the server's own tells them, beside the DHCP \
            server that is there or in its place, or your DHCP server does: `provisioning dhcp-snippet` prints its \
            lines.",
    keys: &[
        Key {
            name: "pxe.enabled",
            shape: Truth,
            otherwise: Default("false"),
            example: "true",
            about: "Runs dnsmasq. It needs root, or CAP_NET_BIND_SERVICE, CAP_NET_RAW and CAP_NET_ADMIN.",
        },
        Key {
            name: "pxe.interface",
            shape: Text("^[A-Za-z0-9._-]{1,15}$"),
            otherwise: Said("none; pxe.enabled needs one"),
            example: "eno1",
            about: "The network interface on the machines' LAN; no other is answered on. `ip -4 addr` lists them.",
        },
        Key {
            name: "pxe.subnet",
            shape: Text(r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$"),
            otherwise: Said("the interface's only subnet"),
            example: "10.0.0.0/24",
            about: "The machines' subnet, when the interface has several.",
        },
        Key {
            name: "pxe.mode",
            shape: Word(&["proxy", "dhcp"]),
            otherwise: Default("proxy"),
            example: "dhcp",
            about: "proxy: another DHCP server hands out the addresses, and dnsmasq adds where to boot from. dhcp: on \
                    an isolated LAN, dnsmasq hands out the addresses too.",
        },
        Key {
            name: "pxe.range",
            shape: Text(r"^\d{1,3}(\.\d{1,3}){3} *- *\d{1,3}(\.\d{1,3}){3}$"),
            otherwise: Said("none; pxe.mode dhcp needs one"),
            example: "10.0.0.100-10.0.0.199",
            about: "The addresses that are handed out, first and last. Only in pxe.mode dhcp.",
        },
        Key {
            name: "pxe.lease_time",
            shape: Time,
            otherwise: Said("1h"),
            example: "30m",
            about: "How long an address is lent, at least 2m. Only in pxe.mode dhcp.",
        },
        Key {
            name: "pxe.router",
            shape: Text(IPV4),
            otherwise: Said("none is told"),
            example: "10.0.0.1",
            about: "The default gateway that machines are told. Only in pxe.mode dhcp.",
        },
        Key {
            name: "pxe.dns",
            shape: List(IPV4),
            otherwise: Said("none are told"),
            example: "[10.0.0.53]",
            about: "The name servers that machines are told. Only in pxe.mode dhcp.",
        },
        Key {
            name: "pxe.respond_to",
            shape: Word(&["registered", "all"]),
            otherwise: Default("registered"),
            example: "all",
            about: "Who is answered: registered machines, or all, so that the others are discovered. A machine that is \
                    not registered is never installed either way.",
        },
        Key {
            name: "pxe.ipxe_dir",
            shape: Path,
            otherwise: Default("/usr/lib/ipxe"),
            example: "/usr/lib/ipxe",
            about: "The folder of iPXE's programs, where the package ipxe puts them.",
        },
        Key {
            name: "pxe.user",
            shape: Text("^[a-z_][a-z0-9_-]{0,31}$"),
            otherwise: Default("nobody"),
            example: "dnsmasq",
            about: "Whom dnsmasq runs as, when the server runs as root.",
        },
        Key {
            name: "pxe.run_dir",
            shape: Path,
            otherwise: Said("one below /run/provisioning for root, else one in the data directory"),
            example: "/run/provisioning/pxe",
            about: "The folder of dnsmasq's configuration and programs.",
        },
        Key {
            name: "pxe.dnsmasq",
            shape: Text(""),
            otherwise: Default("dnsmasq"),
            example: "/usr/sbin/dnsmasq",
            about: "The program: a path, or a name that is looked for in PATH, /usr/sbin and /sbin.",
        },
    ],
};

pub(super) const IMAGES: Group = Group {
    name: "images",
    is_list: false,
    about: "How images are handed out.",
    keys: &[
        Key {
            name: "images.max_streams",
            shape: Whole(1, 1_000_000),
            otherwise: Said("as many as ask"),
            example: "16",
            about: "How many machines download at once. The others are held by their boot script, in the order of \
                    their asking, and begin by themselves.",
        },
        Key {
            name: "images.max_bandwidth",
            shape: Text(""),
            otherwise: Said("as much as the network takes"),
            example: "900Mbit/s",
            about: "What all downloads may take together. As many machines download then as get 10 MB a second each.",
        },
    ],
};

pub(super) const RETENTION: Group = Group {
    name: "retention",
    is_list: false,
    about: "How long the past is kept. What belongs to the last operation of a host is always kept.",
    keys: &[
        Key {
            name: "retention.journal_days",
            shape: Whole(0, 36_500),
            otherwise: Default("365"),
            example: "90",
            about: "Days that entries of the journal are kept; 0 keeps them for ever.",
        },
        Key {
            name: "retention.artefacts_days",
            shape: Whole(0, 36_500),
            otherwise: Default("365"),
            example: "30",
            about: "Days that answer files, reports and transcripts of operations are kept; 0 keeps them for ever.",
        },
    ],
};
