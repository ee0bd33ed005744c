//! What is asked of the database: one statement each, so that each sees one state of it.

use std::collections::BTreeMap;

use provisioning_core::machine::Phase;
use provisioning_core::model::{
    Artefact, HostId, Hostname, Image, ImageId, MacAddr, Operation, OperationId, ServerTypeKey, Timestamp,
};
use provisioning_core::ports::{HostFilter, HostRecord, JournalEntry, JournalQuery, Work};
use rusqlite::{Connection, Params, Row, ToSql, params, params_from_iter};

use super::fault::Fault;
use super::rows::{self, Fields, Known};
use super::schema::AUDITED;

/// Hosts; conditions are put behind it, and the order.
macro_rules! hosts {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, macs, server_type, address, hardware_id, last_ready_at, registered_at, state, revision ",
            "FROM hosts h ",
            $rest
        )
    };
}

const HOST: &str = hosts!("WHERE id = ?1");
const HOST_BY_NAME: &str = hosts!("WHERE name = ?1");
const HOST_BY_MAC: &str = hosts!("WHERE id = (SELECT host FROM host_macs WHERE mac = ?1)");
// Every name comes after the empty one, so the index on names serves both the order and the page.
const HOSTS: &str = hosts!(
    "WHERE name > coalesce(?1, '')
       AND (?2 IS NULL OR phase = ?2)
       AND (?3 IS NULL OR server_type = ?3)
       AND (?4 IS NULL OR instr(name, ?4)
            OR EXISTS (SELECT 1 FROM host_macs n WHERE n.host = h.id AND instr(n.mac, ?4)))
     ORDER BY name LIMIT ?5"
);
/// What a change of a host is checked against; without its state, which need not be read for that.
const KNOWN: &str = "SELECT id, revision, name, macs FROM hosts WHERE id = ?1";
const COUNT_BY_PHASE: &str = "SELECT phase, count(*) AS hosts FROM hosts GROUP BY phase";
const OVERDUE: &str = "SELECT id FROM hosts WHERE deadline <= ?1 ORDER BY deadline, id";
const NEXT_DEADLINE: &str = "SELECT min(deadline) AS deadline FROM hosts WHERE deadline IS NOT NULL";
const OPERATION: &str =
    "SELECT id, host, image, server_type, token, public_key, started_at FROM operations WHERE id = ?1";
const OPERATIONS_OF: &str = "SELECT id, host, image, server_type, token, public_key, started_at FROM operations
    WHERE host = ?1 ORDER BY id DESC";
const IMAGES: &str = "SELECT id, name, release, iso_release, sha256, size_bytes, imported_at FROM images
    ORDER BY imported_at DESC, id DESC";
const IMAGE: &str = "SELECT id, name, release, iso_release, sha256, size_bytes, imported_at FROM images WHERE id = ?1";

pub(super) fn host(db: &Connection, id: HostId) -> Result<Option<HostRecord>, Fault> {
    one(db, HOST, [id.as_bytes()], rows::host)
}

pub(super) fn known(db: &Connection, id: HostId) -> Result<Option<Known>, Fault> {
    one(db, KNOWN, [id.as_bytes()], rows::known)
}

pub(super) fn host_by_name(db: &Connection, name: &Hostname) -> Result<Option<HostRecord>, Fault> {
    one(db, HOST_BY_NAME, [name.as_str()], rows::host)
}

pub(super) fn host_by_mac(db: &Connection, mac: MacAddr) -> Result<Option<HostRecord>, Fault> {
    one(db, HOST_BY_MAC, [mac.to_string()], rows::host)
}

pub(super) fn hosts(db: &Connection, filter: &HostFilter) -> Result<Vec<HostRecord>, Fault> {
    let params = params![
        filter.after.as_ref().map(Hostname::as_str),
        filter.phase.map(Phase::as_str),
        filter.server_type.as_ref().map(ServerTypeKey::as_str),
        filter.text,
        bounded(filter.limit.unwrap_or(usize::MAX)),
    ];
    all(db, HOSTS, params, rows::host)
}

