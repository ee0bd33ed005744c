//! The program as the client of a server elsewhere: tokens, exit codes, JSON, watching, and its own reference.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use provisioning_sim::real::iso::{IsoOptions, write_file};
use serde_json::Value;

use crate::{Serving, configured, provisioning, run, serve, text};

/// A server, and what its clients must know.
struct Remote {
    dir: tempfile::TempDir,
    url: String,
    token: String,
    _serving: Serving,
}

impl Remote {
    fn start() -> Self {
        let dir = configured();
        let (serving, said) = serve(dir.path());
        let word = |begin: &str| {
            let words = said.split(|c: char| c.is_whitespace() || c == '=');
            words.map(|word| word.trim_matches('\u{1b}')).find(|word| word.starts_with(begin)).unwrap().to_owned()
        };
        let (token, address) = (word("prov_"), word("127.0.0.1:"));
        std::fs::write(dir.path().join("token"), format!("{token}\n")).unwrap();
        Self { dir, url: format!("http://{address}"), token, _serving: serving }
    }

    /// A command to this server from a directory without any configuration.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = provisioning(args, Path::new("/"));
        command.env("PROVISIONING_SERVER", &self.url).env("PROVISIONING_TOKEN", &self.token);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn register(&self, n: u8) {
        let (name, mac) = (format!("pve-{n:02}"), format!("52:54:00:00:00:{n:02x}"));
        let host = self.json(&["host", "register", &name, "--mac", &mac, "--server-type", "lab", "--json"]);
        assert_eq!(host["phase"], "registered");
    }

    fn import(&self) {
        let iso = self.dir.path().join("small.iso");
        write_file(&IsoOptions { filler_bytes: 4096, ..IsoOptions::default() }, &iso).unwrap();
        let image = self.json(&["image", "import", iso.to_str().unwrap(), "--json"]);
        assert_eq!(image["release"], "9.2");
    }
}

#[test]
fn hosts_are_registered_edited_and_removed_from_afar() {
    let remote = Remote::start();
    remote.register(1);
    let edited = remote.json(&["host", "edit", "pve-01", "--name", "pve-09", "--address", "10.0.0.9/24", "--json"]);
    assert_eq!((&edited["hostname"], &edited["address"]), (&"pve-09".into(), &"10.0.0.9/24".into()));
    assert_eq!(remote.json(&["host", "edit", "pve-09", "--address", "dhcp", "--json"])["address"], Value::Null);
    let shown = text(&remote.run(&["host", "show", "pve-09"]));
    assert!(shown.contains("phase         registered"), "{shown}");
    let history = text(&remote.run(&["host", "history", "pve-09", "--journal"]));
    assert!(history.contains("operator") && history.contains("pve-09 was edited"), "{history}");
    let listed = remote.json(&["host", "list", "--text", "pve", "--json"]);
    assert_eq!(listed["hosts"][0]["hostname"], "pve-09");
    let asked = remote.run(&["host", "remove", "pve-09"]);
    assert_eq!(asked.status.code(), Some(7), "{}", text(&asked));
    assert!(remote.run(&["host", "remove", "pve-09", "--yes"]).status.success());
    assert_eq!(remote.json(&["host", "list", "--json"])["hosts"], serde_json::json!([]));
}

#[test]
fn a_script_learns_from_the_exit_code_what_went_wrong() {
    let remote = Remote::start();
    remote.register(1);
    let code = |args: &[&str]| remote.run(args).status.code();
    assert_eq!(code(&["host", "show", "pve-01"]), Some(0));
    assert_eq!(code(&["host", "show"]), Some(2));
    assert_eq!(code(&["host", "resume", "pve-01"]), Some(3));
    assert_eq!(code(&["host", "show", "nobody"]), Some(4));
    let wrong = remote.command(&["host", "list"]).env("PROVISIONING_TOKEN", "prov_wrong").output().unwrap();
    assert_eq!(wrong.status.code(), Some(5), "{}", text(&wrong));
    let file = remote.dir.path().join("token");
    let by_file = ["host", "list", "--token-file", file.to_str().unwrap()];
    let right = remote.command(&by_file).env("PROVISIONING_TOKEN", "prov_wrong").output().unwrap();
    assert!(right.status.success(), "the file counts more than the variable: {}", text(&right));
    let nobody = run(&["host", "list", "--server", "http://127.0.0.1:9"], remote.dir.path());
    assert_eq!(nobody.status.code(), Some(6), "{}", text(&nobody));
}

#[test]
fn a_rebuild_is_shown_started_watched_and_cancelled() {
    let remote = Remote::start();
    remote.register(1);
    remote.import();
    assert_eq!(remote.json(&["host", "rebuild", "pve-01", "--dry-run", "--json"])["wipes"], "/dev/sda");
    let started = remote.json(&["host", "rebuild", "pve-01", "--yes", "--json"]);
    let operation = started["operation"].as_str().unwrap();

    let mut watch = remote.command(&["host", "watch", "pve-01"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "pve-01: pxe_ready");
    assert!(remote.run(&["host", "cancel", "pve-01", "--yes"]).status.success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.ends_with("pve-01: Cancelled by an operator")), "{rest:?}");
    assert_eq!(watch.wait().unwrap().code(), Some(8), "it has failed");

    let shown = text(&remote.run(&["op", "show", operation]));
    assert!(shown.contains("outcome       failed") && shown.contains("pxe_ready"), "{shown}");
    let listed = remote.json(&["op", "list", "pve-01", "--outcome", "failed", "--json"]);
    assert_eq!(listed["operations"][0]["id"], operation);
    let nothing = remote.run(&["op", "artefacts", operation, "answer"]);
    assert_eq!(nothing.status.code(), Some(4), "no machine has asked for it: {}", text(&nothing));
    assert!(remote.run(&["image", "remove", "proxmox-ve_9.2-1", "--yes"]).status.success());
    assert!(text(&remote.run(&["notify", "status"])).contains("LAST SUCCESS"));
}

#[test]
fn a_watcher_for_programs_gets_an_entry_a_line() {
    let remote = Remote::start();
    let mut watch = remote.command(&["watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // Whatever is registered before the watcher is there is not told.
    let mut n = 0;
    let (sender, receiver) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || sender.send(lines.next().unwrap().unwrap()));
    let first = loop {
        n += 1;
        remote.register(n);
        if let Ok(line) = receiver.try_recv() {
            break line;
        }
    };
    let entry: Value = serde_json::from_str(&first).unwrap();
    // Or who asked for it: the watcher may have come in between.
    let kind = entry["what"]["kind"].as_str().unwrap();
    assert!(["host_registered", "audited"].contains(&kind), "{entry}");
    watch.kill().unwrap();
    watch.wait().unwrap();
    reading.join().unwrap().unwrap();
}

#[test]
fn the_command_line_describes_itself_to_shells_and_readers() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], dir.path());
        assert!(script.status.success() && text(&script).contains("rebuild"), "{shell}");
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(&run(&["completions", "bash"], dir.path()).stdout).unwrap();
    assert!(bash.wait().unwrap().success(), "the completion script is one that bash reads");
    assert!(text(&run(&["man"], dir.path())).contains(".TH provisioning"));
    assert!(run(&["man", "pages"], dir.path()).status.success());
    assert!(dir.path().join("pages/provisioning-host-rebuild.1").is_file());
    let help = text(&run(&["--help"], dir.path()));
    assert!(help.contains("Exit codes:") && help.contains("Examples:"), "{help}");
}
