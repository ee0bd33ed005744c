//! A server under measurement: the release build of `provisioning serve` on loopback, with hosts and an image.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use provisioning_sim::real::iso::{IsoOptions, build};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::nginx::free_port;
use crate::process::Process;

/// The operators' token.
pub const TOKEN: &str = "operators-token-of-the-measurements";

/// A server's folder: configuration, data, and what it says.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where boot artifacts are served by `sendfile`.
    pub artifacts: SocketAddr,
    client: Client,
    netns: Option<String>,
}

impl Site {
    /// Writes a configuration with these lines added to it.
    ///
    /// # Errors
    /// When the folder can not be written.
    pub fn new(more: &str) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let artifacts = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        Self::listening(address, artifacts, more)
    }

    /// The same, with these addresses.
    ///
    /// # Errors
    /// When the folder can not be written.
    pub fn listening(address: SocketAddr, artifacts: SocketAddr, more: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let hash = format!("$6$0123456789abcdef${}", "x".repeat(86));
        let config = format!(
            "server:\n  public_url: http://{address}\n  listen: {address}\n  artifact_listen: {artifacts}\n\
             credentials:\n  root_password_hash: '{hash}'\nauth:\n  admin_token: {TOKEN}\nlogging:\n  level: warn\n\
             proxmox:\n  domain: bench.example\n  existing_node: ''\n  country: at\n  timezone: Europe/Vienna\n  \
             keyboard: de\n  mailto: root@bench.example\n{more}"
        );
        fs::write(dir.path().join("provisioning.yaml"), config)?;
        fs::write(dir.path().join("server-types.yaml"), "server_types:\n  lab:\n    boot_disk: sda\n")?;
        Ok(Self { dir, address, artifacts, client: Client::new(), netns: None })
    }

    /// The server runs in this network namespace.
    #[must_use]
    pub fn in_namespace(self, netns: &str) -> Self {
        Self { netns: Some(netns.to_owned()), ..self }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the server on what its data directory holds.
    ///
    /// # Errors
    /// When there is no release build, or it does not start.
    pub fn start(&self) -> anyhow::Result<Process> {
        let program = program()?;
        let mut command = match &self.netns {
            Some(netns) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", netns]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        command.arg("serve").current_dir(self.dir.path());
        Process::start(&mut command, self.address, &self.dir.path().join("log"))
    }

    /// A call of the API.
    ///
    /// # Errors
    /// When it is not answered with a success.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.client.request(method, format!("http://{}{path}", self.address)).bearer_auth(TOKEN);
        let text = answered(path, if let Some(body) = body { request.json(body) } else { request }).await?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The text that a path is answered with.
    ///
    /// # Errors
    /// When it is not answered with a success.
    pub async fn text(&self, method: Method, path: &str) -> anyhow::Result<String> {
        let request = self.client.request(method, format!("http://{}{path}", self.address)).bearer_auth(TOKEN);
        answered(path, request).await
    }

    /// Registers `count` hosts; the n-th has the address of [`mac`].
    ///
    /// # Errors
    /// When one is refused.
    pub async fn register(&self, count: usize) -> anyhow::Result<()> {
        self.register_range(0..count).await
    }

    /// Registers the hosts of these numbers.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn register_range(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        let one = |n| async move {
            let body = json!({ "hostname": format!("node-{n:05}"), "mac": mac(n), "server_type": "lab" });
            self.call(Method::POST, "/api/hosts", Some(&body)).await
        };
        stream::iter(numbers).map(one).buffer_unordered(64).try_for_each(|_| async { Ok(()) }).await
    }

    /// Imports a synthetic image of about `mib` MiB.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn import(&self, mib: usize) -> anyhow::Result<()> {
        let image = build(&IsoOptions { filler_bytes: mib << 20, ..IsoOptions::default() });
        let url = format!("http://{}/api/images", self.address);
        let request = self.client.post(url).bearer_auth(TOKEN).header("content-type", "application/octet-stream");
        let response = request.body(image).send().await?;
        let status = response.status();
        ensure!(status.is_success(), "the image was refused: {status} {}", response.text().await?);
        Ok(())
    }

    /// Arms the n-th host.
    ///
    /// # Errors
    /// When it can not be rebuilt.
    pub async fn rebuild(&self, n: usize) -> anyhow::Result<()> {
        self.call(Method::POST, &format!("/api/hosts/node-{n:05}/rebuild"), Some(&json!({}))).await.map(drop)
    }

    /// Arms the n-th host; the token in its boot script.
    ///
    /// # Errors
    /// When it can not be rebuilt, or its script has no token.
    pub async fn arm(&self, n: usize) -> anyhow::Result<String> {
        self.rebuild(n).await?;
        let script = self.call(Method::GET, &format!("/ipxe/{}", mac(n)), None).await?;
        let script = script.as_str().context("a script is text")?;
        let token = script.split("/boot/").nth(1).and_then(|rest| rest.split('/').next());
        Ok(token.context("the script has no token")?.to_owned())
    }
}

async fn answered(path: &str, request: reqwest::RequestBuilder) -> anyhow::Result<String> {
    let response = request.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "{path}: {status} {text}");
    Ok(text)
}

/// The address of the n-th host.
pub fn mac(n: usize) -> String {
    format!("52:54:00:{:02x}:{:02x}:{:02x}", (n >> 16) & 0xff, (n >> 8) & 0xff, n & 0xff)
}

/// The build that is measured, which `cargo xtask bench` has made.
fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::var_os("BENCH_PROGRAM").map(PathBuf::from);
    program.filter(|program| program.is_file()).context("there is no server to measure: run `cargo xtask bench`")
}
