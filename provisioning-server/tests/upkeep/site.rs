//! A directory with a configuration and data, and the program run in it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::geteuid;
use provisioning_adapters::sqlite::{SealingKey, SqliteStore};
use provisioning_sim::real::iso::{IsoOptions, write_file};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// The check of the disk's room.
pub(crate) const ROOM: &str = "disk-space";

/// A site in a directory that goes away with it.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
}

impl Site {
    /// A configuration, and data as a first command makes them, with one image.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let site = Self { dir, port };
        let config = format!(
            "server:\n  public_url: http://127.0.0.1:{port}\n  listen: 127.0.0.1:{port}\n  data_dir: data\n\
             credentials:\n  root_password_hash: '$6$upkeeptests$./{}'\n",
            "Kq".repeat(42)
        );
        fs::write(site.config(), config).unwrap();
        fs::write(site.dir.path().join("server-types.yaml"), "server_types:\n  lab:\n    boot_disk: sda\n").unwrap();
        let iso = site.dir.path().join("small.iso");
        write_file(&IsoOptions { filler_bytes: 4096, ..IsoOptions::default() }, &iso).unwrap();
        site.succeeds(&["image", "import", "small.iso"]);
        site
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("provisioning.yaml")
    }

    /// Puts something else in the configuration.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let config = fs::read_to_string(self.config()).unwrap();
        assert!(config.contains(from), "{from} is not in the configuration");
        fs::write(self.config(), config.replace(from, to)).unwrap();
    }

    pub(crate) fn data(&self, file: &str) -> PathBuf {
        self.dir.path().join("data").join(file)
    }

    /// The one image's file.
    pub(crate) fn iso(&self) -> PathBuf {
        let mut files = fs::read_dir(self.data("images")).unwrap();
        files.next().unwrap().unwrap().path()
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.data("provisioning.db")).unwrap()
    }

    pub(crate) fn key(&self) -> SealingKey {
        SealingKey::load_or_create(&self.data("vault.key")).unwrap()
    }

    /// The database past all rules.
    pub(crate) fn raw(&self) -> Connection {
        Connection::open(self.data("provisioning.db")).unwrap()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        program(self.dir.path(), args).output().unwrap()
    }

    /// What it says, when it succeeds.
    pub(crate) fn succeeds(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    /// What the doctor finds, and its exit code.
    pub(crate) fn doctor(&self, args: &[&str]) -> (Vec<Found>, i32) {
        let (mut faults, code) = found(&self.run(&[&["doctor", "--json"], args].concat()));
        let machines = faults.extract_if(.., |fault| fault.name == ROOM).count();
        // How much room the machine has that runs the tests is not theirs.
        (faults.clone(), if machines > 0 && faults.is_empty() { 0 } else { code })
    }
}

pub(crate) fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
    command.args(args).current_dir(dir).env_remove("PROVISIONING_SERVER").env_remove("PROVISIONING_TOKEN");
    command
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// A check that did not come out well.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) said: String,
    pub(crate) what_to_do: String,
}

/// All checks of a report that did not come out well, and the exit code.
pub(crate) fn found(output: &Output) -> (Vec<Found>, i32) {
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)));
    let checks = report["checks"].as_array().unwrap().iter();
    let bad = checks.filter(|check| !matches!(check["state"].as_str(), Some("ok" | "skipped")));
    let word = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let bad = bad.map(|check| Found {
        name: word(check, "name"),
        said: word(check, "found"),
        what_to_do: word(check, "what_to_do"),
    });
    (bad.collect(), output.status.code().unwrap())
}

/// Whether namespaces can be made; said loudly where not, and a failure where checks are meant to be complete.
#[expect(clippy::print_stderr, reason = "a test that checks nothing shall say so")]
pub(crate) fn has_namespaces() -> bool {
    let tools = ["unshare", "mount", "ip"];
    let is_there =
        |tool: &&str| ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(tool).exists());
    let able = geteuid().is_root() && tools.iter().all(is_there);
    if !able {
        let why = "NOT CHECKED in a namespace: this needs root, util-linux and iproute2";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("{why}");
    }
    able
}
