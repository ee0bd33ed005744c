//! The real `provisioning serve`, with a configuration as an operator would write it, and its command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::api::Api;
use super::lan::{DHCP, GATEWAY, LEASES, Lan, MEMBER, Place, SERVER, SUBNET};
use super::member::{Member, openssl};
use super::service::Service;
use super::site::Settings;

/// The server type of all the lab's machines.
const SERVER_TYPES: &str = "\
server_types:
  lab:
    display_name: Machine of the lab
    boot_disk: vda
";

/// How long the server may take to start.
const START: Duration = Duration::from_secs(60);

/// The running server.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    config: PathBuf,
    api: Api,
    service: Service,
}

impl Server {
    /// Writes the configuration and starts the server.
    pub(crate) async fn start(
        lan: &Lan,
        program: &Path,
        settings: Settings,
        member: &Member,
        ipxe: &Path,
        site: &Path,
    ) -> anyhow::Result<Self> {
        let config = site.join("provisioning.yaml");
        fs::write(site.join("server-types.yaml"), SERVER_TYPES)?;
        fs::write(&config, configuration(settings, member, ipxe)?)?;
        let mut command = lan.command(Place::Server, program);
        command.args(["serve", "--config"]).arg(&config);
        let service = Service::start(command, "server", site)?;
        let api = Api::at(site.join("data/control.sock"));
        let mut server = Self { program: program.to_owned(), config, api, service };
        let said = server.service.log().says("serving", 1, START).await;
        server.service.check_running()?;
        said?;
        Ok(server)
    }

    /// Its API.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Runs `provisioning ARGS --config …`, as an operator on the server's own machine does.
    pub(crate) async fn operator(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(args).arg("--config").arg(&self.config).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.with_context(|| self.program.display().to_string())?;
        if !output.status.success() {
            bail!(
                "`provisioning {}` ended with {}: {}{}",
                args.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.service.check_running()?;
        self.service.stop().await
    }
}

fn configuration(settings: Settings, member: &Member, ipxe: &Path) -> anyhow::Result<String> {
    let hash = openssl(std::process::Command::new("openssl").args(["passwd", "-6", "root-of-the-lab-hosts"]))?;
    let (password, fingerprint) = (member.password_file(), member.fingerprint());
    let pxe = match settings {
        Settings::ProxyDhcp => format!("  mode: proxy\n  subnet: {SUBNET}\n"),
        Settings::FullDhcp => {
            let (first, last) = LEASES;
            format!("  mode: dhcp\n  subnet: {SUBNET}\n  range: {first}-{last}\n  router: {GATEWAY}\n  dns: [{DHCP}]\n")
        }
    };
    Ok(format!(
        "\
server:
  public_url: http://{SERVER}:8080
  listen: {SERVER}:8080
  data_dir: data
pxe:
  enabled: true
  interface: eth0
  ipxe_dir: {ipxe}
  run_dir: netboot
{pxe}proxmox:
  existing_node: {MEMBER}
  join_fingerprint: \"{fingerprint}\"
  join_password_file: {password}
  domain: lab.example
  timezone: Europe/Vienna
credentials:
  root_password_hash: '{hash}'
timeouts:
  installing: 4m
",
        ipxe = ipxe.display(),
        password = password.display(),
        hash = hash.trim(),
    ))
}
