//! The test root: a bare Debian in a folder, in which the package is installed, run, upgraded, removed and purged.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::docker::{base, printed};
use crate::shell::Shell;

/// An edit of a file that came with the package; it must outlive every upgrade.
const EDIT: &str = "# edited by an operator\n";
/// Runs the service by hand, since no systemd runs in the root, and asks how it fares: as its user, with what its unit says
/// to execute, in the folder that systemd would make for it.
const RUN: &str = r#"
set -eu
install -d -m 0700 -o provisioning -g provisioning /var/lib/provisioning
start=$(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/provisioning.service)
setpriv --reuid provisioning --regid provisioning --init-groups $start >/tmp/server.log 2>&1 &
server=$!
tries=0
until setpriv --reuid provisioning --regid provisioning --init-groups provisioning healthcheck; do
    tries=$((tries + 1))
    if [ "$tries" -ge 100 ] || ! kill -0 "$server"; then cat /tmp/server.log >&2; exit 1; fi
    sleep 0.2
done
kill "$server"
wait "$server"
"#;

/// A bare Debian.
pub(super) struct Root(PathBuf);

impl Root {
    /// Makes it anew.
    pub(super) fn unpack(shell: &Shell) -> anyhow::Result<Self> {
        let folder = shell.target().join("deb");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        fs::create_dir_all(&folder)?;
        let root = Self(folder.join("root"));
        base::unpack(shell, &root.0)?;
        // Names of packages' mirrors are looked up as outside.
        fs::copy("/etc/resolv.conf", root.path("/etc/resolv.conf")).context("/etc/resolv.conf")?;
        // Nothing is started by an installation: there is no systemd.
        fs::write(root.path("/usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n")?;
        root.inside("chmod 0755 /usr/sbin/policy-rc.d && apt-get update --quiet=2")?;
        Ok(root)
    }

    /// Puts a package through an operator's life, with the version after it for an upgrade.
    pub(super) fn try_out(&self, package: &Path, next: &Path) -> anyhow::Result<()> {
        let said = self.install(package)?;
        if !said.contains("does not run yet") {
            bail!("the installation does not say what to do next:\n{said}");
        }
        self.is_installed()?;
        self.configure()?;
        println!("{}", self.inside("provisioning check-config")?);
        println!("{}", self.inside(RUN)?);

        self.install(next)?;
        let version = self.inside("dpkg-query --show --showformat '${Version}' provisioning")?;
        if version != "0.1.0-2~next" || !self.read("/etc/provisioning/provisioning.yaml")?.ends_with(EDIT) {
            bail!("the upgrade to {version} did not keep an edited file");
        }
        self.inside(RUN)?;

        self.inside("apt-get remove --quiet=2 --yes provisioning")?;
        self.lacks(&["/usr/bin/provisioning", "/usr/lib/systemd/system/provisioning.service"])?;
        self.has(&["/etc/provisioning/provisioning.yaml", "/var/lib/provisioning/provisioning.db"])?;

        let said = self.inside("apt-get purge --quiet=2 --yes provisioning 2>&1")?;
        self.lacks(&["/etc/provisioning/provisioning.yaml"])?;
        // Unasked, the data stay, and it is said where.
        self.has(&["/var/lib/provisioning/provisioning.db"])?;
        if !said.contains("/var/lib/provisioning was kept") {
            bail!("the purge does not say that it kept the data:\n{said}");
        }
        self.purges_data_when_told(package)?;
        println!("installed, run, upgraded, removed and purged in {}", self.0.display());
        fs::remove_dir_all(&self.0).with_context(|| self.0.display().to_string())
    }

    fn purges_data_when_told(&self, package: &Path) -> anyhow::Result<()> {
        self.install(package)?;
        self.inside("echo provisioning provisioning/remove-data boolean true | debconf-set-selections")?;
        self.inside("apt-get purge --quiet=2 --yes provisioning")?;
        self.lacks(&["/var/lib/provisioning", "/etc/provisioning"])
    }

    fn install(&self, package: &Path) -> anyhow::Result<String> {
        fs::copy(package, self.path("/tmp/provisioning.deb")).with_context(|| package.display().to_string())?;
        // `confold` is what an operator answers, whose files were edited.
        self.inside(
            "apt-get install --quiet=2 --yes --no-install-recommends -o Dpkg::Options::=--force-confold \
             /tmp/provisioning.deb 2>&1",
        )
    }

    /// Files belong to whom they must, and nothing is enabled before somebody has configured it.
    fn is_installed(&self) -> anyhow::Result<()> {
        self.has(&["/usr/sbin/dnsmasq", "/usr/lib/ipxe/undionly.kpxe", "/usr/bin/provisioning"])?;
        let group = self.inside("getent group provisioning | cut -d: -f3")?;
        for path in ["/etc/provisioning", "/etc/provisioning/secrets", "/etc/provisioning/provisioning.yaml"] {
            let metadata = fs::metadata(self.path(path)).with_context(|| path.to_owned())?;
            if metadata.uid() != 0 || metadata.gid().to_string() != group || metadata.mode() & 0o007 != 0 {
                bail!("{path} is open, or of {}:{}", metadata.uid(), metadata.gid());
            }
        }
        self.lacks(&["/etc/systemd/system/multi-user.target.wants/provisioning.service"])
    }

    /// Edits the template as an operator would: what has to be filled in, and a line of their own.
    fn configure(&self) -> anyhow::Result<()> {
        let path = self.path("/etc/provisioning/provisioning.yaml");
        let template = fs::read_to_string(&path)?;
        let hash = format!("$6$0123456789abcdef${}\n", "x".repeat(86));
        fs::write(self.path("/etc/provisioning/secrets/root-password-hash"), hash)?;
        // A port of the check's own: the root shares the machine's network.
        let edited = template.replace("listen: 0.0.0.0:8080", "listen: 127.0.0.1:38080");
        fs::write(&path, edited + EDIT)?;
        self.inside("chgrp provisioning /etc/provisioning/secrets/* && chmod 0640 /etc/provisioning/secrets/*")?;
        Ok(())
    }

    /// What a script prints that a shell runs within, with processes of its own that end with it.
    fn inside(&self, script: &str) -> anyhow::Result<String> {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(format!("--root={}", self.0.display()));
        command.args(["sh", "-c", script]).stdin(Stdio::null()).env_clear();
        command.envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("HOME", "/root"),
        ]);
        printed(command)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.path(path)).with_context(|| path.to_owned())
    }

    fn has(&self, paths: &[&str]) -> anyhow::Result<()> {
        match paths.iter().find(|path| !self.path(path).exists()) {
            Some(absent) => bail!("{absent} is not there"),
            None => Ok(()),
        }
    }

    fn lacks(&self, paths: &[&str]) -> anyhow::Result<()> {
        match paths.iter().find(|path| fs::symlink_metadata(self.path(path)).is_ok()) {
            Some(left) => bail!("{left} is still there"),
            None => Ok(()),
        }
    }
}
