//! From a server to a backup and back, with hosts in every phase.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use provisioning_core::conformance::Checked;
use provisioning_core::conformance::sample::{entry, host, operation, provisioning};
use provisioning_core::machine::{FailureReason, HostState, JoinStep, Leg, Phase, WorkKind};
use provisioning_core::model::{OperationId, Secret};
use provisioning_core::ports::{Change, HostFilter, Store, Vault, Work, WorkId};

use super::site::{Site, program, text};

const LEGS: [Leg; 8] = [
    Leg::PxeReady,
    Leg::PxeBooted,
    Leg::Installing,
    Leg::Installed,
    Leg::FirstBoot,
    Leg::Joining(JoinStep::Join),
    Leg::Joining(JoinStep::RevokeKey),
    Leg::Joining(JoinStep::Register),
];

/// The operation's sealed key in clear, which must be nowhere.
fn key_of(n: u8) -> Secret<String> {
    Secret::new(format!("-----BEGIN OPENSSH PRIVATE KEY----- number {n} {}", "Qx7z".repeat(60)))
}

/// A host in each leg, with its operation and key; one that is registered and one that is ready.
async fn filled(site: &Site) -> Checked {
    let store = site.store();
    let vault = store.vault(site.key());
    let image = store.images().await?.remove(0).id;
    for (n, leg) in (1..).zip(LEGS) {
        let id = operation(n, n, 1)?.id;
        let mut change = Change::to(host(n)?, provisioning(n, leg, None)?, None);
        change.operation = Some(provisioning_core::model::Operation { image, ..operation(n, n, 1)? });
        change.journal = vec![entry(Some(n), Some(n), "on its way")];
        change.owe = vec![Work {
            id: WorkId { operation: id, kind: WorkKind::Join },
            host: change.host.id,
            due: provisioning_core::conformance::sample::at(1),
            attempts: 0,
            last_error: None,
        }];
        store.commit(change).await?;
        vault.store(id, &key_of(n)).await?;
    }
    store.commit(Change::to(host(20)?, HostState::Registered, None)).await?;
    let by = OperationId::from_bytes([9; 16]);
    let ready = HostState::Ready { by, since: provisioning_core::conformance::sample::at(7) };
    store.commit(Change::to(host(21)?, ready, None)).await?;
    Ok(())
}

#[tokio::test]
async fn what_was_backed_up_comes_back_and_what_ran_has_ended_with_a_reason() -> Checked {
    let site = Site::new();
    filled(&site).await?;
    site.succeeds(&["token", "create", "kept", "--json"]);
    let tokens = fs::read(site.data("tokens.json"))?;
    let said = site.succeeds(&["backup", "b.backup"]);
    assert!(said.contains("without keys and ISOs"), "{said}");
    let file = site.dir.path().join("b.backup");
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&file)?;
    let sealing = fs::read(site.data("vault.key"))?;
    for n in 1..=8 {
        let key = key_of(n);
        let sealed: Vec<u8> = site.raw().query_row(
            "SELECT ciphertext FROM sealed_keys WHERE operation = ?1",
            [operation(n, n, 1)?.id.as_bytes()],
            |row| row.get(0),
        )?;
        for secret in [key.expose().as_bytes(), &sealed, &sealing] {
            let is_there = secret.chunks_exact(16).any(|part| bytes.windows(16).any(|window| window == part));
            assert!(!is_there, "key {n} is not in the backup");
        }
    }

    // A fresh machine: nothing but the configuration and the backup.
    fs::rename(site.dir.path().join("data"), site.dir.path().join("lost"))?;
    let said = site.succeeds(&["restore", "b.backup", "--yes"]);
    assert!(said.contains("import its ISO again: proxmox-ve_9.2-1 (sha256 "), "{said}");
    assert!(said.contains("pve-001 was being provisioned and has failed"), "{said}");
    assert_eq!(fs::read(site.data("tokens.json"))?, tokens);
    let store = site.store();
    let hosts = store.hosts(&HostFilter::default()).await?;
    assert_eq!(hosts.len(), 10);
    for record in hosts {
        match record.state {
            HostState::Failed { why, resumable_until, .. } => {
                assert_eq!((why, resumable_until), (FailureReason::Restored, None), "{}", record.host.name);
            }
            state => assert!(["pve-020", "pve-021"].contains(&record.host.name.as_str()), "{state:?}"),
        }
    }
    assert_eq!(store.count_by_phase().await?[&Phase::Failed], 8);
    assert_eq!(store.vault(site.key()).held().await?, []);
    drop(store);

    // The ISO goes back to its place, and the doctor is content.
    site.succeeds(&["image", "import", "small.iso"]);
    let (faults, code) = site.doctor(&[]);
    assert!(faults.is_empty() && code == 0, "{faults:?}");
    assert!(site.succeeds(&["host", "list"]).contains("pve-008"));
    Ok(())
}

#[tokio::test]
async fn a_restore_names_what_is_lost_and_keeps_it_aside() -> Checked {
    let site = Site::new();
    site.succeeds(&["backup", "b.backup"]);
    site.succeeds(&["host", "add", "later", "--mac", "52:54:00:00:00:01", "--server-type", "lab"]);
    let asked = program(site.dir.path(), &["restore", "b.backup"]).stdin(Stdio::null()).output()?;
    assert_eq!(asked.status.code(), Some(7), "{}", text(&asked));
    assert!(site.succeeds(&["host", "list"]).contains("later"), "nothing was done");
    let said = site.succeeds(&["restore", "b.backup", "--yes"]);
    assert!(said.contains("before-restore-"), "{said}");
    assert!(!site.succeeds(&["host", "list"]).contains("later"));
    let kept: Vec<_> = fs::read_dir(site.dir.path().join("data"))?
        .filter_map(Result::ok)
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("provisioning.db."))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let names: i64 =
        rusqlite::Connection::open(site.data(&kept[0]))?
            .query_row("SELECT count(*) FROM hosts", [], |row| row.get(0))?;
    assert_eq!(names, 1, "the host that came later is in what was kept");
    Ok(())
}

#[test]
fn a_backup_is_made_beside_a_server_and_a_restore_waits_for_its_end() {
    let site = Site::new();
    site.succeeds(&["backup", "old.backup"]);
    let held = provisioning_server::data_dir::DataDir::open(&site.data("")).unwrap();
    site.succeeds(&["backup", "b.backup"]);
    let refused = site.run(&["restore", "old.backup", "--yes"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused).contains("stop it first"), "{}", text(&refused));
    let again = site.run(&["backup", "b.backup"]);
    assert!(again.status.code() == Some(3) && text(&again).contains("--force"), "{}", text(&again));
    site.succeeds(&["backup", "b.backup", "--force", "--json"]);
    drop(held);
    let iso = site.run(&["restore", "small.iso", "--yes"]);
    assert!(iso.status.code() == Some(3) && text(&iso).contains("is no backup"), "{}", text(&iso));
}
