//! The boot server that the core talks to: plans become hosts files, and count once dnsmasq has read them.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use provisioning_core::netboot::Sighting;
use provisioning_core::ports::{BootPlan, BootServer, BootServerError, Retry};
use tokio::process::Command;
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::config::{Addresses, DnsmasqConfig};
use super::fault::DnsmasqFault;
use super::files;
use super::hosts::{hosts_file, read_hosts_file};
use super::preflight;
use super::process::{HostsRead, Plan, Shared, Supervisor};
use super::programs::BootPrograms;
use super::remains;
use super::render::{Facts, render};
use super::status::DnsmasqStatus;

/// How long dnsmasq may take to read a hosts file; a second covers ten thousand hosts.
const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// A dnsmasq of our own on one interface. [`Supervisor::run`] must run beside it.
#[derive(Debug)]
pub struct Dnsmasq {
    hosts: PathBuf,
    reserve_in: Option<Ipv4Net>,
    own: Ipv4Net,
    programs: BootPrograms,
    shared: Arc<Shared>,
    /// Held by whoever writes the hosts file.
    turn: Mutex<()>,
}

impl Dnsmasq {
    /// Checks everything, starts dnsmasq and waits until it answers machines: those of the last boot plan, if there
    /// was one. What it sees goes to `sightings`; what does not fit there is dropped and counted.
    ///
    /// # Errors
    /// What is missing or in the way; nothing of ours runs then.
    pub async fn start(
        config: DnsmasqConfig,
        sightings: mpsc::Sender<Sighting>,
    ) -> Result<(Self, Supervisor), DnsmasqFault> {
        let program = preflight::program(&config.program)?;
        let own = preflight::own_address(&config.interface, config.subnet)?;
        preflight::capabilities()?;
        if let Addresses::Dhcp(pool) = &config.addresses {
            pool.check(own, Some(own.addr()))?;
        }
        let programs = BootPrograms::find(&config.programs);
        programs.check()?;
        let text = render(&Facts::of(&config, own, &programs))?;

        let run_dir = config.run_dir.as_path();
        open_folder(run_dir).map_err(DnsmasqFault::system(format!("{} cannot be made", run_dir.display())))?;
        preflight::readable(&config.run_dir, &config.user)?;
        let conf = config.run_dir.file("dnsmasq.conf");
        remains::end(&config.run_dir.file("dnsmasq.pid"), &conf).await?;
        preflight::ports(&config.addresses, own.addr(), &config.interface)?;

        let (hosts, tftp_root) = (config.run_dir.file("hosts"), config.run_dir.file("tftp"));
        programs.install(&tftp_root).map_err(DnsmasqFault::system("iPXE's programs cannot be copied"))?;
        if !hosts.exists() {
            files::replace(&hosts, b"").map_err(DnsmasqFault::system("the hosts file cannot be written"))?;
        }
        put_config(&program, &conf, &text).await?;

        let shared = Arc::new(Shared::new());
        let plan = Plan {
            program,
            config: conf,
            hosts_file: hosts.to_string_lossy().into_owned(),
            tftp_root: tftp_root.to_string_lossy().into_owned(),
            interface: config.interface.to_string(),
        };
        let supervisor = Supervisor::begin(plan, Arc::clone(&shared), sightings).await;
        let supervisor = supervisor.map_err(|said| DnsmasqFault::NotStarted {
            interface: config.interface.clone(),
            address: own.addr(),
            said,
        })?;
        let reserve_in = matches!(config.addresses, Addresses::Dhcp(_)).then_some(own);
        Ok((Self { hosts, reserve_in, own, programs, shared, turn: Mutex::default() }, supervisor))
    }

    /// How the child process fares.
    pub fn status(&self) -> DnsmasqStatus {
        self.shared.status().clone()
    }

    /// Our address on the machines' LAN, with its network.
    pub fn own_address(&self) -> Ipv4Net {
        self.own
    }

    /// The boot programs that are handed out.
    pub fn programs(&self) -> &BootPrograms {
        &self.programs
    }

