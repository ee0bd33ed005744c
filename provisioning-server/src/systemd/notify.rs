//! What we tell the service manager (`sd_notify(3)`): datagrams of a few lines, to a socket that it named.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The longest status, in bytes: it is one line of `systemctl status`.
const STATUS_MAX: usize = 400;

/// Tells the service manager how we fare; nobody when there is none. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<Arc<Line>>);

#[derive(Debug)]
struct Line {
    socket: UnixDatagram,
    to: SocketAddr,
}

impl Notifier {
    /// To the socket that the environment names; to nobody when it names none.
    ///
    /// # Errors
    /// When there can be no such socket.
    pub fn from_environment() -> io::Result<Self> {
        match std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) {
            None => Ok(Self::none()),
            Some(name) => Self::to(&name),
        }
    }

    /// To the socket at a path, or at an abstract name that begins with `@`.
    ///
    /// # Errors
    /// When there can be no such socket.
    pub fn to(name: &OsStr) -> io::Result<Self> {
        let to = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(OsString::from(name))?,
        };
        let socket = UnixDatagram::unbound()?;
        // Telling must never hold up the work that is told of.
        socket.set_nonblocking(true)?;
        Ok(Self(Some(Arc::new(Line { socket, to }))))
    }

    /// To nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether somebody listens.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// We serve.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// We serve, and read our files again.
    pub fn reloading(&self) {
        // The manager tells by the time which of several reloads this is.
        match clock_gettime(ClockId::CLOCK_MONOTONIC) {
            Ok(now) => {
                let micros = Duration::from(now).as_micros();
                self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
            }
            Err(error) => tracing::warn!(%error, "cannot tell the service manager of a reload"),
        }
    }

    /// We finish what is under way and end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is under way");
    }

    /// We are not stuck.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// How we fare, in a line for people.
    pub fn status(&self, text: &str) {
        let mut line = text.replace(|char: char| char.is_control(), " ");
        let end = (0..=STATUS_MAX.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
        line.truncate(end.unwrap_or_default());
        self.tell(&format!("STATUS={line}"));
    }

    fn tell(&self, text: &str) {
        let Some(line) = &self.0 else { return };
        if let Err(error) = line.socket.send_to_addr(text.as_bytes(), &line.to) {
            tracing::warn!(%error, "the service manager does not listen");
        }
    }
}

/// How long the service manager waits for a sign of life before it ends us; `None` when it does not wait for one.
pub fn watchdog_interval() -> Option<Duration> {
    let read = |name| std::env::var(name).ok();
    watchdog(read("WATCHDOG_USEC").as_deref(), read("WATCHDOG_PID").as_deref(), std::process::id())
}

fn watchdog(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(own));
    let micros = micros?.parse().ok().filter(|micros| is_ours && *micros > 0)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let read = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    #[test]
    fn the_manager_is_told_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        notifier.ready();
        assert_eq!(heard(&manager), "READY=1");
        notifier.status("two\nlines: READY=1");
        assert_eq!(heard(&manager), "STATUS=two lines: READY=1");
        notifier.reloading();
        let said = heard(&manager);
        let micros = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|micros| micros.parse::<u64>().ok());
        assert!(micros.is_some_and(|micros| micros > 0), "{said}");
        notifier.alive();
        notifier.stopping();
        assert_eq!(heard(&manager), "WATCHDOG=1");
        assert!(heard(&manager).starts_with("STOPPING=1\n"));
    }

    #[test]
    fn an_abstract_name_is_understood_and_a_long_status_is_cut_between_letters() {
        let name = format!("provisioning-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::to(OsStr::new(&format!("@{name}"))).unwrap();
        notifier.status(&"ä".repeat(500));
        assert_eq!(heard(&manager).chars().count(), "STATUS=".len() + STATUS_MAX / 2);
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        assert_eq!(watchdog(Some("60000000"), None, 7), Some(Duration::from_secs(60)));
        assert_eq!(watchdog(Some("60000000"), Some("7"), 7), Some(Duration::from_secs(60)));
        assert_eq!(watchdog(Some("60000000"), Some("8"), 7), None);
        assert_eq!(watchdog(Some("0"), None, 7), None);
        assert_eq!(watchdog(None, None, 7), None);
    }
}
