//! `provisioning config init`: asked or not, what it writes is in order at once, and nothing is overwritten.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::pty::openpty;
use provisioning_server::config::Config;

use super::program::{provisioning, run, said};

const PASSWORD: &str = "correct horse battery";
const FINGERPRINT: &str =
    "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:CD";

/// Flags that leave nothing to the machine that the test runs on.
const NETWORK: [&str; 6] = ["--public-url", "http://127.0.0.1:8080", "--listen", "127.0.0.1:8080", "--pxe", "no"];

fn init(dir: &Path, more: &[&str]) -> Output {
    run(&[&["config", "init"], NETWORK.as_slice(), more].concat(), dir)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// That `check-config` finds the folder's files in order; what they mean.
fn in_order(dir: &Path) -> Config {
    let output = run(&["check-config"], dir);
    assert!(output.status.success() && said(&output).contains("is in order"), "{}", said(&output));
    Config::load(&dir.join("provisioning.yaml"), []).unwrap()
}

#[test]
fn proposals_are_taken_without_asking_and_what_is_lacking_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let output = init(dir.path(), &["--yes"]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert!(told.contains("--root-password-hash-file or --root-password-stdin, --boot-disk"), "{told}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written");

    fs::write(dir.path().join("hash"), format!("$6$0123456789abcdef${}\n", "x".repeat(86))).unwrap();
    let output = init(dir.path(), &["--yes", "--root-password-hash-file", "hash", "--boot-disk", "nvme0n1"]);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("took --timezone") && told.contains("took --data-dir \"data\""), "{told}");
    let config = in_order(dir.path());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server_types[0].disk.wipes(), "/dev/nvme0n1");
    assert_eq!(mode(&dir.path().join("provisioning.yaml")), 0o600, "it holds a secret");
    assert_eq!(mode(&dir.path().join("server-types.yaml")), 0o640);
}

#[test]
fn every_optional_key_stands_in_the_files_as_a_comment() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hash"), format!("$6$0123456789abcdef${}\n", "x".repeat(86))).unwrap();
    let https = ["--yes", "--public-url", "https://prov.lab.example:8443", "--root-password-hash-file", "hash"];
    let output =
        run(&[&["config", "init", "--boot-disk", "sda", "--pxe", "no"], https.as_slice()].concat(), dir.path());
    assert!(output.status.success(), "{}", said(&output));
    let config = in_order(dir.path());
    assert!(config.server.tls.is_some(), "https needs a certificate");
    assert_eq!(config.server.boot_listen.unwrap().to_string(), "0.0.0.0:8444");
    let text = fs::read_to_string(dir.path().join("provisioning.yaml")).unwrap();
    for key in ["#artifact_listen:", "#session_idle:", "#ca_file:", "#- url_file:", "#join_secret:", "#max_streams:"] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(key)), "{key} is not in:\n{text}");
    }
}

#[test]
fn files_that_are_there_are_kept_unless_force_is_given() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hash"), format!("$6$0123456789abcdef${}\n", "x".repeat(86))).unwrap();
    fs::write(dir.path().join("server-types.yaml"), "mine\n").unwrap();
    let flags = ["--root-password-hash-file", "hash", "--boot-disk", "sda"];
    let output = init(dir.path(), &[&["--yes"], flags.as_slice()].concat());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("server-types.yaml is there already and stays as it is"), "{}", said(&output));
    assert_eq!(fs::read_to_string(dir.path().join("server-types.yaml")).unwrap(), "mine\n");
    assert!(!dir.path().join("provisioning.yaml").exists());

    let output = init(dir.path(), &[&["--force"], flags.as_slice()].concat());
    assert_eq!(output.status.code(), Some(7), "--force asks, and there is nobody: {}", said(&output));
    let output = init(dir.path(), &[&["--force", "--yes"], flags.as_slice()].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read_to_string(dir.path().join("server-types.yaml.old")).unwrap(), "mine\n");
    in_order(dir.path());
}

