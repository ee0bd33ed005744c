//! A real OpenSSH server on loopback, a child of the test: own port, own host keys, own list of accepted keys.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use provisioning_adapters::ssh::SshShell;
use provisioning_core::conformance::RemoteShellFixture;
use provisioning_core::model::{Secret, SshPublicKey};
use provisioning_core::ports::{KeyPair, RemoteShell, Target};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

pub(crate) struct Sshd {
    directory: TempDir,
    child: Child,
    port: u16,
    opening: KeyPair,
}

impl Sshd {
    /// Starts a server with `extra` lines in its configuration; returns when it listens.
    pub(crate) fn start(extra: &str) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} is missing: install Debian's package openssh-server");
        assert_eq!(owner_of_self(), 0, "logging in as root needs tests that run as root");
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        make_key(directory.path(), "ed25519");
        make_key(directory.path(), "ecdsa");
        let opening = SshShell::new().key_pair(&Secret::new([0x5e; 32]));
        fs::write(directory.path().join("authorized_keys"), format!("{}\n", opening.public)).unwrap();
        // A port that is free now may be taken a moment later by another test: then once more, with the next.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(child) = listening(directory.path(), port, extra) {
                return Self { directory, child, port, opening };
            }
        }
        panic!("sshd found no free port in 20 tries");
    }

    pub(crate) fn shell(&self) -> SshShell {
        SshShell::new().with_port(self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn rsa_host_key(&self) -> SshPublicKey {
        make_key(self.directory.path(), "rsa");
        self.host_key("rsa")
    }

    fn host_key(&self, kind: &str) -> SshPublicKey {
        fs::read_to_string(self.path(&format!("{kind}.pub"))).unwrap().parse().unwrap()
    }
}

fn make_key(directory: &Path, kind: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(directory.join(kind)).status();
    assert!(made.expect("ssh-keygen is there: it comes with openssh-client").success());
}

/// The server, or nothing when the port was taken.
fn listening(directory: &Path, port: u16, extra: &str) -> Option<Child> {
    let at = directory.display();
    // With a home of its own the shell reads none of the developer's start-up files: they take their time, and a
    // command that is killed on purpose must not leave their locks behind.
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/ecdsa\nHostKey {at}/ed25519\n\
         AuthorizedKeysFile {at}/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n\
         SetEnv HOME={at}\n{extra}\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    );
    let file = directory.join("sshd_config");
    fs::write(&file, config).unwrap();
    let mut child =
        Command::new(SSHD).args(["-D", "-e", "-f"]).arg(&file).stderr(Stdio::piped()).spawn().expect("sshd starts");
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

impl RemoteShellFixture for Sshd {
    type Shell = SshShell;

    async fn fresh(&self) -> SshShell {
        self.shell()
    }

    fn target(&self) -> Target {
        let host_keys = ["ed25519", "ecdsa"].map(|kind| self.host_key(kind)).to_vec();
        Target { address: IpAddr::V4(Ipv4Addr::LOCALHOST), host_keys }
    }

    fn key(&self) -> Secret<String> {
        self.opening.private.clone()
    }

    fn nowhere(&self) -> Target {
        Target { address: IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)), ..self.target() }
    }

    fn break_connections(&self) {
        kill_all(&descendants(self.child.id()));
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let sessions = descendants(self.child.id());
        self.child.kill().ok();
        self.child.wait().ok();
        kill_all(&sessions);
    }
}

fn kill_all(pids: &[u32]) {
    for pid in pids {
        Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status().ok();
    }
}

/// All processes below `pid`, by `/proc`.
fn descendants(pid: u32) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|child| Some((child, parent(child)?)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        let above = found[next];
        found.extend(pairs.iter().filter(|pair| pair.1 == above).map(|pair| pair.0));
        next += 1;
    }
    found.split_off(1)
}

/// The parent of a process.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn owner_of_self() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid()
}
