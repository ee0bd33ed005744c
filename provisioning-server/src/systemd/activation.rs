//! Sockets that a service manager has opened for us (`sd_listen_fds(3)`): they outlive our process, so that whoever
//! connects while it is restarted waits for the next one instead of being refused.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use listenfd::ListenFd;
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt::KeepAlive};

use crate::http::listen::BACKLOG;

/// A door that the network comes in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// For everybody.
    Main,
    /// For firmware, without TLS.
    Boot,
    /// For kernel and initrd.
    Artifacts,
}

impl Entrance {
    const ALL: [Self; 3] = [Self::Main, Self::Boot, Self::Artifacts];

    /// The key of its address in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Main => "server.listen",
            Self::Boot => "server.boot_listen",
            Self::Artifacts => "server.artifact_listen",
        }
    }

    /// Its socket's `FileDescriptorName=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Boot => "boot",
            Self::Artifacts => "artifacts",
        }
    }
}

/// The sockets that were opened for us and are not yet claimed.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Socket>,
}

#[derive(Debug)]
struct Socket {
    name: String,
    address: SocketAddr,
    listener: TcpListener,
}

impl Inherited {
    /// Takes the sockets that the environment tells of, and the telling with them: children shall not read it. Call it
    /// while the process has one thread.
    ///
    /// # Errors
    /// `Unusable` when one of them is not a listening TCP socket.
    pub fn take() -> Result<Self, ActivationError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut fds = ListenFd::from_env();
        let mut names = names.split(':');
        let mut sockets = vec![];
        for index in 0..fds.len() {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
            let taken = fds.take_tcp_listener(index);
            let listener = taken.map_err(|source| ActivationError::Unusable { name: name.clone(), source })?;
            let Some(listener) = listener else { continue };
            sockets.push(Socket::new(name, listener)?);
        }
        Ok(Self { sockets })
    }

    /// No sockets: everything is opened by ourselves.
    pub fn none() -> Self {
        Self::default()
    }

    /// The socket for a door that the configuration puts at `wanted`: the one of its name, or else the one of its
    /// address; `None` when none was opened for it.
    ///
    /// # Errors
    /// `Elsewhere` when the socket of its name has another address. A wider address is another one, too: it might let
    /// in those whom the configuration keeps out.
    pub fn claim(&mut self, door: Entrance, wanted: SocketAddr) -> Result<Option<TcpListener>, ActivationError> {
        let is_named = |socket: &Socket| Entrance::ALL.iter().any(|other| socket.name == other.name());
        let named = self.sockets.iter().position(|socket| socket.name == door.name());
        let found = named
            .or_else(|| self.sockets.iter().position(|socket| !is_named(socket) && is_same(socket.address, wanted)));
        let Some(index) = found else { return Ok(None) };
        let Socket { name, address, listener } = self.sockets.swap_remove(index);
        if !is_same(address, wanted) {
            return Err(ActivationError::Elsewhere { name, address, key: door.key(), wanted });
        }
        Ok(Some(listener))
    }

    /// That no socket is left over: whoever connects to it would wait for an answer that never comes.
    ///
    /// # Errors
    /// `Unclaimed` names the first one.
    pub fn finish(self, doors: &[(Entrance, SocketAddr)]) -> Result<(), ActivationError> {
        match self.sockets.into_iter().next() {
            None => Ok(()),
            Some(Socket { name, address, .. }) => {
                Err(ActivationError::Unclaimed { name, address, doors: Doors(doors.to_vec()) })
            }
        }
    }
}

impl Socket {
    fn new(name: String, listener: TcpListener) -> Result<Self, ActivationError> {
        let prepared = || {
            listener.set_nonblocking(true)?;
            // As `http::listen::bind` has them: machines that lost their power are noticed in the end, and a rack that is
            // switched on at once may wait to be accepted.
            setsockopt(&listener, KeepAlive, &true)?;
            listen(&listener, Backlog::new(BACKLOG)?)?;
            listener.local_addr()
        };
        match prepared() {
            Ok(address) => Ok(Self { name, address, listener }),
            Err(source) => Err(ActivationError::Unusable { name, source }),
        }
    }
}