pub(super) fn count_by_phase(db: &Connection) -> Result<BTreeMap<Phase, u64>, Fault> {
    Ok(all(db, COUNT_BY_PHASE, [], rows::phase_count)?.into_iter().collect())
}

pub(super) fn overdue(db: &Connection, at: Timestamp) -> Result<Vec<HostId>, Fault> {
    all(db, OVERDUE, [at.as_millis()], |row| Fields::of("hosts", row).id("id", HostId::from_bytes))
}

pub(super) fn next_deadline(db: &Connection) -> Result<Option<Timestamp>, Fault> {
    Ok(one(db, NEXT_DEADLINE, [], |row| Fields::of("hosts", row).time_if_any("deadline"))?.flatten())
}

pub(super) fn operation(db: &Connection, id: OperationId) -> Result<Option<Operation>, Fault> {
    one(db, OPERATION, [id.as_bytes()], rows::operation)
}

pub(super) fn operations_of(db: &Connection, host: HostId) -> Result<Vec<Operation>, Fault> {
    all(db, OPERATIONS_OF, [host.as_bytes()], rows::operation)
}

pub(super) fn artefacts(db: &Connection, operation: OperationId) -> Result<Vec<Artefact>, Fault> {
    let sql = "SELECT operation, kind, text, at FROM artefacts WHERE operation = ?1";
    let mut found = all(db, sql, [operation.as_bytes()], rows::artefact)?;
    // By the order that the core gives to kinds, not by their words.
    found.sort_by_key(|artefact| artefact.kind);
    Ok(found)
}

pub(super) fn journal(db: &Connection, query: &JournalQuery) -> Result<Vec<JournalEntry>, Fault> {
    let after = i64::try_from(query.after).unwrap_or(i64::MAX);
    let before = query.before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let limit = bounded(query.limit);
    let operation = query.operation.as_ref().map(OperationId::as_bytes);
    let host = query.host.as_ref().map(HostId::as_bytes);
    let mut values: Vec<&dyn ToSql> = vec![&after, &before, &limit];
    values.extend(operation.iter().map(|id| -> &dyn ToSql { id }));
    values.extend(host.iter().map(|id| -> &dyn ToSql { id }));
    all(db, &entries(query), params_from_iter(values), rows::entry)
}

/// A text for each set of filters, so that each is served by its index. Entries of a host or an operation are those that
/// were put in their places, and those of the tail (`places`).
fn entries(query: &JournalQuery) -> String {
    let columns = "SELECT seq, at, host, operation, source, what FROM";
    let filtered = filtered(query);
    let (table, column) = match (query.operation, query.host) {
        (Some(_), _) => ("places_of_operations", "operation"),
        (None, Some(_)) => ("places_of_hosts", "host"),
        (None, None) => return format!("{columns} journal j WHERE j.seq > ?1 AND j.seq < ?2{filtered}"),
    };
    let order = order(query);
    // Each half gives no more than is wanted in all.
    format!(
        "{columns} (
            SELECT * FROM (SELECT j.* FROM {table} p CROSS JOIN journal j ON j.seq = p.seq
                WHERE p.{column} = ?4 AND p.seq > ?1 AND p.seq < ?2{filtered})
            UNION ALL
            SELECT * FROM (SELECT j.* FROM journal j
                WHERE j.seq > max(?1, (SELECT seq FROM placed WHERE row = 1)) AND j.seq < ?2{filtered})
        ) j{order}"
    )
}

/// What is asked of an entry beside its place, and how many are wanted.
fn filtered(query: &JournalQuery) -> String {
    let mut sql = String::new();
    if query.operation.is_some() {
        sql.push_str(" AND j.operation = ?4");
    }
    match (query.host, query.operation) {
        (Some(_), Some(_)) => sql.push_str(" AND j.host = ?5"),
        (Some(_), None) => sql.push_str(" AND j.host = ?4"),
        (None, _) => {}
    }
    if query.audit {
        sql.push_str(" AND ");
        sql.push_str(AUDITED);
    }
    sql + order(query)
}

