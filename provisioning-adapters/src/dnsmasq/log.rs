//! dnsmasq's log, read for what it says of netbooting machines: lines in, sightings out.
//!
//! dnsmasq answers one request after the other, so the lines of an exchange stand together; each begins with
//! `available DHCP …`. In proxy mode an offer (port 67) and the boot server's answer (port 4011) are logged with the
//! same words, but the type of the message that was sent (option 53, logged by `log-dhcp`) tells them apart: 2 for an
//! offer, 5 for the boot server's answer. The file of a proxy answer stands before that line. In full DHCP it may stand
//! behind it, among the options; what then has no file is known to have none when the next exchange begins, or when
//! nothing follows ([`LogReader::settle`]).
//!
//! A transfer that the machine has broken off is logged as an error *and* as sent, in this order.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use provisioning_core::model::MacAddr;
use provisioning_core::netboot::{ClientArch, DhcpClient, Sighted, Sighting};

use super::log_lines::{Dhcp, Line, Party, Tftp, line};
use super::programs::BOOT_CLIENTS;

/// Addresses whose MAC is remembered from DHCP lines: those of a /16 would be forgotten in between, and then the
/// neighbour table knows them.
const REMEMBERED_MAX: usize = 4096;

/// What the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A machine was seen.
    Seen(Sighting),
    /// The hosts file was read.
    HostsRead,
    /// Something is wrong with dnsmasq, in its own words.
    Complaint(String),
}

/// Reads one process's log.
#[derive(Debug)]
pub struct LogReader {
    hosts_file: String,
    tftp_root: String,
    exchange: Exchange,
    /// Transfers that were broken off and are not yet named.
    aborted: BTreeMap<Ipv4Addr, String>,
    known: BTreeMap<Ipv4Addr, MacAddr>,
}

/// The request that is being answered.
#[derive(Clone, Debug, Default)]
struct Exchange {
    xid: u32,
    client: DhcpClient,
    party: Party,
    file: Option<String>,
    by_proxy: bool,
    /// DHCPDISCOVER was logged, and no sighting made of it yet.
    discover: bool,
    /// An offer was sent whose file may still be told.
    offer: bool,
}

