//! `provisioning dhcp-snippet`: what the operator's own DHCP server needs to be told.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::snippets::{Kind, SnippetFacts, snippet};

pub(super) const EXAMPLES: &str = "\
Examples:
  provisioning dhcp-snippet dnsmasq > /etc/dnsmasq.d/provisioning.conf
  provisioning dhcp-snippet isc --config /etc/provisioning/provisioning.yaml
  provisioning dhcp-snippet kea
  provisioning dhcp-snippet mikrotik
  provisioning dhcp-snippet opnsense";

/// What to print.
#[derive(Debug, Args)]
pub(super) struct SnippetArgs {
    /// Whose configuration.
    kind: Server,
    /// The configuration; without it as `serve` finds it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Server {
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

pub(super) fn print(args: &SnippetArgs) -> anyhow::Result<()> {
    let config = super::load(args.config.as_deref())?;
    let kind = match args.kind {
        Server::Dnsmasq => Kind::Dnsmasq,
        Server::Isc => Kind::Isc,
        Server::Kea => Kind::Kea,
        Server::Mikrotik => Kind::Mikrotik,
        Server::Opnsense => Kind::Opnsense,
    };
    let text = snippet(kind, &SnippetFacts::new(config.site.boot_url(), config.pxe.subnet));
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