/// Whether a socket is what the configuration asks for. All addresses are all addresses, of whichever family; port 0 is
/// any port.
fn is_same(socket: SocketAddr, wanted: SocketAddr) -> bool {
    let canonical = |address: IpAddr| Some(address.to_canonical()).filter(|address| !address.is_unspecified());
    canonical(socket.ip()) == canonical(wanted.ip()) && (wanted.port() == 0 || wanted.port() == socket.port())
}

/// Doors and their addresses, in words.
#[derive(Debug)]
pub struct Doors(Vec<(Entrance, SocketAddr)>);

impl fmt::Display for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (door, address)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{} is {address}", door.key())?;
        }
        Ok(())
    }
}

/// Why a socket that was opened for us cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// It is not a listening TCP socket.
    #[error(
        "the socket {name} of the service manager is not a TCP socket that listens: write ListenStream=ADDRESS:PORT into its unit"
    )]
    Unusable {
        /// Its `FileDescriptorName=`.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is at another address than the configuration's.
    #[error(
        "{key} is {wanted} in the configuration, but the service manager opened {address} for it (socket {name}): make \
         ListenStream= of the socket unit and {key} the same, or disable the socket unit"
    )]
    Elsewhere {
        /// Its `FileDescriptorName=`.
        name: String,
        /// Where it is.
        address: SocketAddr,
        /// The configuration's key.
        key: &'static str,
        /// Where the configuration wants it.
        wanted: SocketAddr,
    },
    /// No door of the configuration is there.
    #[error(
        "the service manager opened {address} (socket {name}), where nothing is configured to be served ({doors}): make \
         ListenStream= of the socket unit and the configuration the same, or disable the socket unit"
    )]
    Unclaimed {
        /// Its `FileDescriptorName=`.
        name: String,
        /// Where it is.
        address: SocketAddr,
        /// What is configured.
        doors: Doors,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(name: &str, address: &str) -> (Inherited, SocketAddr) {
        let listener = TcpListener::bind(address).unwrap();
        let socket = Socket::new(name.to_owned(), listener).unwrap();
        let address = socket.address;
        (Inherited { sockets: vec![socket] }, address)
    }

    #[test]
    fn a_socket_is_claimed_by_its_name_and_by_its_address() {
        let (mut named, address) = opened("boot", "127.0.0.1:0");
        assert!(named.claim(Entrance::Main, address).unwrap().is_none(), "it is named for another door");
        assert!(named.claim(Entrance::Boot, address).unwrap().is_some());
        assert!(named.finish(&[(Entrance::Boot, address)]).is_ok());
        let (mut unnamed, address) = opened("provisioning.socket", "127.0.0.1:0");
        assert!(unnamed.claim(Entrance::Boot, "127.0.0.1:1".parse().unwrap()).unwrap().is_none());
        assert!(unnamed.claim(Entrance::Main, address).unwrap().is_some());
    }

    #[test]
    fn a_socket_elsewhere_is_refused_with_both_addresses() {
        let (mut inherited, address) = opened("main", "127.0.0.1:0");
        let said = inherited.claim(Entrance::Main, "10.0.0.2:8080".parse().unwrap()).unwrap_err().to_string();
        assert!(said.contains("server.listen is 10.0.0.2:8080") && said.contains(&address.to_string()), "{said}");
        let (left, address) = opened("unknown", "127.0.0.1:0");
        let doors = [(Entrance::Main, "127.0.0.1:8080".parse().unwrap())];
        let said = left.finish(&doors).unwrap_err().to_string();
        assert!(said.contains(&address.to_string()) && said.contains("server.listen is 127.0.0.1:8080"), "{said}");
    }

    #[test]
    fn an_address_for_all_is_not_one_for_some() {
        let same = |socket: &str, wanted: &str| is_same(socket.parse().unwrap(), wanted.parse().unwrap());
        assert!(same("[::]:8080", "0.0.0.0:8080") && same("0.0.0.0:8080", "[::]:8080"));
        assert!(same("[::ffff:10.0.0.2]:8080", "10.0.0.2:8080") && same("10.0.0.2:8080", "10.0.0.2:0"));
        assert!(!same("0.0.0.0:8080", "127.0.0.1:8080"), "an open server for this machine alone stays that");
        assert!(!same("10.0.0.2:8080", "0.0.0.0:8080") && !same("0.0.0.0:8080", "0.0.0.0:8081"));
    }
}
