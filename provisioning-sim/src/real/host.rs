//! A simulated machine from power-on to a running node, over real sockets.
//!
//! It boots from the network first, does what the boot script says, and is patient or helpless where real machines
//! are: what a person would have to mend, a person mends after a while.

mod dice;
mod events;
mod first_boot;
mod hardware;
mod netboot;
mod power;
mod system;
mod timing;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;
use tokio::net::TcpSocket;
use tokio::sync::mpsc::UnboundedSender;

use super::http::{Http, HttpError};
use super::installer::{self, Ending, Machine, NewSystem};
use dice::Dice;
pub use events::{HostEvent, HostReport};
pub use first_boot::{FirstBootScript, PhoneHomeScriptError};
pub use hardware::{Disk, Hardware, Nic};
use netboot::Booted;
pub use power::PowerButton;
pub use system::{InstalledSystem, SshHostKeys, SystemSpec, Systems};
pub use timing::Timing;

/// What a machine is told once.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// What people call it; used in reports, and told by DHCP.
    pub name: String,
    /// NICs, disks, DMI.
    pub hardware: Hardware,
    /// The machine's address, one of the loopback's.
    pub ip: IpAddr,
    /// Where its sshd listens.
    pub ssh_port: u16,
    /// What firmware was told to boot: the server's base address; `/ipxe/MAC` is added.
    pub server: String,
    /// Decides all that looks random.
    pub seed: u64,
    /// How fast its clock runs, and how patient people are.
    pub timing: Timing,
}

/// A simulated machine.
pub struct SimHost {
    spec: HostSpec,
    http: Http,
    systems: Arc<dyn Systems>,
    reports: UnboundedSender<HostReport>,
    button: power::Pressed,
    started: Instant,
    dice: Dice,
    old_ipxe: bool,
    installations: u32,
    on_disk: Option<OnDisk>,
    /// Only to be held.
    _sshd_port: Option<TcpSocket>,
}