impl LogReader {
    /// For a dnsmasq with this hosts file and this TFTP root.
    pub fn new(hosts_file: &str, tftp_root: &str) -> Self {
        Self {
            hosts_file: hosts_file.to_owned(),
            tftp_root: format!("{}/", tftp_root.trim_end_matches('/')),
            exchange: Exchange::default(),
            aborted: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Reads the next line, without its end.
    pub fn line(&mut self, text: &str) -> Vec<Said> {
        let mut said = Vec::new();
        match line(text) {
            Line::Dhcp(xid, step) => self.dhcp(xid, &step, &mut said),
            Line::Tftp(tftp) => said.extend(self.tftp(&tftp)),
            Line::Read(file) if file == self.hosts_file => said.push(Said::HostsRead),
            Line::NoRange(why) => {
                said.push(Said::Complaint(why.to_owned()));
                said.push(seen(Party::default(), Sighted::NoAddress { why: why.to_owned() }));
            }
            Line::Complaint(words) => said.push(Said::Complaint(words.to_owned())),
            Line::Read(_) | Line::Other => {}
        }
        said
    }

    /// Nothing followed for a while: tells what was held back because more might have been said of it.
    pub fn settle(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        self.finish(&mut said);
        for (address, why) in std::mem::take(&mut self.aborted) {
            said.push(seen(self.at(address), Sighted::FileBroken { file: None, why }));
        }
        said
    }

    /// Whether something is held back until more is known of it.
    pub fn holds_back(&self) -> bool {
        self.exchange.offer || !self.aborted.is_empty()
    }

    fn dhcp(&mut self, xid: u32, step: &Dhcp<'_>, said: &mut Vec<Said>) {
        if matches!(step, Dhcp::Begins) || xid != self.exchange.xid {
            self.finish(said);
            self.exchange = Exchange { xid, ..Exchange::default() };
        }
        match step {
            Dhcp::Begins => {}
            Dhcp::VendorClass(class) => self.exchange.client.arch = arch_in(class),
            Dhcp::UserClass(class) => self.exchange.client.ipxe |= *class == "iPXE",
            Dhcp::Tags(tags) => self.tags(tags, said),
            Dhcp::Pxe(party, "proxy-ignored") => said.push(seen(*party, Sighted::LeftAlone(self.exchange.client))),
            Dhcp::Pxe(party, rest) => {
                self.remember(*party);
                self.exchange.party = *party;
                self.exchange.by_proxy = true;
                // The boot server's answer names its file here as well.
                self.exchange.file = (*rest != "proxy" && !rest.is_empty()).then(|| (*rest).to_owned());
            }
            Dhcp::Message(message, party, rest) => self.message(message, *party, rest, said),
            Dhcp::File(file) => self.exchange.file = Some((*file).to_owned()),
            Dhcp::AnswerIs(kind) => self.answer(*kind, said),
            Dhcp::FileOption(file) => {
                if self.exchange.offer {
                    self.exchange.file = Some((*file).to_owned());
                    self.finish(said);
                }
            }
        }
    }

    /// Full DHCP.
    fn message(&mut self, message: &str, party: Party, rest: &str, said: &mut Vec<Said>) {
        let client = self.exchange.client;
        self.exchange.party = party;
        match (message, party.address) {
            ("DHCPDISCOVER", _) if rest == "ignored" => said.push(seen(party, Sighted::LeftAlone(client))),
            ("DHCPDISCOVER", _) if rest.contains("no address") => {
                said.push(seen(party, Sighted::Discovered(client)));
                said.push(seen(party, Sighted::NoAddress { why: rest.to_owned() }));
            }
            // What the tags say of it follows.
            ("DHCPDISCOVER", _) => self.exchange.discover = true,
            ("DHCPOFFER", Some(_)) => self.remember(party),
            ("DHCPREQUEST", Some(address)) => said.push(seen(party, Sighted::Requested { address })),
            ("DHCPACK", Some(address)) => {
                self.remember(party);
                said.push(seen(party, Sighted::Acknowledged { address }));
            }
            ("DHCPNAK", _) => said.push(seen(party, Sighted::Denied { why: rest.to_owned() })),
            _ => {}
        }
    }

    fn tags(&mut self, tags: &str, said: &mut Vec<Said>) {
        for tag in tags.split(", ") {
            self.exchange.client.ipxe |= tag == "ipxe";
            let known = BOOT_CLIENTS.iter().find(|client| client.tag == tag);
            let code = known.and_then(|client| client.codes.first());
            self.exchange.client.arch = self.exchange.client.arch.or(code.map(|code| ClientArch::from(*code)));
        }
        if std::mem::take(&mut self.exchange.discover) {
            // The address that a machine asks for is not yet its own.
            let party = Party { address: None, ..self.exchange.party };
            said.push(seen(party, Sighted::Discovered(self.exchange.client)));
        }
    }

    /// An answer was sent.
    fn answer(&mut self, kind: u8, said: &mut Vec<Said>) {
        let exchange = &mut self.exchange;
        match (kind, exchange.by_proxy) {
            (2, true) => {
                said.push(seen(exchange.party, Sighted::Discovered(exchange.client)));
                exchange.offer = true;
                self.finish(said);
            }
            (2, false) => {
                exchange.offer = true;
                if exchange.file.is_some() {
                    self.finish(said);
                }
            }
            (5, true) => {
                let asked = Sighted::BootServerAsked { client: exchange.client, file: exchange.file.take() };
                said.push(seen(exchange.party, asked));
            }
            _ => {}
        }
    }

    /// An offer whose last line has come.
    fn finish(&mut self, said: &mut Vec<Said>) {
        if std::mem::take(&mut self.exchange.offer) {
            let Exchange { client, party, .. } = self.exchange;
            let offered = Sighted::Offered { client, address: party.address, file: self.exchange.file.take() };
            said.push(seen(party, offered));
        }
    }

    fn tftp(&mut self, tftp: &Tftp<'_>) -> Option<Said> {
        match tftp {
            Tftp::Aborted { why, by } => {
                self.aborted.insert(*by, (*why).to_owned());
                None
            }
            Tftp::Sent { file, to } => {
                let file = self.name(file);
                Some(seen(
                    self.at(*to),
                    match self.aborted.remove(to) {
                        Some(why) => Sighted::FileBroken { file: Some(file), why },
                        None => Sighted::FileSent { file },
                    },
                ))
            }
            Tftp::Missing { file, to } => Some(seen(self.at(*to), Sighted::FileMissing { file: self.name(file) })),
            Tftp::Failed { file, to } => {
                let why = "the machine stopped answering".to_owned();
                Some(seen(self.at(*to), Sighted::FileBroken { file: Some(self.name(file)), why }))
            }
        }
    }

    /// A file's name as machines ask for it.
    fn name(&self, path: &str) -> String {
        path.strip_prefix(&self.tftp_root).unwrap_or(path).to_owned()
    }

    fn at(&self, address: Ipv4Addr) -> Party {
        Party { mac: self.known.get(&address).copied(), address: Some(address) }
    }

    fn remember(&mut self, party: Party) {
        let (Some(mac), Some(address)) = (party.mac, party.address) else { return };
        if self.known.len() >= REMEMBERED_MAX {
            self.known.pop_first();
        }
        self.known.insert(address, mac);
    }
}

fn seen(party: Party, what: Sighted) -> Said {
    Said::Seen(Sighting { mac: party.mac, address: party.address, what })
}

/// `PXEClient:Arch:00007:UNDI:003000`.
fn arch_in(vendor_class: &str) -> Option<ClientArch> {
    let code = vendor_class.split_once(":Arch:")?.1.get(..5)?;
    code.parse::<u16>().ok().map(ClientArch::from)
}

#[cfg(test)]
mod tests;
