//! A host small enough for a temporary directory: a root to `chroot` into, with the tools of busybox or of Debian,
//! and a `pvecm` that does as it is told.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use provisioning_core::render::RemoteCommand;
use tempfile::TempDir;

const BUSYBOX: &str = "/bin/busybox";
/// What the scripts may call; the rest is built into every POSIX shell.
const TOOLS: [&str; 13] =
    ["sh", "cat", "grep", "mkdir", "mv", "rm", "setsid", "sleep", "tail", "timeout", "touch", "env", "kill"];

/// Reads the password as the real one does, begins to talk, and ends when it is let go.
const PVECM: &str = r#"#!/bin/sh
IFS= read -r password
printf '%s' "$password" >/fake/password
for word in "$@"; do printf '%s\n' "$word"; done >/fake/arguments
env >/fake/environment
echo started >>/fake/starts
echo "Establishing API connection"
echo "a warning" >&2
while [ -d /fake ] && [ ! -e /fake/status ]; do sleep 0.02; done
echo "the last line"
exit "$(cat /fake/status)"
"#;

/// Whose tools the host has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tools {
    Busybox,
    Debian,
}

/// What a command left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) struct Host {
    root: TempDir,
}

impl Host {
    pub(crate) fn new(tools: Tools) -> Self {
        let root = tempfile::tempdir().unwrap();
        let host = Self { root };
        for directory in ["bin", "dev", "fake", "run", "tmp", "root", "etc/pve/priv"] {
            fs::create_dir_all(host.path(directory)).unwrap();
        }
        match tools {
            Tools::Busybox => host.install_busybox(),
            Tools::Debian => TOOLS.iter().for_each(|tool| host.install_from_debian(tool)),
        }
        let made = Command::new("mknod").arg("-m666").arg(host.path("dev/null")).args(["c", "1", "3"]).status();
        assert!(made.unwrap().success(), "making /dev/null in a chroot needs tests that run as root");
        host.write("etc/pve/.members", "{\"nodename\": \"pve-07\"}\n");
        host.write("bin/pvecm", PVECM);
        fs::set_permissions(host.path("bin/pvecm"), fs::Permissions::from_mode(0o755)).unwrap();
        host
    }

    fn install_busybox(&self) {
        assert!(Path::new(BUSYBOX).exists(), "{BUSYBOX} is missing: install Debian's package busybox-static");
        fs::copy(BUSYBOX, self.path("bin/busybox")).unwrap();
        for tool in TOOLS {
            symlink("busybox", self.path("bin").join(tool)).unwrap();
        }
    }

    /// Copies a program and the libraries that it loads.
    fn install_from_debian(&self, tool: &str) {
        let found = ["/usr/bin", "/bin"].map(|d| Path::new(d).join(tool)).into_iter().find(|path| path.exists());
        let program = found.unwrap_or_else(|| panic!("{tool} is missing from this machine"));
        fs::copy(&program, self.path("bin").join(tool)).unwrap();
        let listed = Command::new("ldd").arg(&program).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for library in listed.split_ascii_whitespace().filter(|word| word.starts_with('/')) {
            let copy = self.path(library.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(library, copy).unwrap();
        }
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside)
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_else(|e| panic!("{inside}: {e}"))
    }

    pub(crate) fn write(&self, inside: &str, text: &str) {
        fs::write(self.path(inside), text).unwrap();
    }

    /// Waits, for at most 20 s, until there is such a file.
    pub(crate) fn wait_for(&self, inside: &str) {
        eventually(inside, || self.path(inside).exists());
    }

    /// Begins a line as sshd would: by root's shell, in a process group of its own.
    pub(crate) fn begin(&self, line: &str, stdin: &str) -> Child {
        begin(Command::new("chroot").arg(self.root.path()), line, stdin)
    }

    pub(crate) fn run(&self, command: &RemoteCommand, stdin: &str) -> Said {
        ended(self.begin(&command.line(), stdin))
    }

    /// Runs a command as a root whom file permissions bind, as everything in `/etc/pve` does without a quorum.
    pub(crate) fn run_as_bound_root(&self, command: &RemoteCommand) -> Said {
        let mut chroot = Command::new("setpriv");
        chroot.args(["--inh-caps=-dac_override", "--bounding-set=-dac_override", "chroot"]).arg(self.root.path());
        ended(begin(&mut chroot, &command.line(), ""))
    }

    /// Runs a command that must succeed and say nothing but its output.
    pub(crate) fn succeeds(&self, command: &RemoteCommand, stdin: &str) -> String {
        let said = self.run(command, stdin);
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{}: {said:?}", command.name());
        said.stdout
    }
}

impl Drop for Host {
    /// Lets a `pvecm` go that a failed test has left waiting.
    fn drop(&mut self) {
        fs::write(self.path("fake/status"), "0").ok();
    }
}

fn begin(chroot: &mut Command, line: &str, stdin: &str) -> Child {
    let mut child = chroot
        .args(["/bin/sh", "-c", line])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("chroot and setpriv are there, as coreutils and util-linux have them");
    // A command that reads nothing may have ended already.
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
    child
}

fn ended(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Waits, for at most 20 s, until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "not so after 20 s: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Sends a signal to a process, or to a group when the id begins with `-`.
pub(crate) fn kill(signal: &str, id: &str) {
    let killed = Command::new("/bin/kill").args([signal, "--", id]).status().unwrap();
    assert!(killed.success(), "kill {signal} {id}");
}
