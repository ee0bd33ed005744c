//! Dropping what is old. The file does not shrink by it: its pages are used again.

use provisioning_core::ports::{Prune, Pruned};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fault::Fault;
use super::places;
use super::writes::number;

/// Ids sort by the time they were made, so the greatest of a host is its last.
const LAST_OPERATIONS: &str = "SELECT max(id) FROM operations GROUP BY host";

pub(super) fn prune(tx: &Connection, prune: &Prune) -> Result<Pruned, Fault> {
    let mut pruned = Pruned::default();
    if let Some(before) = prune.journal_before {
        pruned.entries = entries(tx, before.as_millis(), number(prune.at_most)?)?;
    }
    if let Some(before) = prune.artefacts_before {
        let sql = format!(
            "DELETE FROM artefacts WHERE rowid IN (SELECT rowid FROM artefacts
                WHERE at < ?1 AND operation NOT IN ({LAST_OPERATIONS}) LIMIT ?2)"
        );
        pruned.artefacts = tx.prepare_cached(&sql)?.execute(params![before.as_millis(), number(prune.at_most)?])?;
    }
    Ok(pruned)
}

fn entries(tx: &Connection, before: i64, at_most: i64) -> Result<usize, Fault> {
    // The first young entry ends it, so that the rest of the journal is not looked through; the last one always stays.
    let young = "SELECT seq FROM journal WHERE at >= ?1 ORDER BY seq LIMIT 1";
    let young: Option<i64> = tx.prepare_cached(young)?.query_row([before], |row| row.get(0)).optional()?;
    let last: Option<i64> = tx.query_row("SELECT max(seq) FROM journal", [], |row| row.get(0))?;
    let Some(end) = young.or(last) else { return Ok(0) };
    let old = format!(
        "SELECT seq FROM journal WHERE seq < ?1 AND (operation IS NULL OR operation NOT IN ({LAST_OPERATIONS}))
            ORDER BY seq LIMIT ?2"
    );
    let bounds = "SELECT count(*), max(seq) FROM";
    let (count, to): (i64, Option<i64>) = tx
        .prepare_cached(&format!("{bounds} ({old})"))?
        .query_row([end, at_most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(to) = to else { return Ok(0) };
    places::forget(tx, &old, [end, at_most])?;
    tx.prepare_cached(&format!("DELETE FROM journal WHERE seq IN ({old})"))?.execute([end, at_most])?;
    let sql =
        "INSERT INTO pruned (row, seq) VALUES (1, ?1) ON CONFLICT (row) DO UPDATE SET seq = max(seq, excluded.seq)";
    tx.prepare_cached(sql)?.execute([to])?;
    Ok(usize::try_from(count).unwrap_or(0))
}

pub(super) fn pruned_to(db: &Connection) -> Result<u64, Fault> {
    let seq: Option<i64> = db.prepare_cached("SELECT seq FROM pruned")?.query_row([], |row| row.get(0)).optional()?;
    Ok(seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}
