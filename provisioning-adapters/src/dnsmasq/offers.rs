//! Which DHCP servers there are on a LAN: one question as a netbooting machine asks it, and all that answer.
//!
//! The question takes no address: what a server offers is given back when nobody requests it. It is asked with the
//! interface's own MAC address, so that no server keeps an address for a machine that does not exist.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::{BindToDevice, Broadcast, ReuseAddr};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};
use provisioning_core::model::MacAddr;

use super::config::InterfaceName;

/// DHCPDISCOVER and DHCPOFFER (RFC 2132 §9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
/// What options begin with.
const MAGIC: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// What a DHCP server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its address.
    pub server: Ipv4Addr,
    /// The address that it offers; `None` when it only tells what to boot (proxy-DHCP).
    pub address: Option<Ipv4Addr>,
    /// Whether it tells netbooting machines what to boot.
    pub boots: bool,
}

/// Asks on an interface and gives what is answered within `wait`. Blocks for that long.
///
/// # Errors
/// When the port 68 cannot be used, for which it takes root or `CAP_NET_BIND_SERVICE`.
pub fn dhcp_offers(interface: &InterfaceName, wait: Duration) -> io::Result<Vec<Offer>> {
    let mac = mac_of(interface)?;
    let mut id = [0; 4];
    getrandom_bytes(&mut id)?;
    let question = question(mac, id);
    let socket = open(interface)?;
    socket.send_to(&question, SocketAddrV4::new(Ipv4Addr::BROADCAST, 67))?;
    let (began, mut buffer, mut offers) = (Instant::now(), [0; 2048], Vec::new());
    while let Some(left) = wait.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(length) => offers.extend(offer(&buffer[..length], id)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            Err(error) => return Err(error),
        }
    }
    offers.sort_by_key(|offer| (offer.server, offer.address));
    offers.dedup();
    Ok(offers)
}

/// The MAC address of one of this machine's own interfaces.
fn mac_of(interface: &InterfaceName) -> io::Result<MacAddr> {
    let own = getifaddrs()?.filter(|found| found.interface_name == interface.as_str());
    let mut links = own.filter_map(|found| found.address?.as_link_addr()?.addr());
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, format!("{interface} is not there, or has no MAC address"));
    MacAddr::new(links.next().ok_or_else(missing)?).map_err(io::Error::other)
}

/// A socket of DHCP clients on this interface alone; another client of this machine keeps its own.
fn open(interface: &InterfaceName) -> io::Result<UdpSocket> {
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, ReuseAddr, &true)?;
    setsockopt(&fd, Broadcast, &true)?;
    setsockopt(&fd, BindToDevice, &interface.as_str().into())?;
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68)))?;
    Ok(fd.into())
}

fn getrandom_bytes(bytes: &mut [u8; 4]) -> io::Result<()> {
    // Answers are told apart by it; it guards no secret.
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, bytes)
}

fn question(mac: MacAddr, id: [u8; 4]) -> Vec<u8> {
    // op, htype, hlen, hops; then xid, secs, flags (broadcast), four addresses, chaddr, sname, file.
    let mut message = vec![1, 1, 6, 0];
    message.extend(id);
    message.extend([0, 0, 0x80, 0]);
    message.resize(28, 0);
    message.extend(mac.octets());
    message.resize(236, 0);
    message.extend(MAGIC);
    message.extend([53, 1, DISCOVER]);
    let class = b"PXEClient:Arch:00007:UNDI:003000";
    message.extend([60, 32]);
    message.extend(class);
    message.extend([93, 2, 0, 7, 55, 5, 1, 3, 43, 60, 67, 255]);
    message.resize(300, 0);
    message
}

/// The offer that a message is, if it answers our question.
fn offer(message: &[u8], id: [u8; 4]) -> Option<Offer> {
    if message.len() < 240 || message[0] != 2 || message[4..8] != id || message[236..240] != MAGIC {
        return None;
    }
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
    let (mut kind, mut server, mut boots) = (None, None, message[108] != 0);
    let mut rest = &message[240..];
    while let [code, more @ ..] = rest {
        match (code, more) {
            (0, _) => rest = more,
            (255, _) => break,
            (_, [length, more @ ..]) if more.len() >= usize::from(*length) => {
                let (value, next) = more.split_at(usize::from(*length));
                match code {
                    53 => kind = value.first().copied(),
                    54 => server = address(value),
                    60 => boots |= value.starts_with(b"PXEClient"),
                    67 => boots = true,
                    _ => {}
                }
                rest = next;
            }
            _ => return None,
        }
    }
    let offered = address(&message[16..20]).filter(|address| !address.is_unspecified());
    (kind == Some(OFFER)).then(|| Some(Offer { server: server?, address: offered, boots }))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut message = vec![2, 1, 6, 0];
        message.extend(id);
        message.resize(16, 0);
        message.extend([10, 0, 0, 55]);
        message.resize(236, 0);
        message.extend(MAGIC);
        message.extend(options);
        message
    }

    #[test]
    fn an_offer_tells_who_offers_what() {
        let of = |options: &[u8]| offer(&answer([1, 2, 3, 4], options), [1, 2, 3, 4]);
        let lan = of(&[53, 1, 2, 54, 4, 10, 0, 0, 1, 255]);
        let address = Some(Ipv4Addr::new(10, 0, 0, 55));
        assert_eq!(lan, Some(Offer { server: Ipv4Addr::new(10, 0, 0, 1), address, boots: false }));
        let boots = of(&[0, 53, 1, 2, 54, 4, 10, 0, 0, 1, 67, 1, b'x', 255]);
        assert!(boots.is_some_and(|offer| offer.boots));
        assert_eq!(of(&[53, 1, 5, 54, 4, 10, 0, 0, 1, 255]), None, "an acknowledgement is no offer");
        assert_eq!(of(&[53, 1, 2, 54, 200, 10]), None, "an option that is cut off");
        assert_eq!(offer(&answer([1, 2, 3, 4], &[53, 1, 2, 255]), [9; 4]), None, "another's answer");
        assert_eq!(offer(&[2; 100], [2; 4]), None);
    }

    #[test]
    fn the_question_is_a_whole_message_of_a_netbooting_machine() {
        let message = question("52:54:00:00:00:01".parse().unwrap(), [9, 8, 7, 6]);
        assert_eq!((message.len(), &message[4..8]), (300, [9, 8, 7, 6].as_slice()));
        assert_eq!(message[28..34], [0x52, 0x54, 0, 0, 0, 1]);
        assert_eq!(message[240..243], [53, 1, DISCOVER]);
    }
}
