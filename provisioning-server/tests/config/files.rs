//! What is made from the table of keys is the table's word for word, and means what it says.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p provisioning-server --test config` writes the files anew.

use std::fs;
use std::path::{Path, PathBuf};

use provisioning_server::config::{Config, Document, Shown, example, reference, schema};
use serde_json::{Value, json};

use super::golden;

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Compares a file of the repository with what it should hold, or writes that.
#[track_caller]
fn check(path: &str, expected: &str) {
    let file = in_repository(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is not what the table of keys makes; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn examples_and_reference_are_made_from_the_table_of_keys() {
    check("deploy/provisioning.example.yaml", &example(Document::Main));
    check("deploy/server-types.example.yaml", &example(Document::ServerTypes));
    check("docs/configuration.md", &reference());
}

/// A file with the comment signs of keys taken away, but for those that begin with one of `kept`.
fn uncommented(text: &str, kept: &[&str]) -> String {
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        match line[indent..].strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !kept.iter().any(|kept| key.trim_start().starts_with(kept)) => {
                format!("{}{key}\n", &line[..indent])
            }
            // The second and further keys of a list's entry.
            Some(key) if key.starts_with("  ") && !kept.iter().any(|kept| key.trim_start().starts_with(kept)) => {
                format!("{}{key}\n", &line[..indent])
            }
            _ => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

/// The secrets and certificates that the examples name.
fn write_named_files(dir: &Path) {
    let phc = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$SqlVijFGiPG+935vDSGEsA6IHd5kGeAx8Rnzh2BPSgs";
    let hash = format!("$6$0123456789abcdef${}", "x".repeat(86));
    fs::create_dir(dir.join("secrets")).unwrap();
    for (name, text) in [
        ("secrets/root-password-hash", hash.as_str()),
        ("admin-token", "0123456789abcdef0123456789abcdef"),
        ("dashboard-password-hash", phc),
        ("dashboard-password", "correct horse"),
        ("join-password", "hunter2"),
        ("api-token", "provisioning@pve!join=6f1c7a52-1111-4000-8000-93d1a2b3c4d5"),
        ("inventory-token", "s3cret"),
        ("inventory-ca.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("chat-url", "https://chat.lab.example/hooks/1"),
        ("chat-secret", "s3cret-s3cret-s3cret"),
        ("chat-ca.pem", "-----BEGIN CERTIFICATE-----\n"),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
}

fn load(dir: &Path, main: &str, types: &str) -> Result<Config, String> {
    fs::write(dir.join("provisioning.yaml"), main).unwrap();
    fs::write(dir.join("server-types.yaml"), types).unwrap();
    Config::load(&dir.join("provisioning.yaml"), []).map_err(|faults| faults.to_string())
}

#[test]
fn the_examples_are_in_order_as_soon_as_their_one_secret_is_there() {
    let dir = tempfile::tempdir().unwrap();
    write_named_files(dir.path());
    let config = load(dir.path(), &example(Document::Main), &example(Document::ServerTypes)).unwrap();
    assert_eq!(config.server_types.len(), 1);
    assert!(!config.pxe.enabled && config.site.cluster.is_none());
}

#[test]
fn every_commented_key_is_in_order_when_its_sign_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    write_named_files(dir.path());
    let types = example(Document::ServerTypes);
    let main = example(Document::Main).replace("enabled: false", "enabled: true").replace("\"\"", "10.0.0.10");
    // These exclude others; they have their turn below.
    let http = ["self_signed", "cert:", "key:", "password_file"];
    let config = load(dir.path(), &uncommented(&main, &http), &types).unwrap();
    assert_eq!(config.notify.len(), 1);
    assert_eq!(config.policy.joining.as_secs(), 1800);

    let https = main.replace("public_url: http:", "public_url: https:");
    let files = ["self_signed", "tls_fingerprint", "password_hash"];
    let config = load(dir.path(), &uncommented(&https, &files), &types).unwrap();
    assert!(config.server.tls.is_some() && config.logins.password.is_some());

    // One disk, several, or a filter; one filesystem's options.
    for (without, kept) in [
        ("    boot_disk: nvme0n1\n", ["disk_filter", "filter_match", "hdsize: 200\n", "filesystem"]),
        ("    boot_disk: nvme0n1\n", ["disk_list", "-", "-", "-"]),
    ] {
        let own = "filesystem: zfs";
        let types = uncommented(&types.replace(without, ""), &kept).replace("#filesystem: zfs", own);
        let (zfs, lvm) = (types.find("    # Options of zfs").unwrap(), types.find("    # Options of ext4").unwrap());
        let btrfs = types.find("    # Options of btrfs").unwrap();
        let zfs_only = format!("{}{}", &types[..lvm], &types[zfs..btrfs]);
        load(dir.path(), &example(Document::Main), &zfs_only).unwrap();
        let btrfs_only = format!("{}{}", &types[..lvm], &types[btrfs..]).replace(own, "filesystem: btrfs");
        load(dir.path(), &example(Document::Main), &btrfs_only).unwrap();
    }
    let (lvm, zfs) = (types.find("    # Options of ext4").unwrap(), types.find("    # Options of zfs").unwrap());
    let lvm_only = format!("{}{}", &types[..lvm], uncommented(&types[lvm..zfs], &[]));
    load(dir.path(), &example(Document::Main), &lvm_only).unwrap();
}

fn as_json(path: &Path) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true, leading_zero_numbers_as_strings: true };
    serde_saphyr::from_str_with_options(&fs::read_to_string(path).unwrap(), options).unwrap()
}

#[test]
fn every_good_file_fits_its_schema() {
    for (document, name) in [(Document::Main, "provisioning.yaml"), (Document::ServerTypes, "server-types.yaml")] {
        let schema = schema(document);
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let mut files: Vec<PathBuf> =
            fs::read_dir(golden("good")).unwrap().map(|case| case.unwrap().path().join(name)).collect();
        files.push(in_repository(&format!("deploy/{}", name.replace(".yaml", ".example.yaml"))));
        assert!(files.len() > 3);
        for file in files {
            let value = as_json(&file);
            let errors: Vec<String> =
                validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert_eq!(errors, Vec::<String>::new(), "{}", file.display());
        }
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::draft202012::new(&schema(Document::Main)).unwrap();
    let base =
        json!({ "server": { "public_url": "http://10.0.0.2:8080" }, "credentials": { "root_password_hash": "x" } });
    assert!(validator.is_valid(&base));
    for (pointer, key, value) in [
        ("", "serverr", json!({})),
        ("/server", "publik_url", json!("http://10.0.0.2:8080")),
        ("/server", "public_url", json!("10.0.0.2")),
        ("/server", "listen", json!("everywhere")),
        ("/credentials", "root_password_hash_file", json!("beside the other")),
        ("", "pxe", json!({ "mode": "sideways" })),
        ("", "pxe", json!({ "enabled": "maybe" })),
        ("", "timeouts", json!({ "installing": 20 })),
        ("", "timeouts", json!({ "installing": "20" })),
        ("", "proxmox", json!({ "ssh_port": 0 })),
        ("", "proxmox", json!({ "keyboard": "us" })),
        ("", "notify", json!([{ "url": "https://a.example", "secret": "0123456789abcdef", "events": ["reddy"] }])),
        ("", "notify", json!([{ "url": "https://a.example", "events": ["ready"] }])),
    ] {
        let mut wrong = base.clone();
        wrong.pointer_mut(pointer).unwrap()[key] = value;
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
    let types = jsonschema::draft202012::new(&schema(Document::ServerTypes)).unwrap();
    assert!(types.is_valid(&json!({ "server_types": { "lab": { "boot_disk": "sda" } } })));
    for wrong in [
        json!({}),
        json!({ "server_types": {} }),
        json!({ "server_types": { "Lab One": { "boot_disk": "sda" } } }),
        json!({ "server_types": { "lab": { "display_name": "no disk" } } }),
        json!({ "server_types": { "lab": { "boot_disk": "sda", "disk_list": ["sdb"] } } }),
        json!({ "server_types": { "lab": { "boot_disk": "sda", "zfs": { "ashift": 99, "raid": "raid0" } } } }),
    ] {
        assert!(!types.is_valid(&wrong), "{wrong}");
    }
}

/// The names of a schema's keys, and their defaults.
fn keys_of(schema: &Value, above: &str, found: &mut Vec<(String, Option<Value>)>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, value) in properties {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if value.get("properties").is_some() {
            keys_of(value, &key, found);
        } else {
            found.push((key, value.get("default").cloned()));
        }
    }
}

#[test]
fn what_is_in_force_names_every_key_with_the_default_that_the_table_has() {
    let mut keys = vec![];
    keys_of(&schema(Document::Main), "", &mut keys);
    let shown = |case: &str| Config::load(&golden(case), []).unwrap().settings();
    let (all, smallest) = (shown("good/everything/provisioning.yaml"), shown("good/smallest/provisioning.yaml"));
    let tls = shown("good/tls/provisioning.yaml");
    for (key, default) in keys {
        // A secret's file is shown as where the secret is from; entries of lists and of maps have names of their own.
        if key.ends_with("_file") && key != "server_types_file" && key != "infrastructure.ca_file"
            || ["notify", "infrastructure.headers", "infrastructure.server_type_map"].contains(&key.as_str())
        {
            continue;
        }
        let is_shown = all.iter().chain(&tls).any(|setting| setting.key == key);
        // These are about how another is read, and nothing of their own is in force.
        let is_said_by_others = ["auth.i_know_this_is_open", "server.tls.self_signed"].contains(&key.as_str());
        assert!(is_shown || is_said_by_others, "{key} is not shown");
        let in_force = smallest.iter().find(|setting| setting.key == key).map(|setting| &setting.value);
        if let (Some(default), Some(Shown::Value(value))) = (default, in_force) {
            let default = default.as_str().map_or_else(|| default.to_string(), ToOwned::to_owned);
            let time = |text: &str| text.parse::<jiff::SignedDuration>().ok();
            let same_time = time(&default).is_some() && time(&default) == time(value);
            let same = *value == default || value.ends_with(&format!("/{default}")) || same_time;
            assert!(same, "{key}: {value}, not {default}");
        }
    }
}
