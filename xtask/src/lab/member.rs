//! The member of the cluster that hosts join by: real TLS on port 8006, behind it `xtask/lab/member.sh`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::lan::{Lan, MEMBER, Place};
use super::service::Service;

const PASSWORD: &str = "root-of-the-lab-cluster";
/// A key of the cluster's own, which must be the only one that a joined node accepts.
const CLUSTER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB root@pve1";

/// The member.
#[derive(Debug)]
pub(crate) struct Member {
    folder: PathBuf,
    fingerprint: String,
    service: Service,
}

impl Member {
    /// Founds a cluster of one node and starts its API.
    pub(crate) fn start(lan: &Lan, script: &Path, site: &Path) -> anyhow::Result<Self> {
        let folder = site.join("member");
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
        let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
        openssl(
            Command::new("openssl")
                .args(kind)
                .args(["-subj", "/CN=pve1", "-keyout"])
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        )?;
        let print = ["x509", "-noout", "-fingerprint", "-sha256", "-in"];
        let printed = openssl(Command::new("openssl").args(print).arg(&certificate))?;
        let fingerprint = printed.trim().split_once('=').context("openssl prints NAME=FINGERPRINT")?.1.to_owned();

        let member = |name: &str, text: &str| fs::write(folder.join(name), text);
        member("nodes", &format!("1 pve1 {MEMBER} \n"))?;
        member("authorized_keys", CLUSTER_KEY)?;
        member("password", PASSWORD)?;
        fs::set_permissions(folder.join("password"), Permissions::from_mode(0o600))?;

        let mut command = lan.command(Place::Lan, "socat");
        command.arg(format!(
            "OPENSSL-LISTEN:8006,bind={MEMBER},reuseaddr,fork,verify=0,cert={},key={}",
            certificate.display(),
            key.display()
        ));
        command.arg(format!("EXEC:{} {}", script.display(), folder.display()));
        let service = Service::start(command, "member", site)?;
        Ok(Self { folder, fingerprint, service })
    }

    /// The SHA-256 of its certificate.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The file that holds root's password on it.
    pub(crate) fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }

    /// Whether the cluster has a node of this name.
    pub(crate) fn has_node(&self, name: &str) -> anyhow::Result<bool> {
        let nodes = fs::read_to_string(self.folder.join("nodes"))?;
        Ok(nodes.lines().any(|line| line.split_whitespace().nth(1) == Some(name)))
    }

    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.service.stop().await
    }
}

/// What it prints.
pub(crate) fn openssl(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().context("openssl could not be started")?;
    if !output.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