#[test]
fn a_wrong_answer_names_its_flag_and_without_a_terminal_nobody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let output = init(dir.path(), &["--yes", "--country", "Austria"]);
    assert!(said(&output).contains("--country \"Austria\": not a country code"), "{}", said(&output));
    let output = init(dir.path(), &["--yes", "--interface", "nosuch0"]);
    assert!(said(&output).contains("--interface nosuch0: no network of this machine"), "{}", said(&output));
    let output = init(dir.path(), &[]);
    assert_eq!(output.status.code(), Some(7));
    assert!(said(&output).contains("there is no terminal to ask at: --yes takes"), "{}", said(&output));
}

#[test]
fn a_password_from_standard_input_is_hashed_and_written_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--yes", "--root-password-stdin", "--boot-disk", "sda"];
    let mut command = provisioning(&[&["config", "init"], NETWORK.as_slice(), &flags].concat(), dir.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let config = in_order(dir.path());
    assert!(config.site.root_password_hash.expose().starts_with("$6$rounds=5000$"));
    let text = fs::read_to_string(dir.path().join("provisioning.yaml")).unwrap();
    assert!(!text.contains(PASSWORD) && !said(&output).contains(PASSWORD));
}

/// What a person types at a prompt with these words in it.
const TYPED: [(&str, &str); 14] = [
    ("Its number", ""),
    ("DNS domain", "lab.example"),
    ("Country", "Austria"),
    ("Time zone", "Europe/Vienna"),
    ("Keyboard", "de"),
    ("send their mail", ""),
    ("folder for the server's data", ""),
    ("Root's password on new hosts", PASSWORD),
    ("Once more", PASSWORD),
    ("A member of the cluster", "10.0.0.10"),
    ("fingerprint of its certificate", FINGERPRINT),
    ("Root's password on 10.0.0.10", PASSWORD),
    ("A key for the first server type", "mini"),
    ("The disk", "sda"),
];

#[test]
fn a_person_at_a_terminal_is_asked_until_the_answers_make_sense() {
    let dir = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let (mut person, theirs) = (File::from(terminal.master), File::from(terminal.slave));
    let mut command = provisioning(&[&["config", "init"], NETWORK.as_slice()].concat(), dir.path());
    command.stdin(theirs.try_clone().unwrap()).stderr(theirs.try_clone().unwrap()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Only the program holds its end then, so that its end is the terminal's.
    drop((command, theirs));

    let (mut shown, mut seen, mut countries) = (String::new(), 0, 0);
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = person.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
        if !shown.ends_with(": ") {
            continue;
        }
        let prompt = shown[seen..].lines().last().unwrap_or_default().to_owned();
        seen = shown.len();
        let typed = TYPED.iter().find(|(words, _)| prompt.contains(words)).map_or("", |(_, typed)| typed);
        let is_country = prompt.contains("Country");
        countries += usize::from(is_country);
        let typed = if is_country && countries > 1 { "at" } else { typed };
        writeln!(person, "{typed}").unwrap();
    }
    assert!(child.wait().unwrap().success(), "{shown}");
    assert_eq!(countries, 2, "a wrong answer is asked for again: {shown}");
    assert!(shown.contains("not a country code") && shown.contains("openssl x509"), "{shown}");
    assert!(!shown.contains(PASSWORD), "a password is not shown");

    let config = in_order(dir.path());
    assert_eq!(config.site.cluster.unwrap().member.to_string(), "10.0.0.10");
    assert_eq!(config.site.country.as_str(), "at");
    assert_eq!(config.site.mailto.as_str(), "root@lab.example");
    assert_eq!(mode(&dir.path().join("join-password")), 0o600);
    assert_eq!(fs::read_to_string(dir.path().join("join-password")).unwrap(), format!("{PASSWORD}\n"));
}
