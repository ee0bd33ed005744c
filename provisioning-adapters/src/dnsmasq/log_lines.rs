//! One line of dnsmasq's log, taken apart. Lines hold text of strangers, but never a line break of theirs: dnsmasq
//! leaves unprintable characters out.

use std::net::Ipv4Addr;

use provisioning_core::model::MacAddr;

/// What a line says, before it is known which others belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Of a DHCP exchange, with its transaction number.
    Dhcp(u32, Dhcp<'a>),
    /// Of a TFTP transfer.
    Tftp(Tftp<'a>),
    /// A file was read.
    Read(&'a str),
    /// A request came on a network for which there is no range.
    NoRange(&'a str),
    /// Something is wrong with dnsmasq itself.
    Complaint(&'a str),
    /// Nothing that matters.
    Other,
}

/// Steps of a DHCP exchange, in the order in which they are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dhcp<'a> {
    /// The first line of a request.
    Begins,
    VendorClass(&'a str),
    UserClass(&'a str),
    Tags(&'a str),
    /// `PXE(if) [IP] MAC REST`.
    Pxe(Party, &'a str),
    /// `DHCPxxx(if) [IP] [MAC] REST`.
    Message(&'a str, Party, &'a str),
    /// The file in the answer's header.
    File(&'a str),
    /// The answer's message type (option 53): 2 is an offer, 5 an acknowledgement.
    AnswerIs(u8),
    /// The file among the answer's options (67).
    FileOption(&'a str),
}

/// Who it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) mac: Option<MacAddr>,
    pub(super) address: Option<Ipv4Addr>,
}

/// Ends of TFTP transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tftp<'a> {
    Sent {
        file: &'a str,
        to: Ipv4Addr,
    },
    Missing {
        file: &'a str,
        to: Ipv4Addr,
    },
    /// The machine did not answer any more.
    Failed {
        file: &'a str,
        to: Ipv4Addr,
    },
    /// The machine said that it wants no more.
    Aborted {
        why: &'a str,
        by: Ipv4Addr,
    },
}

/// Takes a line apart.
pub(super) fn line(text: &str) -> Line<'_> {
    let Some((program, rest)) = text.split_once(": ") else { return Line::Other };
    match program.split('[').next() {
        Some("dnsmasq-dhcp") => dhcp(rest),
        Some("dnsmasq-tftp") => tftp(rest).map_or(Line::Other, Line::Tftp),
        Some("dnsmasq") => own(rest),
        _ => Line::Other,
    }
}

/// dnsmasq speaks of itself: all is a complaint but for what every start and every end says.
fn own(rest: &str) -> Line<'_> {
    let usual = ["started, ", "compile time options: ", "exiting on receipt of SIGTERM", "using nameserver"];
    if usual.iter().any(|usual| rest.starts_with(usual)) { Line::Other } else { Line::Complaint(rest) }
}

fn dhcp(rest: &str) -> Line<'_> {
    if let Some(file) = rest.strip_prefix("read ") {
        return Line::Read(file);
    }
    let numbered = rest.split_once(' ').and_then(|(xid, rest)| Some((xid.parse().ok()?, rest)));
    let (xid, rest) = numbered.unwrap_or((0, rest));
    if rest.starts_with("no address range available") || rest.ends_with("which has no address") {
        return Line::NoRange(rest);
    }
    step(rest).map_or(Line::Other, |step| Line::Dhcp(xid, step))
}

type MakeStep = fn(&str) -> Dhcp<'_>;

fn step(rest: &str) -> Option<Dhcp<'_>> {
    if rest.starts_with("available DHCP ") {
        return Some(Dhcp::Begins);
    }
    let labelled: [(&str, MakeStep); 4] = [
        ("vendor class: ", |text| Dhcp::VendorClass(text)),
        ("user class: ", |text| Dhcp::UserClass(text)),
        ("tags: ", |text| Dhcp::Tags(text)),
        ("bootfile name: ", |text| Dhcp::File(text)),
    ];
    if let Some(step) = labelled.iter().find_map(|(label, make)| rest.strip_prefix(label).map(make)) {
        return Some(step);
    }
    if let Some(sent) = rest.strip_prefix("sent size:") {
        let (number, value) = sent.split_once("option:")?.1.trim_start().split_once(' ')?;
        // The option's name stands between its number and its value.
        let value = value.split_once(' ')?.1.trim();
        return match number {
            "53" => value.parse().ok().map(Dhcp::AnswerIs),
            "67" => Some(Dhcp::FileOption(value)),
            _ => None,
        };
    }
    let (message, rest) = rest.split_once('(')?;
    let (_interface, rest) = rest.split_once(") ")?;
    let (party, rest) = party(rest);
    match message {
        "PXE" => Some(Dhcp::Pxe(party, rest)),
        message if message.starts_with("DHCP") => Some(Dhcp::Message(message, party, rest)),
        _ => None,
    }
}

/// `[IP] [MAC] REST`.
fn party(text: &str) -> (Party, &str) {
    let (mut party, mut rest) = (Party::default(), text);
    let word = |text: &'_ str| text.split(' ').next().unwrap_or_default().to_owned();
    if let Ok(address) = word(rest).parse() {
        party.address = Some(address);
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
    }
    if let Ok(mac) = word(rest).parse() {
        party.mac = Some(mac);
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
    }
    (party, rest.trim())
}

/// File names may hold the words that follow them: the last ones count.
fn tftp(rest: &str) -> Option<Tftp<'_>> {
    if let Some((before, address)) = rest.rsplit_once(" not found for ") {
        return Some(Tftp::Missing { file: before.strip_prefix("file ")?, to: address.parse().ok()? });
    }
    if let Some((before, address)) = rest.rsplit_once(" received from ") {
        return Some(Tftp::Aborted { why: before.strip_prefix("error ")?, by: address.parse().ok()? });
    }
    let (before, address) = rest.rsplit_once(" to ")?;
    let to = address.parse().ok()?;
    match before.strip_prefix("failed sending ") {
        Some(file) => Some(Tftp::Failed { file, to }),
        None => Some(Tftp::Sent { file: before.strip_prefix("sent ")?, to }),
    }
}