fn order(query: &JournalQuery) -> &'static str {
    if query.latest_first { " ORDER BY j.seq DESC LIMIT ?3" } else { " ORDER BY j.seq LIMIT ?3" }
}

pub(super) fn last_seq(db: &Connection) -> Result<u64, Fault> {
    let seq: i64 = db.prepare_cached("SELECT coalesce(max(seq), 0) FROM journal")?.query_one([], |row| row.get(0))?;
    Ok(u64::try_from(seq).unwrap_or(0))
}

pub(super) fn work(db: &Connection) -> Result<Vec<Work>, Fault> {
    let sql = "SELECT operation, kind, host, due, attempts, last_error FROM outbox";
    let mut work = all(db, sql, [], rows::work)?;
    work.sort_by_key(|work| (work.due, work.id));
    Ok(work)
}

pub(super) fn images(db: &Connection) -> Result<Vec<Image>, Fault> {
    all(db, IMAGES, [], rows::image)
}

pub(super) fn default_image(db: &Connection) -> Result<Option<ImageId>, Fault> {
    one(db, "SELECT id FROM default_image", [], |row| Fields::of("default_image", row).id("id", ImageId::from_bytes))
}

pub(super) fn image(db: &Connection, id: ImageId) -> Result<Option<Image>, Fault> {
    one(db, IMAGE, [id.as_bytes()], rows::image)
}

/// An operation's sealed key.
pub(super) struct SealedRow {
    pub(super) nonce: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
}

pub(super) fn sealed_key(db: &Connection, operation: OperationId) -> Result<Option<SealedRow>, Fault> {
    let sql = "SELECT operation, nonce, ciphertext FROM sealed_keys WHERE operation = ?1";
    one(db, sql, [operation.as_bytes()], |row| {
        let fields = Fields::behind_key("sealed_keys", row);
        Ok(SealedRow { nonce: fields.plain("nonce")?, ciphertext: fields.plain("ciphertext")? })
    })
}

pub(super) fn sealed_operations(db: &Connection) -> Result<Vec<OperationId>, Fault> {
    let sql = "SELECT operation FROM sealed_keys ORDER BY operation";
    all(db, sql, [], |row| Fields::of("sealed_keys", row).id("operation", OperationId::from_bytes))
}

/// The first row, read by `read`.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::connect;

    fn plan(db: &Connection, sql: &str) -> Vec<String> {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        statement.raw_query().mapped(|row| row.get(3)).collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn hosts_come_in_order_without_being_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let db = connect::writer(&dir.path().join("test.db")).unwrap();
        let plan = plan(&db, HOSTS);
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }

    #[test]
    fn what_is_asked_often_walks_through_no_table() {
        let dir = tempfile::tempdir().unwrap();
        let db = connect::writer(&dir.path().join("test.db")).unwrap();
        let hosts = [HOST, HOST_BY_MAC, HOST_BY_NAME, HOSTS, KNOWN];
        let others = [OPERATION, OPERATIONS_OF, OVERDUE, NEXT_DEADLINE];
        let host = HostId::from_bytes([1; 16]);
        let of_operation = JournalQuery::of_operation(OperationId::from_bytes([1; 16]), 9);
        let queries = [
            JournalQuery::after(0, 9),
            JournalQuery::of_host(host, 9),
            JournalQuery { host: Some(host), ..of_operation.clone() },
            of_operation,
            JournalQuery { latest_first: true, ..JournalQuery::of_host(host, 9) },
            JournalQuery::audit(9),
        ];
        let fixed = hosts.into_iter().chain(others).map(str::to_owned);
        let asked_often = fixed.chain(queries.iter().map(entries));
        for sql in asked_often {
            let plan = plan(&db, &sql);
            // What a part of the query has found may be walked through.
            let walks = |step: &String| step.starts_with("SCAN") && !step.starts_with("SCAN (subquery");
            assert!(!plan.is_empty() && !plan.iter().any(walks), "{sql}: {plan:?}");
        }
        let plan = plan(&db, &entries(&JournalQuery::audit(9)));
        assert!(plan[0].contains("journal_of_operators"), "{plan:?}");
    }
}
