//! Durable transitions in SQLite (`synchronous=FULL`): one caller and many, beside raw `fdatasync` on the same disk, and
//! beside SQLite itself without anything of ours.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use benches::report::{Budget, Report, Row};
use benches::{Effort, median};
use provisioning_adapters::sqlite::SqliteStore;
use provisioning_core::conformance::sample;
use provisioning_core::machine::{EventKind, HostState, Phase};
use provisioning_core::model::{Host, HostId, MacAddr, Timestamp};
use provisioning_core::ports::{Change, Happening, NewEntry, Revision, Source, Store as _};
use rusqlite::{Connection, TransactionBehavior, params};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let dir = tempfile::tempdir()?;
    let mut report = Report::new("sqlite_commit", effort);
    for (callers, budget) in [(1, 0.8), (16, 0.0), (64, 0.0), (256, 30.0)] {
        let (mut ours, mut floor, mut bare) = (vec![], vec![], vec![]);
        for round in 0..effort.rounds {
            floor.push(fdatasyncs(&dir.path().join("floor"), effort)?);
            let database = dir.path().join(format!("{callers}-{round}.sqlite"));
            ours.push(transitions(&database, callers, effort).await?);
            bare.push(updates(&dir.path().join(format!("bare-{callers}-{round}.sqlite")), callers, effort)?);
        }
        let what = format!("transitions, callers: {callers}");
        let ours = median(ours);
        report.add(Row {
            what: what.clone(),
            unit: "1/s",
            ours,
            beside: "SQLite alone, as many to a commit".to_owned(),
            theirs: median(bare),
            budget: Budget::None,
        });
        report.add(Row {
            what,
            unit: "1/s",
            ours,
            beside: "append of 4 KiB and fdatasync".to_owned(),
            theirs: median(floor),
            budget: if budget > 0.0 { Budget::AtLeast(budget) } else { Budget::None },
        });
    }
    report.finish()
}

/// What the disk can do: 4 KiB appended and made durable, one after the other.
fn fdatasyncs(path: &Path, effort: Effort) -> anyhow::Result<f64> {
    let mut file = File::create(path)?;
    let begin = Instant::now();
    let mut done = 0_u32;
    while begin.elapsed() < effort.period {
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        done += 1;
    }
    Ok(f64::from(done) / begin.elapsed().as_secs_f64())
}

/// The least that a database can do for a transition: one row updated by its id, and one entry added, by one thread
/// that does nothing else, `at_once` of them to a commit.
fn updates(database: &Path, at_once: u32, effort: Effort) -> anyhow::Result<f64> {
    let mut connection = Connection::open(database)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    for (name, value) in [("synchronous", "full"), ("secure_delete", "on")] {
        connection.pragma_update(None, name, value)?;
    }
    connection.execute_batch(
        "CREATE TABLE hosts (id BLOB PRIMARY KEY, state TEXT NOT NULL, revision INTEGER NOT NULL);
         CREATE TABLE journal (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, host BLOB, what TEXT NOT NULL);",
    )?;
    let ids: Vec<[u8; 16]> = (0..at_once).map(|n| Ok(*host(n)?.id.as_bytes())).collect::<anyhow::Result<_>>()?;
    for id in &ids {
        connection.execute("INSERT INTO hosts VALUES (?1, 'registered', 1)", [id])?;
    }
    let what = serde_json::to_string(&moved(host(0)?.id).what)?;
    let begin = Instant::now();
    let mut done = 0_u32;
    while begin.elapsed() < effort.period {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for id in &ids {
            tx.prepare_cached("UPDATE hosts SET state = ?2, revision = revision + 1 WHERE id = ?1")?
                .execute(params![id, "{\"state\":\"registered\"}"])?;
            tx.prepare_cached("INSERT INTO journal (at, host, what) VALUES (?1, ?2, ?3)")?
                .execute(params![1, id, what])?;
        }
        tx.commit()?;
        done += at_once;
    }
    Ok(f64::from(done) / begin.elapsed().as_secs_f64())
}

/// Changes of hosts' rows by `callers` tasks, each of which waits until its change is durable.
async fn transitions(database: &Path, callers: u32, effort: Effort) -> anyhow::Result<f64> {
    let store = Arc::new(SqliteStore::open(database)?);
    for n in 0..callers {
        store.commit(Change::to(host(n)?, HostState::Registered, None)).await?;
    }
    let begin = Instant::now();
    let until = begin + effort.period;
    let tasks: Vec<_> = (0..callers)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let host = host(n)?;
                let mut revision = 1;
                while Instant::now() < until {
                    let mut change = Change::to(host.clone(), HostState::Registered, Some(Revision(revision)));
                    change.journal = vec![moved(host.id)];
                    store.commit(change).await?;
                    revision += 1;
                }
                anyhow::Ok(revision - 1)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    let done = done as f64;
    Ok(done / begin.elapsed().as_secs_f64())
}

fn host(n: u32) -> anyhow::Result<Host> {
    let bytes = n.to_be_bytes();
    let sample = sample::host(2).map_err(anyhow::Error::from_boxed)?;
    Ok(Host {
        id: HostId::new(Timestamp::from_millis(0), [1, 0, 0, 0, 0, 0, bytes[0], bytes[1], bytes[2], bytes[3]]),
        name: format!("node-{n}").parse()?,
        macs: vec![MacAddr::new([0x52, 0x54, bytes[0], bytes[1], bytes[2], bytes[3]])?],
        ..sample
    })
}

fn moved(host: HostId) -> NewEntry {
    let event = EventKind::BootScriptFetched;
    let what = Happening::Moved { event, from: Phase::PxeReady, to: Phase::PxeBooted };
    NewEntry { at: sample::at(1), host: Some(host), operation: None, source: Source::Firmware, what }
}
