//! The step `api`: a real server with hosts in it, and schemathesis against what its document says.
//!
//! The data are generated from the document with a fixed seed, so that a failure repeats. Everything is on loopback.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::schemathesis;
use crate::shell::Shell;

/// The operators' token; it is worth nothing beyond the step.
const TOKEN: &str = "prov_fuzz-0123456789abcdef0123456789abcdef";
/// How long the server may take to listen, and simulated hosts to come to ready.
const START_TIME_MAX: Duration = Duration::from_secs(20);
const READY_SECONDS_MAX: &str = "90";
/// Generated requests for each operation and phase of the fuzzing.
const EXAMPLES: &str = "25";

/// Builds the server, brings simulated hosts to ready on it, and fuzzes its API.
pub(crate) fn check(shell: &Shell) -> anyhow::Result<()> {
    shell.cargo(&["build", "--workspace", "--all-features", "--locked", "--bins"])?;
    let folder = shell.target().join("api-fuzz");
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let (http, ssh) = (free_port()?, free_port()?);
    write_config(&folder, http, ssh)?;
    let url = format!("http://127.0.0.1:{http}");
    let mut server = Server::start(shell, &folder, http)?;
    populate(shell, &folder, &url, ssh)?;
    let outcome = fuzz(shell, &folder, &url);
    server.still_serves()?;
    outcome
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn write_config(folder: &Path, http: u16, ssh: u16) -> anyhow::Result<()> {
    let hash = format!("$6$0123456789abcdef${}", "x".repeat(86));
    let fingerprint = "51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB";
    let config = format!(
        "server:
  public_url: http://127.0.0.1:{http}
  listen: 127.0.0.1:{http}
  data_dir: data
credentials:
  root_password_hash: '{hash}'
proxmox:
  existing_node: pve1
  join_fingerprint: \"{fingerprint}\"
  join_password: simulated-cluster
  ssh_port: {ssh}
auth:
  admin_token: {TOKEN}
notify:
  - name: nobody
    url: http://127.0.0.1:9/
    events: [ready, failed]
    secret: {TOKEN}
"
    );
    fs::write(folder.join("provisioning.yaml"), config)?;
    fs::write(folder.join("server-types.yaml"), "server_types:\n  lab:\n    boot_disk: sda\n")?;
    Ok(())
}

/// Hosts that have been through everything, so that there is something to read.
fn populate(shell: &Shell, folder: &Path, url: &str, ssh: u16) -> anyhow::Result<()> {
    let ssh = ssh.to_string();
    let mut fleet = Command::new(program(shell, "provisioning-sim"));
    fleet.args(["fleet", "--server", url, "--hosts", "2", "--seed", "7", "--ssh-port", &ssh]);
    fleet.args(["--name-prefix", "pve", "--timeout", READY_SECONDS_MAX]);
    fleet.env("PROVISIONING_TOKEN", TOKEN).current_dir(folder).stdin(Stdio::null());
    println!("$ provisioning-sim fleet --server {url} --hosts 2");
    let status = fleet.status().context("provisioning-sim could not be started")?;
    if !status.success() {
        bail!("the simulated hosts did not come to ready: see {}", folder.join("server.log").display());
    }
    Ok(())
}

/// What is right although it looks wrong: without an image, which a request may have removed, the server is not ready.
const EXPECTED: &str = "\
[[operations]]
include-path = \"/readyz\"
checks.not_a_server_error.enabled = false
";

fn fuzz(shell: &Shell, folder: &Path, url: &str) -> anyhow::Result<()> {
    fs::write(folder.join("schemathesis.toml"), EXPECTED)?;
    let document = format!("{url}/api/openapi.json");
    let header = format!("Authorization: Bearer {TOKEN}");
    let mut fuzzer = Command::new(schemathesis::program(shell));
    fuzzer.args(["run", &document, "-H", &header, "--generation-deterministic", "--max-examples", EXAMPLES]);
    fuzzer.args(["--request-timeout", "60", "--no-color", "--continue-on-failure", "--workers", "2"]);
    // What is right in form can be refused for its meaning: an unknown server type, a name that is taken.
    // Whoever tries wrong tokens too often is told 429 and not 401; that nothing opens without one, tests show.
    fuzzer.args(["--exclude-checks", "positive_data_acceptance,ignored_auth", "--warnings", "off"]);
    fuzzer.current_dir(folder).stdin(Stdio::null());
    println!("$ schemathesis run {document} …");
    let status = fuzzer.status().context("schemathesis could not be started")?;
    if !status.success() {
        bail!(
            "the API does not do what its document says; the server's log is {}",
            folder.join("server.log").display()
        );
    }
    Ok(())
}

fn program(shell: &Shell, name: &str) -> PathBuf {
    shell.target().join("debug").join(name)
}

/// A server that ends with the step.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    fn start(shell: &Shell, folder: &Path, port: u16) -> anyhow::Result<Self> {
        let log = folder.join("server.log");
        let mut command = Command::new(program(shell, "provisioning"));
        command.arg("serve").current_dir(folder).stdin(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().context("the server could not be started")?;
        let mut server = Self { child, log };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            server.still_serves()?;
            if begun.elapsed() > START_TIME_MAX {
                bail!("the server does not listen: see {}", server.log.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// That it neither ended nor panicked.
    fn still_serves(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended with {status}: see {}", self.log.display());
        }
        if fs::read_to_string(&self.log)?.contains("panicked at") {
            bail!("a part of the server panicked: see {}", self.log.display());
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