    /// The plan in the hosts file; empty before the first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn in_force(&self) -> io::Result<BootPlan> {
        std::fs::read_to_string(&self.hosts).map(|text| read_hosts_file(&text))
    }

    /// Puts a hosts file in place and has it read.
    async fn bring_about(&self, text: &str) -> Result<(), BootServerError> {
        let (hosts, bytes) = (self.hosts.clone(), text.as_bytes().to_owned());
        let written = spawn_blocking(move || files::replace(&hosts, &bytes)).await.map_err(io::Error::other);
        written.and_then(|written| written).map_err(|error| BootServerError {
            problem: format!("{} cannot be written", self.hosts.display()),
            retry: Retry::Later,
            source: Some(error.into()),
        })?;
        self.shared.written.send_modify(|number| *number += 1);
        let number = *self.shared.written.borrow();
        let mut read = self.shared.read.subscribe();
        let taken = timeout(READ_TIME_MAX, read.wait_for(|read| read.number >= number)).await;
        match taken {
            Ok(Ok(taken)) => match &taken.problem {
                None => Ok(()),
                Some(problem) => Err(later(format!("dnsmasq says: {problem}"))),
            },
            Ok(Err(_)) => Err(later("dnsmasq is stopped".to_owned())),
            Err(_) => {
                self.shared.replace.notify_one();
                Err(later(format!("dnsmasq did not read its hosts within {READ_TIME_MAX:?}")))
            }
        }
    }

    /// Whether dnsmasq runs and has read the file that was written last, without a complaint.
    fn is_in_force(&self) -> bool {
        let HostsRead { number, problem } = self.shared.read.borrow().clone();
        let known = number == *self.shared.written.borrow() && problem.is_none();
        known && self.shared.status().state.is_running()
    }
}

#[async_trait]
impl BootServer for Dnsmasq {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        let _turn = self.turn.lock().await;
        let text = hosts_file(plan, self.reserve_in);
        let old = std::fs::read_to_string(&self.hosts).unwrap_or_default();
        if old == text && self.is_in_force() {
            return Ok(());
        }
        let outcome = self.bring_about(&text).await;
        let now = std::fs::read_to_string(&self.hosts).unwrap_or_default();
        match outcome {
            Ok(()) if now == text => Ok(()),
            Ok(()) => Err(later(format!("{} was changed by another program", self.hosts.display()))),
            Err(error) => {
                // What could not be put in force shall not come into force by a restart either.
                if now != old
                    && let Err(error) = self.bring_about(&old).await
                {
                    tracing::error!(%error, "the old boot plan could not be brought back");
                }
                Err(error)
            }
        }
    }
}

fn later(problem: String) -> BootServerError {
    BootServerError { problem, retry: Retry::Later, source: None }
}

/// Everybody may look into it, only we may write to it; likewise the folders above it that are not there yet, whatever
/// the umask says.
fn open_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().skip(1).take_while(|above| !above.exists()).collect();
    std::fs::create_dir_all(folder)?;
    for made in missing.into_iter().chain([folder]) {
        std::fs::set_permissions(made, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Puts the configuration in place once dnsmasq has accepted it.
async fn put_config(program: &Path, path: &Path, text: &str) -> Result<(), DnsmasqFault> {
    let failed = || DnsmasqFault::system(format!("{} cannot be written", path.display()));
    let new = files::candidate(path, text.as_bytes()).map_err(failed())?;
    let mut command = Command::new(program);
    command.arg("--test").arg(format!("--conf-file={}", new.display())).env_clear().kill_on_drop(true);
    let tested = command.output().await.map_err(DnsmasqFault::system("dnsmasq --test cannot be run"))?;
    if !tested.status.success() {
        let said = String::from_utf8_lossy(&tested.stderr).trim().to_owned();
        return Err(DnsmasqFault::Refused { path: new, said });
    }
    files::put(&new, path).map_err(failed())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn folders_that_are_made_are_open_whatever_the_umask_says() {
        let dir = tempfile::tempdir().unwrap();
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
        let outcome = open_folder(&dir.path().join("provisioning/0123"));
        nix::sys::stat::umask(before);
        outcome.unwrap();
        for folder in ["provisioning", "provisioning/0123"] {
            let mode = std::fs::metadata(dir.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755, "{folder}");
        }
    }
}
