//! What an operator's own DHCP server is to be told, so that machines come to us without a dnsmasq of ours: iPXE for
//! firmware, our URL for iPXE. One file for each DHCP server.
//!
//! Each of them tells firmware apart by its architecture (option 93), never by the words of its vendor class, and iPXE
//! by its user class, or it would load itself for ever (`reference/netboot.md` §2).

mod dnsmasq;
mod isc;
mod kea;
mod mikrotik;
mod opnsense;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use provisioning_adapters::dnsmasq::{BootPrograms, Fetched, boot_url, program_url};
use provisioning_core::model::BaseUrl;

/// A DHCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// dnsmasq as the LAN's DHCP server.
    Dnsmasq,
    /// ISC dhcpd.
    Isc,
    /// Kea.
    Kea,
    /// RouterOS 7.
    Mikrotik,
    /// OPNsense, by its pages.
    Opnsense,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Dnsmasq, Self::Isc, Self::Kea, Self::Mikrotik, Self::Opnsense];

    /// How the command line and pages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dnsmasq => "dnsmasq",
            Self::Isc => "isc",
            Self::Kea => "kea",
            Self::Mikrotik => "mikrotik",
            Self::Opnsense => "opnsense",
        }
    }
}

/// What a snippet is made from.
#[derive(Clone, Debug)]
pub struct SnippetFacts {
    boot_url: String,
    /// Where firmware fetches its program by TFTP.
    tftp: String,
    subnet: Option<Ipv4Net>,
    clients: Vec<Client>,
}

/// A row of the table of architectures.
#[derive(Clone, Debug)]
struct Client {
    tag: &'static str,
    words: &'static str,
    code: u16,
    by_http: bool,
    file: String,
}

impl SnippetFacts {
    /// For machines that reach us at `public_url`, in `subnet` where it is known. Their TFTP server is taken to be
    /// the host of the URL.
    pub fn new(public_url: &BaseUrl, subnet: Option<Ipv4Net>) -> Self {
        let host = public_url.as_str().split("://").nth(1).unwrap_or_default().split(['/', ':']).next();
        let address: Option<Ipv4Addr> = host.and_then(|host| host.parse().ok());
        let clients = BootPrograms::usual().into_iter().flat_map(|program| {
            let by_http = program.client.fetched == Fetched::ByHttp;
            let file = if by_http { program_url(public_url, program.name) } else { program.name.to_owned() };
            program.client.codes.iter().map(move |code| Client {
                tag: program.client.tag,
                words: program.client.words,
                code: *code,
                by_http,
                file: file.clone(),
            })
        });
        Self {
            boot_url: boot_url(public_url),
            // A documentation address (RFC 5737): it parses everywhere and is nobody's.
            tftp: address.unwrap_or(Ipv4Addr::new(192, 0, 2, 1)).to_string(),
            subnet: subnet.map(|subnet| subnet.trunc()),
            clients: clients.collect(),
        }
    }

    /// The head of every snippet: `mark` begins a comment.
    fn head(&self, mark: &str, what: &str) -> String {
        let tftp = &self.tftp;
        let lines = [
            what.to_owned(),
            format!("{tftp} is taken for the TFTP server: it must serve undionly.kpxe, snponly.efi and, for arm64,"),
            "snponly-arm64.efi (Debian: package ipxe). UEFI HTTP Boot and iPXE itself need no TFTP.".to_owned(),
        ];
        lines.map(|line| format!("{mark} {line}\n")).concat()
    }
}

/// The lines for a DHCP server.
pub fn snippet(kind: Kind, facts: &SnippetFacts) -> String {
    match kind {
        Kind::Dnsmasq => dnsmasq::snippet(facts),
        Kind::Isc => isc::snippet(facts),
        Kind::Kea => kea::snippet(facts),
        Kind::Mikrotik => mikrotik::snippet(facts),
        Kind::Opnsense => opnsense::snippet(facts),
    }
}

#[cfg(test)]
mod tests;
