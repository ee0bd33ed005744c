//! Which entries of the journal are about a host, and which belong to an operation.
//!
//! An index that is kept with each entry would write a page for each, since hosts lie apart in it: that was most of
//! what a commit wrote. So entries are put into it many at a time, in its order, where neighbours share pages. What
//! came since, the journal's tail, is looked through by whoever asks (`reads::journal`).

use rusqlite::Connection;

use super::fault::Fault;

/// How long the tail may become before it is put in its places. A look through so many takes half a millisecond.
const TAIL_MAX: i64 = 2048;

/// Puts the tail in its places if it has become long. To be called at the end of each transaction.
pub(super) fn keep_up(tx: &Connection) -> rusqlite::Result<()> {
    let tail = "SELECT coalesce(max(seq), 0) - (SELECT seq FROM placed) FROM journal";
    let tail: i64 = tx.prepare_cached(tail)?.query_one([], |row| row.get(0))?;
    if tail < TAIL_MAX {
        return Ok(());
    }
    for (table, column) in TABLES {
        let sql = format!(
            "INSERT INTO {table} ({column}, seq) SELECT {column}, seq FROM journal
                WHERE seq > (SELECT seq FROM placed) AND {column} IS NOT NULL ORDER BY {column}, seq"
        );
        tx.prepare_cached(&sql)?.execute([])?;
    }
    tx.prepare_cached("UPDATE placed SET seq = (SELECT max(seq) FROM journal)")?.execute([])?;
    Ok(())
}

/// The tables, and the column of the journal that each finds entries by.
const TABLES: [(&str, &str); 2] = [("places_of_hosts", "host"), ("places_of_operations", "operation")];

/// Forgets the places of the entries that `chosen` selects, while they are still in the journal.
pub(super) fn forget(tx: &Connection, chosen: &str, params: [i64; 2]) -> Result<(), Fault> {
    for (table, column) in TABLES {
        let sql = format!(
            "DELETE FROM {table} WHERE ({column}, seq) IN
                (SELECT {column}, seq FROM journal WHERE {column} IS NOT NULL AND seq IN ({chosen}))"
        );
        tx.prepare_cached(&sql)?.execute(params)?;
    }
    Ok(())
}
