//! The detached join: started once, fed in secret, followed from outside.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use provisioning_core::render::RemoteCommand;

use crate::host::{Host, Said, eventually, kill};
use crate::{operation, start_join};

const SECRET: &str = "pvebridge' \\ \"$HOME\" `id` % s3cr3t-4711";

fn run_directory() -> String {
    format!("run/provisioning-{}", operation())
}

fn follow(host: &Host) -> Said {
    host.run(&RemoteCommand::FollowJoin { operation: operation() }, "")
}

fn stage(host: &Host) -> String {
    let said = follow(host);
    assert_eq!(said.status, Some(0), "{said:?}");
    said.stdout.lines().next().unwrap_or_default().to_owned()
}

fn let_it_end(host: &Host, status: &str) {
    host.write("fake/status.new", status);
    fs::rename(host.path("fake/status.new"), host.path("fake/status")).unwrap();
    host.wait_for(&format!("{}/status", run_directory()));
}

pub(crate) fn a_second_start_finds_the_first(host: &Host) {
    assert_eq!(host.succeeds(&start_join(), "one\n"), "started\n");
    host.wait_for("fake/starts");
    assert_eq!(host.succeeds(&start_join(), "two\n"), "already\n");
    let_it_end(host, "0");
    assert_eq!(host.succeeds(&start_join(), "three\n"), "already\n", "not even after its end");
    assert_eq!(host.read("fake/starts"), "started\n");
    assert_eq!(host.read("fake/password"), "one");
    let fingerprint = ["AB"; 32].join(":");
    assert_eq!(host.read("fake/arguments"), format!("add\npve1.lab.example\n--fingerprint\n{fingerprint}\n"));
    assert_eq!(fs::metadata(host.path(&run_directory())).unwrap().mode() & 0o7777, 0o700);
}

pub(crate) fn the_secret_reaches_pvecm_and_no_other_place(host: &Host) {
    assert_eq!(host.succeeds(&start_join(), &format!("{SECRET}\n")), "started\n");
    host.wait_for("fake/starts");
    assert_eq!(host.read("fake/password"), SECRET);
    let places = || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut files: Vec<_> = processes.flat_map(|p| [p.path().join("cmdline"), p.path().join("environ")]).collect();
        files.extend(fs::read_dir(host.path(&run_directory())).unwrap().map(|entry| entry.unwrap().path()));
        files.push(host.path("fake/environment"));
        files
    };
    let nowhere = || {
        for file in places() {
            assert!(!holds(&file, "s3cr3t-4711"), "{} holds the secret", file.display());
        }
    };
    nowhere();
    let_it_end(host, "0");
    nowhere();
}

/// Whether a file holds a text; a process that has ended meanwhile holds nothing.
fn holds(file: &Path, text: &str) -> bool {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(file) {
        file.read_to_end(&mut bytes).ok();
    }
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

pub(crate) fn a_secret_without_a_newline_is_whole(host: &Host) {
    assert_eq!(host.succeeds(&start_join(), SECRET), "started\n");
    host.wait_for("fake/starts");
    assert_eq!(host.read("fake/password"), SECRET);
}

pub(crate) fn no_secret_is_an_error_and_starts_nothing(host: &Host) {
    let said = host.run(&start_join(), "");
    assert_eq!((said.status, said.stdout.as_str()), (Some(1), ""));
    assert_eq!(stage(host), "absent");
}

pub(crate) fn a_run_directory_that_cannot_be_made_is_an_error(host: &Host) {
    fs::rename(host.path("run"), host.path("gone")).unwrap();
    let said = host.run(&start_join(), "x\n");
    assert_eq!((said.status, said.stdout.as_str()), (Some(1), ""));
    assert!(said.stderr.contains("cannot be made"), "{said:?}");
}

pub(crate) fn following_tells_each_stage(host: &Host) {
    assert_eq!(stage(host), "absent");
    fs::create_dir(host.path(&run_directory())).unwrap();
    assert_eq!(stage(host), "starting");
    fs::remove_dir(host.path(&run_directory())).unwrap();
    assert_eq!(host.succeeds(&start_join(), "x\n"), "started\n");
    host.wait_for("fake/starts");
    eventually("both first lines are out", || follow(host).stderr == "a warning\n");
    let running = follow(host);
    assert_eq!(running.stdout, "running\nEstablishing API connection\n");
    let_it_end(host, "255");
    let ended = Said {
        status: Some(0),
        stdout: "ended 255\nEstablishing API connection\nthe last line\n".to_owned(),
        stderr: "a warning\n".to_owned(),
    };
    assert_eq!(follow(host), ended);
    assert_eq!(follow(host), ended, "asking changes nothing");
}

pub(crate) fn a_join_whose_runner_died_is_lost(host: &Host) {
    assert_eq!(host.succeeds(&start_join(), "x\n"), "started\n");
    host.wait_for("fake/starts");
    let pid = host.read(&format!("{}/pid", run_directory()));
    kill("-KILL", pid.trim());
    eventually("the join is lost", || stage(host) == "lost");
    assert_eq!(follow(host).stdout, "lost\nEstablishing API connection\n");
}

pub(crate) fn a_join_outlives_the_login_that_started_it(host: &Host) {
    let line = format!("{}; exec sleep 600", start_join().line());
    let mut login = host.begin(&line, "x\n");
    host.wait_for("fake/starts");
    for signal in ["-HUP", "-KILL"] {
        kill(signal, &format!("-{}", login.id()));
    }
    login.wait().unwrap();
    assert_eq!(stage(host), "running");
    let_it_end(host, "0");
    assert_eq!(stage(host), "ended 0");
}

pub(crate) fn an_ended_join_is_cleared_and_a_running_one_is_not(host: &Host) {
    let clear = RemoteCommand::ClearJoin { operation: operation() };
    assert_eq!(host.succeeds(&clear, ""), "", "nothing to clear");
    assert_eq!(host.succeeds(&start_join(), "x\n"), "started\n");
    host.wait_for("fake/starts");
    assert_eq!(host.succeeds(&clear, ""), "");
    assert_eq!(stage(host), "running");
    let_it_end(host, "0");
    assert_eq!(host.succeeds(&clear, ""), "");
    assert_eq!(stage(host), "absent");
}
