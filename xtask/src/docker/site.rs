//! The folder that `deploy/install.sh` makes, and the server that docker-compose runs from it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::engine::{Engine, printed, succeed};
use crate::shell::Shell;

/// How long a container may take to be healthy.
const HEALTHY_TIME_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The three that the compose file gives: bits 10 (`NET_BIND_SERVICE`), 12 (`NET_ADMIN`) and 13 (`NET_RAW`).
const CAPABILITIES: &str = "0000000000003400";
/// What compose is told beside its file, so that the check need not wait for the first look at the server's health.
const OFTENER: &str = "services:\n  provisioning:\n    healthcheck: { interval: 1s }\n";

/// The site, with a configuration of the check's.
pub(crate) struct Site<'a> {
    engine: &'a Engine,
    folder: PathBuf,
    http: u16,
    ssh: u16,
}

impl<'a> Site<'a> {
    /// Installs it twice, and makes sure that the second time changes nothing that was written in between.
    pub(crate) fn install(shell: &Shell, engine: &'a Engine, image: &str) -> anyhow::Result<Self> {
        let folder = shell.target().join("docker/site");
        fs::remove_dir_all(&folder).ok();
        let path = folder.to_str().context("the target folder's path is not UTF-8")?;
        let install = || shell.run("sh", &["deploy/install.sh", "--dir", path, "--image", image], &[]);
        install()?;
        let (http, ssh) = (free_port()?, free_port()?);
        let site = Self { engine, folder: folder.clone(), http, ssh };
        site.refuses_the_template()?;
        site.configure()?;
        let before = site.contents()?;
        install()?;
        if site.contents()? != before {
            bail!("deploy/install.sh changed something that was there");
        }
        fs::write(site.folder.join("docker-compose.override.yml"), OFTENER)?;
        Ok(site)
    }

    /// The template is not taken for a configuration: what has to be filled in is named.
    fn refuses_the_template(&self) -> anyhow::Result<()> {
        let complaint =
            self.engine.compose_complaint(&self.folder, &["run", "--rm", "provisioning", "check-config"])?;
        if !complaint.contains("root-password-hash") {
            bail!("check-config says of the template: {complaint}");
        }
        Ok(())
    }

    /// Fills the configuration in as an operator would, in place: the files keep their owners.
    fn configure(&self) -> anyhow::Result<()> {
        let (http, ssh) = (self.http, self.ssh);
        let config = format!(
            "server:
  public_url: http://127.0.0.1:{http}
  listen: 127.0.0.1:{http}
credentials:
  root_password_hash_file: secrets/root-password-hash
pxe:
  enabled: true
  interface: lo
proxmox:
  existing_node: pve1
  join_fingerprint: \"{FINGERPRINT}\"
  join_password_file: secrets/join-password
  ssh_port: {ssh}
"
        );
        let folder = self.folder.join("config");
        fs::write(folder.join("provisioning.yaml"), config)?;
        fs::write(folder.join("server-types.yaml"), "server_types:\n  lab:\n    boot_disk: sda\n")?;
        let hash = folder.join("secrets/root-password-hash");
        let mode = fs::metadata(&hash)?.permissions().mode() & 0o777;
        if mode != 0o600 {
            bail!("{} has mode {mode:o}", hash.display());
        }
        fs::write(&hash, format!("$6$0123456789abcdef${}\n", "x".repeat(86)))?;
        let password = folder.join("secrets/join-password");
        fs::write(&password, "simulated-cluster\n")?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        let mut own = Command::new("chown");
        own.arg("--reference").arg(&hash).arg(&password);
        succeed(own)
    }