/// Keeps a port for a listener to come. The system gives it to no request of the machine meanwhile; one that had it would
/// keep it for a minute after its end, and sshd out.
fn reserved(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The listener asks for the same: two that do may have the same port, as long as one of them does not listen.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What an installation left on the disks.
struct OnDisk {
    fqdn: String,
    address: IpAddr,
    system: Box<dyn InstalledSystem>,
    /// The first-boot script, until it ran to its end.
    first_boot: Option<Vec<u8>>,
}

/// Why a boot came to its end.
enum After {
    /// The machine starts again by itself.
    Restart,
    /// Somebody has to come and press a button.
    Person,
    /// The installed system runs, until somebody presses a button.
    Running,
}

impl SimHost {
    /// Puts a machine up. Nothing happens before [`run`](Self::run).
    pub fn new(
        spec: HostSpec,
        systems: Arc<dyn Systems>,
        reports: UnboundedSender<HostReport>,
    ) -> Result<(Self, PowerButton), HttpError> {
        // Only a server on this very machine can be reached from a loopback address.
        let near = Url::parse(&spec.server).ok().is_some_and(|url| is_loopback(&url));
        // When it is taken, sshd will say so itself.
        let sshd_port = reserved(SocketAddr::new(spec.ip, spec.ssh_port)).ok();
        let http = Http::new(Some(spec.ip).filter(|ip| near && ip.is_loopback()))?;
        let mut dice = Dice::new(spec.seed);
        let old_ipxe = dice.one_in(4);
        let (button, pressed) = power::button();
        let started = Instant::now();
        let host = Self {
            spec,
            http,
            systems,
            reports,
            button: pressed,
            started,
            dice,
            old_ipxe,
            installations: 0,
            on_disk: None,
            _sshd_port: sshd_port,
        };
        Ok((host, button))
    }

    /// Switches the machine on and lets it live until the future is dropped.
    pub async fn run(mut self) {
        let mut pressed = self.button.clone();
        loop {
            self.tell(HostEvent::PoweredOn);
            let reset = tokio::select! {
                biased;
                () = pressed.wait() => true,
                () = self.live() => false,
            };
            if let Some(on_disk) = &mut self.on_disk {
                on_disk.system.power_off().await;
            }
            if reset {
                self.tell(HostEvent::Reset);
            }
        }
    }

    /// One life between two power cycles.
    async fn live(&mut self) {
        // Memory test, option ROMs, DHCP.
        self.pass(12).await;
        let after = match self.netboot().await {
            Booted::Installer(live) => {
                self.tell(HostEvent::InstallerStarted { release: live.release });
                let ending = installer::run(&live, self).await;
                self.after_installation(ending).await
            }
            Booted::LocalDisk => self.run_system().await,
            Booted::Nothing { why } => {
                self.tell(HostEvent::NoBootDevice { why });
                After::Person
            }
            Booted::Stuck { why } => {
                self.tell(HostEvent::Stuck { why });
                After::Person
            }
        };
        match after {
            After::Restart => {}
            After::Person => {
                tokio::time::sleep(self.spec.timing.person).await;
                self.tell(HostEvent::Reset);
            }
            After::Running => std::future::pending().await,
        }
    }

    async fn after_installation(&mut self, ending: Ending) -> After {
        match ending {
            Ending::Reboot => After::Restart,
            Ending::PowerOff => {
                self.tell(HostEvent::PoweredOff);
                After::Person
            }
            Ending::RebootOnError { why } => {
                self.tell(HostEvent::InstallationFailed { why });
                self.pass(30).await;
                After::Restart
            }
            Ending::DebugShell { why } => {
                self.tell(HostEvent::DebugShell { why });
                tokio::time::sleep(self.spec.timing.person).await;
                self.tell(HostEvent::ShellLeft);
                After::Restart
            }
        }
    }

    /// Boots what is on the disk and runs its first-boot script.
    async fn run_system(&mut self) -> After {
        self.pass(15).await;
        let Some(on_disk) = &mut self.on_disk else {
            self.tell(HostEvent::NoBootDevice { why: "the disk holds no system".to_owned() });
            return After::Person;
        };
        let (fqdn, address) = (on_disk.fqdn.clone(), SocketAddr::new(on_disk.address, self.spec.ssh_port));
        let started = on_disk.system.power_on().await;
        if let Err(error) = started {
            self.tell(HostEvent::Stuck { why: format!("sshd can not listen at {address}: {error}") });
            return After::Person;
        }
        self.tell(HostEvent::SystemBooted { fqdn, ssh: address });
        self.pass(8).await;
        first_boot::run(self).await;
        After::Running
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

impl Machine for SimHost {
    fn hardware(&self) -> &Hardware {
        &self.spec.hardware
    }

    fn http(&self) -> &Http {
        &self.http
    }

    fn http_timeout(&self) -> Duration {
        self.spec.timing.http_timeout
    }

    fn tell(&self, event: HostEvent) {
        let report = HostReport { host: self.spec.name.clone(), at: self.started.elapsed(), event };
        // Nobody may be watching any more; the machine lives on.
        self.reports.send(report).ok();
    }

    async fn pass(&mut self, seconds: u32) {
        let time = self.dice.around(self.spec.timing.second * seconds);
        tokio::time::sleep(time).await;
    }

    fn wipe(&mut self) {
        self.on_disk = None;
    }

    fn install(&mut self, new: NewSystem) -> SshHostKeys {
        self.installations += 1;
        // A static address is taken as it is when it is one of the loopback's, else the lease serves.
        let address = Some(new.target.address.addr()).filter(IpAddr::is_loopback).unwrap_or(self.spec.ip);
        let system = self.systems.install(SystemSpec {
            fqdn: new.target.fqdn.clone(),
            address,
            ssh_port: self.spec.ssh_port,
            root_ssh_keys: new.root_ssh_keys,
            key_seed: self.dice.bytes(),
        });
        let keys = system.ssh_host_keys();
        self.on_disk = Some(OnDisk { fqdn: new.target.fqdn, address, system, first_boot: new.first_boot });
        self.tell(HostEvent::DisksWritten { installations: self.installations });
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_reserved_port_is_for_a_listener_and_for_no_request() {
        let ip = Ipv4Addr::new(127, 81, 3, 9);
        let held = reserved(SocketAddr::from((ip, 0))).unwrap();
        let address = held.local_addr().unwrap();
        let request = TcpSocket::new_v4().unwrap();
        assert_eq!(request.bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        TcpListener::bind(address).await.unwrap();
    }
}
