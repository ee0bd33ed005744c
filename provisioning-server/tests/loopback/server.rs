//! `provisioning serve` as a process of its own: started, killed without a word, started again on the same data.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provisioning_core::model::{Release, Secret};
use provisioning_server::config::Config;
use provisioning_sim::real::fleet::{ClusterOptions, FleetOptions};
use provisioning_sim::real::host::{Hardware, Timing};
use provisioning_sim::real::pvecm::Pace;
use tempfile::TempDir;

/// The operators' token.
pub(crate) const TOKEN: &str = "operators-token-of-the-loopback-tests";
/// Root's password on the simulated cluster.
pub(crate) const PASSWORD: &str = "quiet-otter-counts-the-nodes";
/// A number that no machine of a fleet has: its address is the server's.
const SERVERS_NUMBER: u16 = 60_000;

/// A server with its data, and the fleet that it is for. Dropping it kills the process.
pub(crate) struct Server {
    dir: TempDir,
    base: String,
    child: Option<Child>,
}

/// How large a fleet is, and of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FleetSize {
    pub(crate) hosts: u16,
    pub(crate) seed: u64,
    pub(crate) release: Release,
}

impl Server {
    /// Writes the configuration of a server on an address of its own, and what its fleet has to be told.
    pub(crate) fn configured(size: FleetSize) -> (Self, FleetOptions) {
        let dir = tempfile::tempdir().unwrap();
        let address = |number| Hardware::numbered(size.seed, number, "any").address();
        let own = address(SERVERS_NUMBER);
        let (port, ssh_port) = (free_port(own), free_port(address(0)));
        let base = format!("http://{own}:{port}");
        let cluster = ClusterOptions { password: Secret::new(PASSWORD.to_owned()), ..ClusterOptions::default() };
        let mut password = File::options();
        let mut password =
            password.create_new(true).write(true).mode(0o600).open(dir.path().join("join-password")).unwrap();
        writeln!(password, "{PASSWORD}").unwrap();
        std::fs::write(dir.path().join("server-types.yaml"), "server_types:\n  lab:\n    boot_disk: sda\n").unwrap();
        let config = format!(
            "server:\n  public_url: {base}\n  listen: {own}:{port}\n  data_dir: data\n{}\
             credentials:\n  root_password_hash: '{}'\n\
             timeouts:\n  installing: 25s\n  installed: 25s\n  resume_window: 2s\n\
             auth:\n  admin_token: {TOKEN}\nlogging:\n  level: debug\n  format: json\n",
            cluster.config_lines(ssh_port),
            password_hash(),
        );
        std::fs::write(dir.path().join("provisioning.yaml"), config).unwrap();
        let options = FleetOptions {
            token: Some(Secret::new(TOKEN.to_owned())),
            hosts: size.hosts,
            seed: size.seed,
            release: size.release,
            ssh_port,
            cluster: Some(cluster),
            timeout: Some(Duration::from_secs(180)),
            timing: Timing {
                person: Duration::from_millis(700),
                phone_home_pause: Duration::from_millis(200),
                phone_home_tries: 300,
                ..Timing::default()
            },
            // A node that was shut out of the cluster says so before the fleet's own time is over.
            join_pace: Pace { time_limit: Duration::from_secs(30), ..Pace::default() },
            iso_filler_bytes: 1 << 20,
            ..FleetOptions::new(base.clone())
        };
        (Self { dir, base, child: None }, options)
    }

    /// Starts it; what it says goes to the end of the log.
    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
        command.arg("serve").current_dir(self.dir.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// SIGKILL: it learns nothing of it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGHUP: it reads its certificate again.
    pub(crate) fn hang_up(&self) {
        let child = self.child.as_ref().expect("the server runs");
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        kill(pid, Signal::SIGHUP).unwrap();
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub(crate) fn is_down(&self) -> bool {
        self.child.is_none()
    }

    /// Fails when the server has ended by itself.
    pub(crate) fn lives(&mut self) {
        if let Some(ended) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
            let log = std::fs::read_to_string(self.log()).unwrap();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            panic!("the server ended with {ended}; its last words, latest first:\n{}", tail.join("\n"));
        }
    }

    /// The same server over TLS, with a certificate that it makes for itself and a door for firmware; what its fleet has
    /// to be told besides is known once it has started.
    pub(crate) fn over_tls(&mut self, options: &mut FleetOptions) {
        let path = self.dir.path().join("provisioning.yaml");
        let config = std::fs::read_to_string(&path).unwrap();
        let host: IpAddr = self.base.trim_start_matches("http://").split(':').next().unwrap().parse().unwrap();
        let boot = format!("{host}:{}", free_port(host));
        let with_tls = format!("  tls:\n    self_signed: true\n  boot_listen: {boot}\n  data_dir");
        let config = config.replace("public_url: http:", "public_url: https:").replace("  data_dir", &with_tls);
        std::fs::write(&path, config).unwrap();
        self.base = self.base.replace("http:", "https:");
        options.server.clone_from(&self.base);
        options.boot_server = Some(format!("http://{boot}"));
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Everything that it has ever said.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(&self.dir.path().join("provisioning.yaml"), []).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            show_log(self.dir.path());
        }
    }
}

/// The hash that installed hosts get for root: of the right form, and nobody's password.
pub(crate) fn password_hash() -> String {
    format!("$6$loopbacktests$./{}", "Kq".repeat(42))
}

fn free_port(address: IpAddr) -> u16 {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port()
}

/// Shows the end of the log of a server whose test has failed.
#[expect(clippy::print_stderr, reason = "whoever looks at a failed test wants to know what the server said")]
fn show_log(dir: &Path) {
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    let quiet = log.lines().filter(|line| !line.contains(" DEBUG ") && !line.contains(" TRACE "));
    let lines: Vec<&str> = quiet.collect();
    eprintln!("the server's log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
}
