//! The program as people use it: the demo, and commands with and without a running server.

#![expect(clippy::unwrap_used, reason = "a test whose program does not run shall fail")]

#[path = "cli/remote.rs"]
mod remote;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use provisioning_sim::real::iso::{IsoOptions, write_file};

fn provisioning(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
    command.args(args).current_dir(dir).env_remove("PROVISIONING_SERVER").env_remove("PROVISIONING_TOKEN");
    command
}

fn run(args: &[&str], dir: &Path) -> Output {
    provisioning(args, dir).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// A directory with a small configuration.
fn configured() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config/good/smallest");
    for file in ["provisioning.yaml", "server-types.yaml"] {
        std::fs::copy(golden.join(file), dir.path().join(file)).unwrap();
    }
    dir
}

/// A server that is killed with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts `serve` and reads its log until it serves; what it has said until then.
fn serve(dir: &Path) -> (Serving, String) {
    let mut command = provisioning(&["serve"], dir);
    command.env("PROVISIONING__SERVER__LISTEN", "127.0.0.1:0").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("serving") {
        assert!(log.read_line(&mut said).unwrap() > 0, "the server ended: {said}");
    }
    // Somebody must go on reading, or the server would wait for room in the pipe.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (Serving(child), said)
}

#[test]
fn the_demo_brings_every_simulated_host_to_ready() {
    let dir = tempfile::tempdir().unwrap();
    let demo = ["demo", "--once", "--hosts", "3", "--seed", "4711", "--listen", "127.0.0.1:0"];
    let output = run(&demo, dir.path());
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.lines().any(|line| line == "3 ready, 0 failed"), "{said}");
}

#[test]
fn commands_work_before_the_first_start_and_with_a_running_server() {
    let dir = configured();
    let iso = dir.path().join("small.iso");
    write_file(&IsoOptions { filler_bytes: 4096, ..IsoOptions::default() }, &iso).unwrap();
    let imported = run(&["image", "import", "small.iso"], dir.path());
    assert!(text(&imported).contains("proxmox-ve_9.2-1 (release 9.2) is ready"), "{}", text(&imported));

    let (_serving, said) = serve(dir.path());
    assert!(said.contains("prov_"), "the token is shown at the first start of the server: {said}");
    let add = ["host", "add", "pve-01", "--mac", "52:54:00:00:00:01", "--server-type", "lab"];
    assert!(run(&add, dir.path()).status.success());
    let again = run(&add, dir.path());
    assert!(!again.status.success() && text(&again).contains("the name pve-01 is taken"), "{}", text(&again));
    assert!(text(&run(&["image", "list"], dir.path())).contains("proxmox-ve_9.2-1"));

    let asked = run(&["host", "rebuild", "pve-01"], dir.path());
    assert!(!asked.status.success() && text(&asked).contains("use --yes"), "{}", text(&asked));
    let rebuilt = run(&["host", "rebuild", "pve-01", "--yes"], dir.path());
    assert!(text(&rebuilt).contains("wipes     /dev/sda"), "{}", text(&rebuilt));
    assert!(text(&run(&["host", "list", "--json"], dir.path())).contains("\"phase\": \"pxe_ready\""));
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_token_is_shown_once() {
    let dir = configured();
    let (first, said) = serve(dir.path());
    assert!(said.contains("prov_"), "{said}");
    let second = provisioning(&["serve"], dir.path()).env("PROVISIONING__SERVER__LISTEN", "127.0.0.1:0").output();
    let second = second.unwrap();
    assert!(
        !second.status.success() && text(&second).contains("another provisioning server uses"),
        "{}",
        text(&second)
    );
    // Killed without a word, as by SIGKILL: the next start finds its way.
    drop(first);
    let (_again, said) = serve(dir.path());
    assert!(!said.contains("prov_"), "{said}");
}

#[test]
fn check_config_says_what_is_wrong_and_fails() {
    let dir = configured();
    assert!(text(&run(&["check-config"], dir.path())).contains("is in order"));
    std::fs::write(dir.path().join("provisioning.yaml"), "server: {public_url: nowhere, listn: x}\n").unwrap();
    let output = run(&["check-config"], dir.path());
    assert!(!output.status.success());
    for part in ["provisioning.yaml:1:22: server.public_url", "did you mean listen?", "credentials.root_password_hash"]
    {
        assert!(text(&output).contains(part), "{}", text(&output));
    }
}
