//! Firmware as dnsmasq sees it: a small DHCP and TFTP client over plain sockets.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// The address that the machine's end of the cable has.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 55);

/// How long an answer is waited for: dnsmasq pings an address for 3 s before it offers it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(8);
/// How long silence must last to be taken for an answer. dnsmasq answers within a few milliseconds.
const SILENCE: Duration = Duration::from_millis(700);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Firmware {
    /// The NIC's address.
    mac: [u8; 6],
    /// Its architecture (option 93); none for an operating system.
    arch: Option<u16>,
    /// Whether it is iPXE.
    ipxe: bool,
}

/// What an answer says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: u8,
    pub(crate) address: Ipv4Addr,
    pub(crate) next_server: Ipv4Addr,
    /// The boot file, from the header or from option 67.
    pub(crate) file: String,
    pub(crate) options: BTreeMap<u8, Vec<u8>>,
}

/// DHCPDISCOVER.
const DISCOVER: u8 = 1;
/// DHCPREQUEST.
const REQUEST: u8 = 3;

impl Firmware {
    /// With the MAC address `52:54:00:00:00:nic`.
    pub(crate) fn new(nic: u8, arch: u16) -> Self {
        Self { mac: [0x52, 0x54, 0, 0, 0, nic], arch: Some(arch), ipxe: false }
    }

    /// iPXE on a BIOS.
    pub(crate) fn of(mac: [u8; 6]) -> Self {
        Self { mac, ..Self::ipxe(0, 0) }
    }

    pub(crate) fn ipxe(nic: u8, arch: u16) -> Self {
        Self { ipxe: true, ..Self::new(nic, arch) }
    }

    pub(crate) fn system(nic: u8) -> Self {
        Self { arch: None, ..Self::new(nic, 0) }
    }

    /// Asks everybody on the LAN for an address and for what to boot.
    pub(crate) fn discover(self) -> Option<Answer> {
        exchange(&self.message(DISCOVER, &[]), 67, Ipv4Addr::BROADCAST, ANSWER_TIME_MAX)
    }

    /// As [`Firmware::discover`], when silence is expected.
    pub(crate) fn is_left_alone(self) -> bool {
        exchange(&self.message(DISCOVER, &[]), 67, Ipv4Addr::BROADCAST, SILENCE).is_none()
    }

    /// Takes the address that it was offered.
    pub(crate) fn request(self, address: Ipv4Addr, server: Ipv4Addr) -> Option<Answer> {
        let wanted = [(50, address.octets().to_vec()), (54, server.octets().to_vec())];
        exchange(&self.message(REQUEST, &wanted), 67, Ipv4Addr::BROADCAST, ANSWER_TIME_MAX)
    }

    /// Asks the boot server (port 4011) for its file. BIOS firmware names the item of the menu it was offered.
    pub(crate) fn boot_server(self, server: Ipv4Addr) -> Option<Answer> {
        let menu = if self.arch == Some(0) { vec![(43, vec![71, 4, 0x80, 0, 0, 0, 255])] } else { vec![] };
        let mut message = self.message(REQUEST, &menu);
        // It has its address by now, from the LAN's own DHCP server.
        message[12..16].copy_from_slice(&CLIENT.octets());
        exchange(&message, 4011, server, ANSWER_TIME_MAX)
    }

    fn message(self, kind: u8, more: &[(u8, Vec<u8>)]) -> Vec<u8> {
        // op, htype, hlen, hops, xid, secs, flags (broadcast), four addresses, chaddr, sname, file, magic.
        let mut message = vec![1, 1, 6, 0, 0x50, 0x58, self.mac[5], kind, 0, 0, 0x80, 0];
        message.resize(28, 0);
        message.extend(self.mac);
        message.resize(236, 0);
        message.extend([0x63, 0x82, 0x53, 0x63]);
        let mut option = |code: u8, value: &[u8]| {
            message.extend([code, u8::try_from(value.len()).unwrap()]);
            message.extend(value);
        };
        option(53, &[kind]);
        if let Some(arch) = self.arch {
            let class = if matches!(arch, 16 | 19) { "HTTPClient" } else { "PXEClient" };
            option(60, format!("{class}:Arch:{arch:05}:UNDI:003000").as_bytes());
            option(93, &arch.to_be_bytes());
        }
        if self.ipxe {
            option(77, b"iPXE");
            option(175, &[0xb1, 5, 1, 0x80, 0x86, 0x10, 0x0e]);
        }
        option(55, &[1, 3, 6, 43, 54, 60, 66, 67]);
        for (code, value) in more {
            option(*code, value);
        }
        message.push(255);
        message
    }
}

/// Sends from port 68 and waits for the answer to this exchange.
fn exchange(message: &[u8], port: u16, to: Ipv4Addr, limit: Duration) -> Option<Answer> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(limit)).unwrap();
    socket.send_to(message, (to, port)).unwrap();
    let began = Instant::now();
    let mut buffer = [0; 2048];
    while began.elapsed() < limit {
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { return None };
        if length > 240 && buffer[4..8] == message[4..8] {
            return Some(answer(&buffer[..length]));
        }
    }
    None
}

fn answer(message: &[u8]) -> Answer {
    let mut options = BTreeMap::new();
    let mut rest = &message[240..];
    while let [code @ 1..=254, length, more @ ..] = rest {
        let (value, next) = more.split_at(usize::from(*length));
        options.insert(*code, value.to_vec());
        rest = next;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&message[at..at + 4]).unwrap());
    let file = options.get(&67).map_or_else(|| text(&message[108..236]), |file| text(file));
    Answer { kind: options[&53][0], address: address(16), next_server: address(20), file, options }
}

/// Fetches a file by TFTP, block by block.
///
/// # Errors
/// What the server says, or that it says nothing.
pub(crate) fn tftp(server: Ipv4Addr, file: &str) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.send_to(&[&[0, 1], file.as_bytes(), b"\0octet\0"].concat(), (server, 69))?;
    let (mut got, mut buffer) = (Vec::new(), [0; 2048]);
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        match &buffer[..length] {
            [0, 3, high, low, data @ ..] => {
                got.extend(data);
                socket.send_to(&[0, 4, *high, *low], from)?;
                if data.len() < 512 {
                    return Ok(got);
                }
            }
            [0, 5, _, _, words @ ..] => return Err(io::Error::other(String::from_utf8_lossy(words).into_owned())),
            other => return Err(io::Error::other(format!("an answer that is none: {other:?}"))),
        }
    }
}