    /// Every file that the installation made, with its content and mode.
    fn contents(&self) -> anyhow::Result<Vec<(PathBuf, u32, Vec<u8>)>> {
        let mut contents = vec![];
        for folder in [self.folder.clone(), self.folder.join("config"), self.folder.join("config/secrets")] {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let bytes = if path.is_file() { fs::read(&path)? } else { vec![] };
                contents.push((path.clone(), fs::metadata(&path)?.permissions().mode(), bytes));
            }
        }
        contents.sort();
        Ok(contents)
    }

    /// Starts what the site's files say, and waits until it is healthy.
    pub(crate) fn up(&self) -> anyhow::Result<()> {
        self.engine.compose(&self.folder, &["up", "--detach"])?;
        self.healthy()
    }

    /// Starts it again.
    pub(crate) fn restart(&self) -> anyhow::Result<()> {
        self.engine.compose(&self.folder, &["restart"])?;
        self.healthy()
    }

    /// Takes another image from now on.
    pub(crate) fn upgrade(&self, image: &str) -> anyhow::Result<()> {
        let path = self.folder.join(".env");
        let other = fs::read_to_string(&path)?.lines().fold(String::new(), |text, line| {
            let is_image = line.starts_with("PROVISIONING_IMAGE=");
            text + &(if is_image { format!("PROVISIONING_IMAGE={image}") } else { line.to_owned() }) + "\n"
        });
        fs::write(path, other)?;
        self.up()?;
        let runs = self.engine.output(["inspect", "--format", "{{.Config.Image}}", &self.container()?])?;
        if runs != image {
            bail!("after the upgrade {runs} runs, not {image}");
        }
        Ok(())
    }

    /// Takes the container away.
    pub(crate) fn down(&self) -> anyhow::Result<()> {
        self.engine.compose(&self.folder, &["down"])
    }

    /// The data stay when the container goes.
    pub(crate) fn has_data(&self) -> bool {
        self.folder.join("data").read_dir().is_ok_and(|mut entries| entries.next().is_some())
    }

    fn healthy(&self) -> anyhow::Result<()> {
        let container = self.container()?;
        let begun = Instant::now();
        loop {
            let health = self.engine.output([
                "inspect",
                "--format",
                "{{.State.Status}} {{.State.Health.Status}}",
                &container,
            ])?;
            // What the engine says may be of the time before a restart: the server is asked, too.
            if health == "running healthy" && self.provisioning(&["healthcheck"]).is_ok() {
                println!("healthy after {:.1} s", begun.elapsed().as_secs_f64());
                return Ok(());
            }
            if begun.elapsed() > HEALTHY_TIME_MAX || !health.starts_with("running") {
                self.engine.run(["logs", "--tail", "30", &container])?;
                bail!("the container is {health}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn container(&self) -> anyhow::Result<String> {
        let id = self.engine.compose_output(&self.folder, &["ps", "--quiet", "provisioning"])?;
        if id.is_empty() {
            bail!("docker-compose has started no container");
        }
        Ok(id)
    }

    /// What `provisioning ARGS` prints inside the container.
    pub(crate) fn provisioning(&self, args: &[&str]) -> anyhow::Result<String> {
        self.inside(&[&["provisioning"], args].concat())
    }

    fn inside(&self, args: &[&str]) -> anyhow::Result<String> {
        self.engine.compose_output(&self.folder, &[&["exec", "-T", "provisioning"], args].concat())
    }

    /// The server's process has three capabilities and can gain no other; it is not root, and writes where it may only.
    pub(crate) fn is_confined(&self) -> anyhow::Result<()> {
        let status = self.inside(&["grep", "-E", "^(Uid|NoNewPrivs|Cap(Prm|Eff|Bnd|Amb)):", "/proc/1/status"])?;
        let fields: Vec<(&str, &str)> = status.lines().filter_map(|line| line.split_once(":\t")).collect();
        let field = |name: &str| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        if field("Uid").is_none_or(|uid| !uid.starts_with("10001\t")) || field("NoNewPrivs") != Some("1") {
            bail!("the server's process is not confined:\n{status}");
        }
        for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            if field(set) != Some(CAPABILITIES) {
                bail!("{set} of the server's process is not {CAPABILITIES}:\n{status}");
            }
        }
        for path in ["/usr/bin/x", "/etc/provisioning/x", "/iso/x"] {
            if self.inside(&["touch", path]).is_ok() {
                bail!("{path} can be written inside the container");
            }
        }
        // As the server's own user and through the rights of its file alone.
        let dnsmasq = self.inside(&["sh", "-c", "grep -l ^dnsmasq /proc/[0-9]*/comm"])?;
        if dnsmasq.is_empty() {
            bail!("no dnsmasq runs inside the container");
        }
        Ok(())
    }

    /// Imports an image from the folder that is there for it, as an operator would.
    pub(crate) fn import_image(&self, simulator: &Path) -> anyhow::Result<()> {
        let iso = self.folder.join("iso/proxmox-ve_9.2-1.iso");
        let mut make = Command::new(simulator);
        make.args(["iso", "--release", "9.2", "--out"]).arg(&iso);
        succeed(make)?;
        println!("{}", self.provisioning(&["image", "import", "/iso/proxmox-ve_9.2-1.iso"])?);
        Ok(())
    }

    /// Lets simulated hosts come to ready.
    pub(crate) fn fleet(&self, simulator: &Path, hosts: &str) -> anyhow::Result<()> {
        let said = self.provisioning(&["token", "create", "check"])?;
        let token = said.split_whitespace().find(|word| word.starts_with("prov_"));
        let token = token.context("`token create` printed no token")?;
        let (url, ssh) = (format!("http://127.0.0.1:{}", self.http), self.ssh.to_string());
        let mut fleet = Command::new(simulator);
        fleet.args([
            "fleet",
            "--server",
            &url,
            "--hosts",
            hosts,
            "--ssh-port",
            &ssh,
            "--seed",
            "7",
            "--timeout",
            "120",
        ]);
        fleet.env("PROVISIONING_TOKEN", token).stdin(Stdio::null());
        let summary = printed(fleet)?;
        println!("{summary}");
        Ok(())
    }

    /// The hosts and images that the server knows, as JSON.
    pub(crate) fn memory(&self) -> anyhow::Result<(String, String)> {
        Ok((self.provisioning(&["host", "list", "--json"])?, self.provisioning(&["image", "list", "--json"])?))
    }
}

/// The certificate of the simulated cluster's member.
const FINGERPRINT: &str =
    "51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:51:4D:00:11:22:33:44:55:66:77:88:99:AA:BB";

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
