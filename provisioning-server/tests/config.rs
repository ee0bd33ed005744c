//! The configuration's golden files: what is read from good ones, and every fault of bad ones, with its place.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p provisioning-server --test config` writes `expected.txt` anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files shall fail")]

#[path = "config/bad_input.rs"]
mod bad_input;
#[path = "config/files.rs"]
mod files;
#[path = "config/init.rs"]
mod init;
#[path = "config/program.rs"]
mod program;
#[path = "config/reload.rs"]
mod reload;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use provisioning_server::config::{AuthConfig, Config, Faults};

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config").join(folder)
}

/// Runs `show` over every case of a folder and compares with its `expected.txt`.
fn check(folder: &str, show: impl Fn(Result<Config, Faults>) -> String) {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(golden(folder)).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let mut differences = String::new();
    for case in cases {
        let base = format!("{}/", case.display());
        let shown = show(Config::load(&case.join("provisioning.yaml"), [])).replace(&base, "");
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &shown).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != shown {
            writeln!(differences, "--- {} is now:\n{shown}", expected.display()).unwrap();
        }
    }
    assert_eq!(differences, "");
}

#[test]
fn good_files_are_read_as_they_are_meant() {
    check("good", |config| format!("{:#?}\n", config.unwrap()));
}

#[test]
fn bad_files_are_refused_with_all_their_faults_at_once() {
    check("bad", |config| format!("{}\n", config.unwrap_err()));
}

#[test]
fn no_secret_of_a_good_file_is_seen_in_its_debug_text() {
    let config = Config::load(&golden("good/everything/provisioning.yaml"), []).unwrap();
    let shown = format!("{config:#?}");
    for secret in ["hunter2", "s3cret", "0123456789abcdef", "metal"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_variable_overrides_the_file_and_is_named_when_it_is_wrong() {
    let path = golden("good/smallest/provisioning.yaml");
    let set = variables(&[
        ("PROVISIONING__SERVER__LISTEN", "127.0.0.1:9000"),
        ("PROVISIONING__PROXMOX__SSH_PORT", "2200"),
        ("PROVISIONING__TIMEOUTS__JOINING", "7m"),
        ("PROVISIONING_SERVER", "not a key"),
    ]);
    let config = Config::load(&path, set).unwrap();
    assert_eq!(config.server.listen.port(), 9000);
    assert_eq!(config.ssh_port, 2200);
    assert_eq!(config.policy.joining.as_secs(), 420);

    let wrong = variables(&[("PROVISIONING__SERVER__LISTEN", "x"), ("PROVISIONING__SERVER__LISTENN", "y")]);
    let faults = Config::load(&path, wrong).unwrap_err().to_string();
    assert!(faults.contains("environment variable PROVISIONING__SERVER__LISTEN: server.listen: \"x\""), "{faults}");
    let meant = "PROVISIONING__SERVER__LISTENN: sets no key; did you mean PROVISIONING__SERVER__LISTEN?";
    assert!(faults.contains(meant), "{faults}");
}

#[test]
fn every_misspelt_variable_is_named_with_the_one_that_was_meant() {
    let path = golden("good/smallest/provisioning.yaml");
    let wrong = variables(&[
        ("PROVISIONING__SERVRE__LISTEN", "x"),
        ("PROVISIONING__SERVRE__PUBLIC_URL", "y"),
        ("PROVISIONING__NOTIFY__0__URL", "z"),
        ("PROVISIONING__SOMETHING__ELSE", "z"),
    ]);
    let faults = Config::load(&path, wrong).unwrap_err();
    let shown = faults.to_string();
    assert_eq!(faults.0.len(), 4, "{shown}");
    for part in [
        "PROVISIONING__SERVRE__LISTEN: sets no key; did you mean PROVISIONING__SERVER__LISTEN?",
        "PROVISIONING__SERVRE__PUBLIC_URL: sets no key; did you mean PROVISIONING__SERVER__PUBLIC_URL?",
        "PROVISIONING__NOTIFY__0__URL: sets no key: a variable cannot hold the entries of notify",
        "PROVISIONING__SOMETHING__ELSE: sets no key",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
}

#[test]
fn a_variable_may_set_an_entry_below_a_key_and_one_with_single_underscores_is_warned_of() {
    let path = golden("good/everything/provisioning.yaml");
    let set = variables(&[
        ("PROVISIONING__INFRASTRUCTURE__SERVER_TYPE_MAP__MIRROR", "r740"),
        ("PROVISIONING_SERVER_LISTEN", "127.0.0.1:1"),
        ("PROVISIONING_TOKEN", "a token of the command line"),
    ]);
    let config = Config::load(&path, set).unwrap();
    assert_eq!(config.infrastructure.unwrap().server_type_map.len(), 2);
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with("two underscores between its parts, PROVISIONING__SERVER__LISTEN"), "{warnings:?}");
}

#[test]
fn a_secret_may_come_from_a_file_and_a_readable_one_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = golden("good/smallest/provisioning.yaml");
    let secret = dir.path().join("token");
    std::fs::write(&secret, "prov_0123456789abcdef0123456789\n").unwrap();
    let set = variables(&[("PROVISIONING__AUTH__ADMIN_TOKEN_FILE", secret.to_str().unwrap())]);
    for (mode, warnings) in [(0o644, 1), (0o600, 0)] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let config = Config::load(&path, set.clone()).unwrap();
        let AuthConfig::Token { admin: Some(token) } = config.auth else { panic!("no token was read") };
        assert_eq!(token.expose(), "prov_0123456789abcdef0123456789");
        assert_eq!(config.warnings.len(), warnings, "{:?}", config.warnings);
    }
}
