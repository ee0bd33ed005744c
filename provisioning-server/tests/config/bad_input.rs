//! What is wrong around the configuration ends in one clear message: what, where, and what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::program::{configured, provisioning, run, said};

/// That `check-config` refuses a file, with the exit code for faults, and says all of these.
#[track_caller]
fn refused(dir: &Path, parts: &[&str]) {
    let output = run(&["check-config"], dir);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(9), "{told}");
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in: {told}");
    }
}

fn with(dir: &Path, text: impl AsRef<[u8]>) {
    fs::write(dir.join("provisioning.yaml"), text).unwrap();
}

fn smallest() -> String {
    fs::read_to_string(configured().path().join("provisioning.yaml")).unwrap()
}

#[test]
fn a_tab_is_named_with_its_line() {
    let dir = configured();
    with(dir.path(), "server:\n\tpublic_url: http://10.0.0.2:8080\n");
    refused(dir.path(), &["provisioning.yaml:2:1: not YAML: a tab indents this line", "1 fault"]);
}

#[test]
fn what_is_no_yaml_and_what_is_written_twice_is_named_with_its_line() {
    let dir = configured();
    with(dir.path(), "server:\n  public_url: [1, 2\n");
    refused(dir.path(), &["provisioning.yaml:", "not YAML", "1 fault"]);
    with(dir.path(), "server:\n  listen: 127.0.0.1:1\n  listen: 127.0.0.1:2\n");
    refused(dir.path(), &["provisioning.yaml:3:3: not YAML: the key listen is written twice"]);
}

#[test]
fn a_mark_of_utf_8_and_line_ends_of_windows_are_no_faults_and_another_encoding_is_one() {
    let dir = configured();
    with(dir.path(), format!("\u{feff}{}", smallest().replace('\n', "\r\n")));
    let output = run(&["check-config"], dir.path());
    assert!(output.status.success(), "{}", said(&output));
    let wide: Vec<u8> = "server: {}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    with(dir.path(), [&[0xff, 0xfe], wide.as_slice()].concat());
    refused(dir.path(), &["it is not UTF-8 text, save it as UTF-8"]);
}

#[test]
fn a_wrong_type_and_a_wrong_word_say_what_is_allowed() {
    let dir = configured();
    with(dir.path(), format!("{}pxe:\n  enabled: maybe\n  mode: prxy\nlogging: [text]\ninterface: eno1\n", smallest()));
    let parts = [
        "pxe.enabled: \"maybe\": write true or false",
        "pxe.mode: \"prxy\" is not one of proxy, dhcp; did you mean proxy?",
        "logging: holds keys of its own",
        "interface: is not a known key here: write it as pxe.interface",
    ];
    refused(dir.path(), &parts);
}

#[test]
fn an_unreadable_secret_names_the_key_the_path_and_the_way_out() {
    let dir = configured();
    let secret = |path: &str| format!("{}auth:\n  admin_token_file: {path}\n", smallest());
    with(dir.path(), secret("token"));
    let path = dir.path().join("token").display().to_string();
    refused(dir.path(), &["auth.admin_token_file: ", &format!("{path} cannot be read: there is no such file")]);
    with(dir.path(), secret("secrets/token"));
    refused(dir.path(), &["auth.admin_token_file: ", "there is no folder"]);
    fs::write(dir.path().join("token"), "\n").unwrap();
    with(dir.path(), secret("token"));
    refused(dir.path(), &["is empty: write the secret into it"]);
    with(dir.path(), secret("."));
    refused(dir.path(), &["it is a folder, not a file"]);
}

#[test]
fn a_file_that_everybody_reads_is_warned_of() {
    let dir = configured();
    let token = dir.path().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    with(dir.path(), format!("{}auth:\n  admin_token_file: token\n", smallest()));
    let output = run(&["check-config"], dir.path());
    assert!(output.status.success() && said(&output).contains("warning: "), "{}", said(&output));
    assert!(said(&output).contains("chmod 600 it"), "{}", said(&output));
}

#[test]
fn an_interface_and_an_address_that_this_machine_has_not_are_warned_of() {
    let dir = configured();
    let text = smallest().replace("server:\n", "server:\n  listen: 192.0.2.77:8080\n");
    with(dir.path(), format!("{text}pxe:\n  interface: nosuch0\n"));
    let told = said(&run(&["check-config"], dir.path()));
    assert!(told.contains("pxe.interface: nosuch0 is no interface of this machine; it has "), "{told}");
    assert!(told.contains("server.listen: 192.0.2.77 is no address of this machine"), "{told}");
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_the_key_and_the_value() {
    let dir = configured();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = provisioning(&["serve"], dir.path()).env("PROVISIONING__SERVER__LISTEN", address.to_string()).output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let told = said(&output);
    assert!(
        told.contains("server.listen") && told.contains(&format!("port {} of 127.0.0.1", address.port())),
        "{told}"
    );
}

#[test]
fn a_configuration_that_is_not_there_is_named_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["check-config", "--config", "nowhere.yaml"], dir.path());
    assert_eq!(output.status.code(), Some(9));
    assert!(said(&output).contains("/nowhere.yaml: cannot be read: there is no such file"), "{}", said(&output));
}

#[test]
fn programs_are_told_faults_as_json() {
    let dir = configured();
    with(dir.path(), "server: {public_url: nowhere, listn: x}\n");
    let output = run(&["check-config", "--json"], dir.path());
    assert_eq!(output.status.code(), Some(9));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["in_order"], false);
    let faults = report["faults"].as_array().unwrap();
    let misspelt = faults.iter().find(|fault| fault["key"] == "server.listn").unwrap();
    assert_eq!((misspelt["line"].as_u64(), misspelt["column"].as_u64()), (Some(1), Some(31)));
    assert_eq!(misspelt["problem"], "is not a known key; did you mean listen?");
    assert!(misspelt["file"].as_str().unwrap().ends_with("/provisioning.yaml"));
}

#[test]
fn what_is_in_force_is_told_with_where_it_comes_from_and_without_secrets() {
    let dir = configured();
    let secret = "a-secret-that-nobody-sees";
    let mut command = provisioning(&["check-config", "--explain"], dir.path());
    let output = command.env("PROVISIONING__AUTH__ADMIN_TOKEN", secret).output().unwrap();
    let told = said(&output);
    let line = |key: &str| {
        let line = told.lines().find(|line| line.trim_start().starts_with(&format!("{key} ")));
        line.unwrap_or_else(|| panic!("{key} is not in:\n{told}")).to_owned()
    };
    assert!(line("server.public_url").ends_with("provisioning.yaml, line 2"), "{told}");
    assert!(line("server.listen").contains("127.0.0.1:8080") && line("server.listen").ends_with("default"), "{told}");
    assert!(line("auth.admin_token").contains("not shown"), "{told}");
    assert!(line("auth.admin_token").ends_with("environment, PROVISIONING__AUTH__ADMIN_TOKEN"), "{told}");
    assert!(told.contains("lab: lab; wipes /dev/sda, ext4"), "{told}");
    assert!(!told.contains(secret) && !told.contains("$6$"), "{told}");

    let mut command = provisioning(&["check-config", "--explain", "--json"], dir.path());
    let output = command.env("PROVISIONING__AUTH__ADMIN_TOKEN", secret).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let settings = report["settings"].as_array().unwrap();
    let token = settings.iter().find(|setting| setting["key"] == "auth.admin_token").unwrap();
    assert_eq!((&token["set"], &token["value"]), (&Value::Bool(true), &Value::Null));
}
