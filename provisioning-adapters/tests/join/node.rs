//! A Proxmox VE host for a real OpenSSH server: a mount namespace with an `/etc`, a `/root` and a `/run` of its own, in
//! which `pvecm` is a double and `/etc/pve` a directory.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use provisioning_core::model::SshPublicKey;
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";
const PVECM: &str = include_str!("pvecm.sh");
/// A key that the cluster has had before: it has to outlive every revocation.
pub(crate) const CLUSTER_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl root@pve1";
pub(crate) const PASSWORD: &str = "quiet otter' \"$HOME\" `id` % of \\ its nodes";

const STANDALONE: &str = "{\n\"nodename\": \"pve-07\",\n\"version\": 0\n}\n";
const MEMBER: &str = r#"{
"nodename": "pve-07",
"version": 4,
"cluster": { "name": "lab", "version": 2, "nodes": 2, "quorate": 1 },
"nodelist": {
  "pve1": { "id": 1, "online": 1, "ip": "10.0.0.5"},
  "pve-07": { "id": 2, "online": 1, "ip": "10.0.0.7"}
  }
}
"#;

pub(crate) struct Node {
    directory: TempDir,
    child: Child,
    pub(crate) port: u16,
}

impl Node {
    /// Starts the host as its first boot leaves it; returns when its SSH server listens.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |inside: &str| directory.path().join(inside);
        let copied = Command::new("cp").args(["-a", "/etc"]).arg(path("etc")).status().unwrap();
        assert!(copied.success(), "copying /etc needs tests that run as root");
        for folder in ["bin", "keys", "root/.ssh", "run/sshd", "etc/pve/priv", "etc/double"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        fs::write(path("bin/pvecm"), PVECM).unwrap();
        fs::set_permissions(path("bin/pvecm"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(path("etc/pve/.members"), STANDALONE).unwrap();
        fs::write(path("etc/pve/priv/authorized_keys"), "").unwrap();
        symlink("/etc/pve/priv/authorized_keys", path("root/.ssh/authorized_keys")).unwrap();
        let double = [("password", PASSWORD), ("fingerprint", &["AB"; 32].join(":")), ("members", MEMBER)];
        for (name, text) in double {
            fs::write(path("etc/double").join(name), text).unwrap();
        }
        fs::write(path("etc/double/cluster_keys"), format!("{CLUSTER_KEY}\n")).unwrap();
        let made =
            Command::new("ssh-keygen").args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(path("keys/host")).status();
        assert!(made.unwrap().success());
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(child) = listening(&directory, port) {
                return Self { directory, child, port };
            }
        }
        panic!("sshd found no free port in 20 tries");
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.directory.path().join(inside)
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_else(|error| panic!("{inside}: {error}"))
    }

    pub(crate) fn host_key(&self) -> SshPublicKey {
        self.read("keys/host.pub").parse().unwrap()
    }

    /// What the double of `pvecm` shall find.
    pub(crate) fn tell_double(&self, name: &str, text: &str) {
        fs::write(self.path("etc/double").join(name), text).unwrap();
    }

    pub(crate) fn forget(&self, name: &str) {
        fs::remove_file(self.path("etc/double").join(name)).unwrap();
    }

    /// What the installer wrote: the one-time key, without a last newline.
    pub(crate) fn trusts(&self, key: &SshPublicKey) {
        fs::write(self.path("etc/pve/priv/authorized_keys"), key.as_str()).unwrap();
    }

    /// How often `pvecm` was called.
    pub(crate) fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("etc/double/calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// The server, or nothing when the port was taken.
fn listening(directory: &TempDir, port: u16) -> Option<Child> {
    let at = directory.path().display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/keys/host\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
         PidFile none\nSetEnv PATH={at}/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 /etc/double/another_file\n"
    );
    fs::write(directory.path().join("keys/sshd_config"), config).unwrap();
    // Everything that the scripts touch is the host's own; `/etc` last, since the tools are looked up with it.
    let enter = format!(
        "mount --bind {at}/root /root && mount --bind {at}/run /run && mount --bind {at}/etc /etc && \
         exec {SSHD} -D -e -f {at}/keys/sshd_config"
    );
    let mut child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &enter])
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare is there, as util-linux has it");
    let mut log = BufReader::new(child.stderr.take().expect("its log is piped")).lines();
    let mut said = Vec::new();
    while let Some(Ok(line)) = log.next() {
        if line.contains("Server listening on") {
            // Its log must go on being read, or it would stop at a full pipe.
            std::thread::spawn(move || log.for_each(drop));
            return Some(child);
        }
        said.push(line);
    }
    child.wait().unwrap();
    assert!(said.iter().any(|line| line.contains("Address already in use")), "sshd does not start: {said:?}");
    None
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
