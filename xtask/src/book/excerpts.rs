//! Excerpts of the configuration: each is put into a small whole one, which `check-config` then reads.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::pages::{CONFIG_FILES, Fence, Page, Treatment};
use crate::shell::Shell;

/// A crypt hash of the right form, of no password.
fn password_hash() -> String {
    format!("$6$0123456789abcdef${}", "x".repeat(86))
}

/// The files that excerpts name, with contents that are worth nothing.
pub(super) fn write_secrets(folder: &Path) -> anyhow::Result<()> {
    let hash = password_hash();
    let files = [
        ("join-password", "simulated-cluster"),
        ("api-token", "provisioning@pve!join=01234567-89ab-cdef-0123-456789abcdef"),
        ("admin-token", "prov_book-0123456789abcdef0123456789abcdef"),
        ("chat.secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"),
        ("root-password-hash", &hash),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
        ("inventory-token", "0123456789abcdef"),
    ];
    for (name, text) in files {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(folder.join(name))?;
        writeln!(file, "{text}")?;
    }
    Ok(())
}

/// Which whole file a block is: its first line is a comment with the file's name.
fn whole(fence: &Fence) -> Option<&'static str> {
    CONFIG_FILES.into_iter().find(|file| fence.file_name() == Some(*file))
}

/// Writes a block that is a whole file into `folder`.
pub(super) fn write_whole(fence: &Fence, folder: &Path) -> anyhow::Result<()> {
    if let Some(name) = whole(fence) {
        fs::write(folder.join(name), &fence.body)?;
    }
    Ok(())
}

/// Writes the whole files of a page.
pub(super) fn write_whole_files(page: &Page, folder: &Path) -> anyhow::Result<()> {
    let configs = page.fences.iter().filter(|fence| fence.treatment() == Ok(Treatment::Config));
    configs.into_iter().try_for_each(|fence| write_whole(fence, folder))
}

/// What `check-config` says against the excerpts of the pages, and what is no YAML or JSON at all.
pub(super) fn faults(shell: &Shell, folder: &Path, pages: &[&Page]) -> anyhow::Result<Vec<String>> {
    let folder = folder.join("excerpts");
    let mut found = Vec::new();
    for page in pages {
        for fence in &page.fences {
            let fault = match fence.treatment() {
                Ok(Treatment::Config) => config_fault(shell, &folder, fence)?,
                Ok(Treatment::Yaml) => yaml(&fence.body).err(),
                Ok(Treatment::Json) => serde_json::from_str::<Value>(&fence.body).err().map(|error| error.to_string()),
                _ => None,
            };
            found.extend(fault.map(|fault| format!("{}:{}: {fault}", page.name, fence.line)));
        }
    }
    Ok(found)
}

fn yaml(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

fn config_fault(shell: &Shell, folder: &Path, fence: &Fence) -> anyhow::Result<Option<String>> {
    let mut excerpt = match yaml(&fence.body) {
        Ok(excerpt) => excerpt,
        Err(fault) => return Ok(Some(fault)),
    };
    fs::remove_dir_all(folder).ok();
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    write_secrets(folder)?;
    let mut config = json!({
        "server": {"public_url": "http://10.0.0.2:8080"},
        "credentials": {"root_password_hash": password_hash()},
    });
    let mut types = json!({"server_types": {"mini": {"boot_disk": "sda"}}});
    write_out(&mut excerpt);
    if excerpt.get("server_types").is_some() {
        types = excerpt;
    } else {
        merge(&mut config, &excerpt);
    }
    // YAML is a superset of JSON.
    fs::write(folder.join(CONFIG_FILES[0]), config.to_string())?;
    fs::write(folder.join(CONFIG_FILES[1]), types.to_string())?;
    let mut command = Command::new(shell.target().join("debug/provisioning"));
    command
        .args(["check-config", "--config"])
        .arg(folder.join(CONFIG_FILES[0]))
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = command.output().context("provisioning could not be started; build it first")?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success()).then(|| said.trim().replace('\n', "; ")))
}

/// Puts whole values in the place of the two that are too long to be shown in a line, which `…` cuts off there.
fn write_out(excerpt: &mut Value) {
    let whole =
        [("/proxmox/join_fingerprint", ["AB"; 32].join(":")), ("/credentials/root_password_hash", password_hash())];
    for (place, value) in whole {
        if let Some(shown) = excerpt.pointer_mut(place).filter(|shown| shown.as_str().is_some_and(|s| s.ends_with('…')))
        {
            *shown = Value::String(value);
        }
    }
}

/// Lays `over` on `base`, key by key. A secret's file takes the place of the secret itself.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                let twin = key.strip_suffix("_file").map_or_else(|| format!("{key}_file"), str::to_owned);
                base.remove(&twin);
                merge(base.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_laid_over_a_whole_configuration() {
        let mut base = json!({"a": {"b": 1, "secret": "x"}, "c": 2});
        merge(&mut base, &json!({"a": {"secret_file": "y"}, "d": [3]}));
        assert_eq!(base, json!({"a": {"b": 1, "secret_file": "y"}, "c": 2, "d": [3]}));
    }

    #[test]
    fn what_is_cut_off_is_written_out() {
        let mut excerpt = json!({"proxmox": {"join_fingerprint": "AA:BB:…", "domain": "lab…"}});
        write_out(&mut excerpt);
        assert_eq!(excerpt["proxmox"]["join_fingerprint"].as_str().map(str::len), Some(95));
        assert_eq!(excerpt["proxmox"]["domain"], "lab…", "nothing else is cut off");
    }

    #[test]
    fn a_block_that_begins_with_a_files_name_is_that_file() {
        let fence = |body: &str| Fence { line: 1, info: "yaml".into(), body: body.into() };
        assert_eq!(whole(&fence("# provisioning.yaml\na: 1\n")), Some("provisioning.yaml"));
        assert_eq!(whole(&fence("# server-types.yaml: what is wiped\n")), Some("server-types.yaml"));
        assert_eq!(whole(&fence("pxe:\n  enabled: true\n")), None);
    }
}
