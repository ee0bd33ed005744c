//! Discovered machines: rows that come and go by themselves, so that everything about them stands together.

use provisioning_core::model::MacAddr;
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::ports::NewEntry;
use rusqlite::{Connection, Row, params};

use super::fault::Fault;
use super::reads::{self, one};
use super::rows::Fields;
use super::writes::{append_entry, number};

/// Keeps a machine, unless a host has its address.
pub(super) fn keep(
    tx: &Connection,
    machine: &DiscoveredMachine,
    at_most: usize,
    entry: Option<&NewEntry>,
) -> Result<bool, Fault> {
    let mac = machine.mac.to_string();
    let hosts: i64 =
        tx.prepare_cached("SELECT count(*) FROM host_macs WHERE mac = ?1")?.query_one([&mac], |row| row.get(0))?;
    if hosts > 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO discovered (mac, last_seen, what) VALUES (?1, ?2, ?3)
        ON CONFLICT (mac) DO UPDATE SET last_seen = excluded.last_seen, what = excluded.what";
    let what = serde_json::to_string(machine)?;
    tx.prepare_cached(sql)?.execute(params![mac, machine.last_seen_at.as_millis(), what])?;
    let sql = "DELETE FROM discovered WHERE mac IN
        (SELECT mac FROM discovered ORDER BY last_seen DESC, mac DESC LIMIT -1 OFFSET ?1)";
    tx.prepare_cached(sql)?.execute([number(at_most)?])?;
    append_entry(tx, entry)?;
    Ok(true)
}

/// Drops a machine that becomes a host's.
pub(super) fn forget(tx: &Connection, mac: MacAddr) -> Result<(), Fault> {
    tx.prepare_cached("DELETE FROM discovered WHERE mac = ?1")?.execute([mac.to_string()])?;
    Ok(())
}

pub(super) fn all(db: &Connection) -> Result<Vec<DiscoveredMachine>, Fault> {
    reads::all(db, "SELECT mac, what FROM discovered ORDER BY last_seen DESC, mac", [], machine)
}

pub(super) fn by_mac(db: &Connection, mac: MacAddr) -> Result<Option<DiscoveredMachine>, Fault> {
    one(db, "SELECT mac, what FROM discovered WHERE mac = ?1", [mac.to_string()], machine)
}

fn machine(row: &Row<'_>) -> Result<DiscoveredMachine, Fault> {
    Fields::behind_key("discovered", row).json("what")
}
