//! What is changed in the database. An error undoes what a function wrote, but at some cost to others that write at
//! the same time (`writer`): what can be refused is looked at before anything is written.

use provisioning_core::model::{
    Artefact, HardwareId, Host, HostId, Image, ImageId, MacAddr, Operation, OperationId, Timestamp,
};
use provisioning_core::ports::{Change, Committed, NewEntry, Revision, StoreError, Work, WorkId};
use rusqlite::{Connection, params};

use super::discovered;
use super::fault::Fault;
use super::prepared::{Line, Prepared};
use super::reads::{self, one};
use super::rows::Fields;
use super::seal::Sealed;

/// Makes a change.
pub(super) fn commit(tx: &Connection, prepared: &Prepared) -> Result<Committed, Fault> {
    let change = &prepared.change;
    let revision = match moved_host(tx, prepared)? {
        Some(revision) => revision,
        None => write_host(tx, prepared)?,
    };
    if let Some(operation) = &change.operation {
        write_operation(tx, operation)?;
    }
    for (operation, artefact) in &change.artefacts {
        write_artefact(tx, *operation, artefact)?;
    }
    let last_seq = append_and_tell(tx, &prepared.lines)?;
    strike_off_all(tx, &change.settle)?;
    for work in &change.owe {
        owe(tx, work)?;
    }
    Ok(Committed { revision, last_seq })
}

/// Writes a host that keeps its name and addresses, as nearly every change does, in one statement that looks at no
/// index but the one on ids. `None` when it is another change, or the row is at another revision.
fn moved_host(tx: &Connection, prepared: &Prepared) -> Result<Option<Revision>, Fault> {
    let next = prepared.change.expected.and_then(|expected| expected.0.checked_add(1)).map(Revision);
    let Some(revision) = next else { return Ok(None) };
    let sql = "UPDATE hosts SET server_type = ?4, address = ?5, hardware_id = ?6, last_ready_at = ?7,
            registered_at = ?8, state = ?9, phase = ?10, deadline = ?11, running = ?12, revision = ?13
        WHERE id = ?1 AND name = ?2 AND macs = ?3 AND revision = ?13 - 1";
    Ok((execute_with_host(tx, sql, prepared, revision)? == 1).then_some(revision))
}

/// Writes a host that is new, or has another name or other addresses; or finds out why it may not be written.
fn write_host(tx: &Connection, prepared: &Prepared) -> Result<Revision, Fault> {
    let Prepared { change: Change { host, expected, .. }, .. } = prepared;
    let known = reads::known(tx, host.id)?;
    let revision = next_revision(host.id, known.as_ref().map(|known| known.revision), *expected)?;
    if known.as_ref().is_none_or(|known| known.name != host.name.as_str()) {
        refuse_taken_name(tx, host)?;
    }
    for mac in &host.macs {
        refuse_taken_mac(tx, *mac, host.id)?;
    }
    let sql =
        "INSERT INTO hosts (id, name, macs, server_type, address, hardware_id, last_ready_at, registered_at, state,
                                  phase, deadline, running, revision)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
        ON CONFLICT (id) DO UPDATE SET
            name = excluded.name, macs = excluded.macs, server_type = excluded.server_type,
            address = excluded.address, hardware_id = excluded.hardware_id, last_ready_at = excluded.last_ready_at,
            registered_at = excluded.registered_at, state = excluded.state, phase = excluded.phase,
            deadline = excluded.deadline, running = excluded.running, revision = excluded.revision";
    execute_with_host(tx, sql, prepared, revision)?;
    if known.is_none_or(|known| known.macs != prepared.macs) {
        write_macs(tx, host)?;
    }
    Ok(revision)
}

fn next_revision(host: HostId, found: Option<Revision>, expected: Option<Revision>) -> Result<Revision, StoreError> {
    match (found, expected) {
        (None, None) => Ok(Revision(1)),
        (None, Some(_)) => Err(StoreError::NoSuchHost(host)),
        (Some(found), Some(expected)) if found == expected => Ok(Revision(found.0 + 1)),
        (Some(found), expected) => Err(StoreError::Stale { host, expected, found }),
    }
}

fn refuse_taken_name(tx: &Connection, host: &Host) -> Result<(), Fault> {
    let sql = "SELECT id FROM hosts WHERE name = ?1 AND id <> ?2";
    let owner = one(tx, sql, params![host.name.as_str(), host.id.as_bytes()], |row| {
        Fields::of("hosts", row).id("id", HostId::from_bytes)
    })?;
    match owner {
        Some(by) => Err(StoreError::NameTaken { name: host.name.clone(), by }.into()),
        None => Ok(()),
    }
}

/// Runs a statement that takes the columns of a host, in this order; how many rows it wrote.
fn execute_with_host(tx: &Connection, sql: &str, prepared: &Prepared, revision: Revision) -> Result<usize, Fault> {
    let Prepared { change: Change { host, state, .. }, macs, address, state: state_text, .. } = prepared;
    Ok(tx.prepare_cached(sql)?.execute(params![
        host.id.as_bytes(),
        host.name.as_str(),
        macs,
        host.server_type.as_str(),
        address,
        host.hardware_id.as_ref().map(HardwareId::as_str),
        host.last_ready_at.map(Timestamp::as_millis),
        host.registered_at.as_millis(),
        state_text,
        state.phase().as_str(),
        state.deadline().map(Timestamp::as_millis),
        state.running().as_ref().map(OperationId::as_bytes),
        number(revision.0)?,
    ])?)
}

fn write_macs(tx: &Connection, host: &Host) -> Result<(), Fault> {
    tx.prepare_cached("DELETE FROM host_macs WHERE host = ?1")?.execute([host.id.as_bytes()])?;
    for (position, mac) in host.macs.iter().enumerate() {
        // Twice the same among a host's own is refused here.
        refuse_taken_mac(tx, *mac, HostId::from_bytes([0; 16]))?;
        discovered::forget(tx, *mac)?;
        tx.prepare_cached("INSERT INTO host_macs (mac, host, position) VALUES (?1, ?2, ?3)")?.execute(params![
            mac.to_string(),
            host.id.as_bytes(),
            number(position)?
        ])?;
    }
    Ok(())
}

/// Refuses an address that any host but this one has.
fn refuse_taken_mac(tx: &Connection, mac: MacAddr, but: HostId) -> Result<(), Fault> {
    let sql = "SELECT mac, host FROM host_macs WHERE mac = ?1 AND host <> ?2";
    let owner = one(tx, sql, params![mac.to_string(), but.as_bytes()], |row| {
        Fields::behind_key("host_macs", row).id("host", HostId::from_bytes)
    })?;
    match owner {
        Some(by) => Err(StoreError::MacTaken { mac, by }.into()),
        None => Ok(()),
    }
}

fn write_operation(tx: &Connection, operation: &Operation) -> Result<(), Fault> {
    let sql = "INSERT INTO operations (id, host, image, server_type, token, public_key, started_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.prepare_cached(sql)?.execute(params![
        operation.id.as_bytes(),
        operation.host.as_bytes(),
        operation.image.as_bytes(),
        serde_json::to_string(&*operation.server_type)?,
        operation.token.expose(),
        operation.public_key.as_str(),
        operation.started_at.as_millis(),
    ])?;
    Ok(())
}

fn write_artefact(tx: &Connection, operation: OperationId, artefact: &Artefact) -> Result<(), Fault> {
    let sql = "INSERT INTO artefacts (operation, kind, text, at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (operation, kind) DO UPDATE SET text = excluded.text, at = excluded.at";
    let params = params![operation.as_bytes(), artefact.kind.as_str(), artefact.text, artefact.at.as_millis()];
    tx.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// Writes lines of the journal, which get the next places; the last of these.
pub(super) fn append<'a>(tx: &Connection, lines: impl IntoIterator<Item = &'a Line>) -> Result<Option<u64>, Fault> {
    let sql = "INSERT INTO journal (at, host, operation, source, what) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut last = None;
    for line in lines {
        let seq = tx.prepare_cached(sql)?.insert(params![
            line.at.as_millis(),
            line.host.as_ref().map(HostId::as_bytes),
            line.operation.as_ref().map(OperationId::as_bytes),
            line.source,
            line.what,
        ])?;
        last = u64::try_from(seq).ok();
    }
    Ok(last)
}

/// The same; the place of the last line of all.
pub(super) fn append_and_tell(tx: &Connection, lines: &[Line]) -> Result<u64, Fault> {
    match append(tx, lines)? {
        Some(last) => Ok(last),
        None => reads::last_seq(tx),
    }
}

/// Writes one entry, or none.
pub(super) fn append_entry<'a>(tx: &Connection, entry: impl Into<Option<&'a NewEntry>>) -> Result<(), Fault> {
    let line = entry.into().map(Line::of).transpose()?;
    append(tx, &line).map(drop)
}

fn owe(tx: &Connection, work: &Work) -> Result<(), Fault> {
    let sql = "INSERT INTO outbox (operation, kind, host, due, attempts, last_error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (operation, kind) DO UPDATE SET
            host = excluded.host, due = excluded.due, attempts = excluded.attempts, last_error = excluded.last_error";
    tx.prepare_cached(sql)?.execute(params![
        work.id.operation.as_bytes(),
        work.id.kind.as_str(),
        work.host.as_bytes(),
        work.due.as_millis(),
        work.attempts,
        work.last_error,
    ])?;
    Ok(())
}

/// Mostly nothing of an operation is owed, which one look tells.
fn strike_off_all(tx: &Connection, ids: &[WorkId]) -> Result<(), Fault> {
    for of_one in ids.chunk_by(|one, next| one.operation == next.operation) {
        let owed = "SELECT 1 FROM outbox WHERE operation = ?1";
        if tx.prepare_cached(owed)?.exists([of_one[0].operation.as_bytes()])? {
            for id in of_one {
                strike_off(tx, *id)?;
            }
        }
    }
    Ok(())
}

/// Whether it was owed.
fn strike_off(tx: &Connection, id: WorkId) -> Result<bool, Fault> {
    let sql = "DELETE FROM outbox WHERE operation = ?1 AND kind = ?2";
    Ok(tx.prepare_cached(sql)?.execute(params![id.operation.as_bytes(), id.kind.as_str()])? > 0)
}

/// Strikes work off; `false`, and no entry, when it is no longer owed.
pub(super) fn settle(tx: &Connection, id: WorkId, entry: Option<&NewEntry>) -> Result<bool, Fault> {
    let was_owed = strike_off(tx, id)?;
    if was_owed {
        append_entry(tx, entry)?;
    }
    Ok(was_owed)
}

/// Puts work off; `false`, and no entry, when it is no longer owed.
pub(super) fn reschedule(tx: &Connection, work: &Work, entry: Option<&NewEntry>) -> Result<bool, Fault> {
    let sql = "UPDATE outbox SET due = ?3, attempts = ?4, last_error = ?5 WHERE operation = ?1 AND kind = ?2";
    let is_owed = tx.prepare_cached(sql)?.execute(params![
        work.id.operation.as_bytes(),
        work.id.kind.as_str(),
        work.due.as_millis(),
        work.attempts,
        work.last_error,
    ])? > 0;
    if is_owed {
        append_entry(tx, entry)?;
    }
    Ok(is_owed)
}

/// Removes a host; its addresses, operations, artefacts and work go with it by foreign key.
pub(super) fn remove_host(tx: &Connection, id: HostId, expected: Revision, entry: &NewEntry) -> Result<(), Fault> {
    let found = reads::host(tx, id)?.map(|known| known.revision);
    next_revision(id, found, Some(expected))?;
    tx.prepare_cached("DELETE FROM hosts WHERE id = ?1")?.execute([id.as_bytes()])?;
    append_entry(tx, entry)
}

pub(super) fn insert_image(tx: &Connection, image: &Image, entry: &NewEntry) -> Result<(), Fault> {
    let digest = image.sha256.to_string();
    let same = one(tx, "SELECT id FROM images WHERE sha256 = ?1", [&digest], |row| {
        Fields::of("images", row).id("id", ImageId::from_bytes)
    })?;
    if let Some(same) = same {
        return Err(StoreError::ImageExists(same).into());
    }
    let sql = "INSERT INTO images (id, name, release, iso_release, sha256, size_bytes, imported_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.prepare_cached(sql)?.execute(params![
        image.id.as_bytes(),
        image.name,
        image.release.to_string(),
        image.iso_release,
        digest,
        number(image.size_bytes)?,
        image.imported_at.as_millis(),
    ])?;
    append_entry(tx, entry)
}

pub(super) fn choose_default_image(tx: &Connection, id: ImageId, entry: &NewEntry) -> Result<(), Fault> {
    if reads::image(tx, id)?.is_none() {
        return Err(StoreError::NoSuchImage(id).into());
    }
    tx.prepare_cached("INSERT OR REPLACE INTO default_image (row, id) VALUES (1, ?1)")?.execute([id.as_bytes()])?;
    append_entry(tx, entry)
}

pub(super) fn remove_image(tx: &Connection, id: ImageId, entry: &NewEntry) -> Result<(), Fault> {
    let sql = "SELECT h.id FROM operations o JOIN hosts h ON h.running = o.id WHERE o.image = ?1 ORDER BY h.id LIMIT 1";
    let user = one(tx, sql, [id.as_bytes()], |row| Fields::of("hosts", row).id("id", HostId::from_bytes))?;
    if let Some(host) = user {
        return Err(StoreError::ImageInUse { image: id, host }.into());
    }
    if tx.prepare_cached("DELETE FROM images WHERE id = ?1")?.execute([id.as_bytes()])? == 0 {
        return Err(StoreError::NoSuchImage(id).into());
    }
    append_entry(tx, entry)
}

/// Keeps a sealed key in place of an older one.
pub(super) fn keep_key(tx: &Connection, operation: OperationId, sealed: &Sealed) -> Result<(), Fault> {
    // The old row goes whole, so that its pages are zeroed and the new one lies on pages of its own.
    forget_key(tx, operation)?;
    tx.prepare_cached("INSERT INTO sealed_keys (operation, nonce, ciphertext) VALUES (?1, ?2, ?3)")?
        .execute(params![operation.as_bytes(), sealed.nonce, sealed.ciphertext])?;
    Ok(())
}

/// Drops a sealed key, if there is one.
pub(super) fn forget_key(tx: &Connection, operation: OperationId) -> Result<(), Fault> {
    tx.prepare_cached("DELETE FROM sealed_keys WHERE operation = ?1")?.execute([operation.as_bytes()])?;
    Ok(())
}

/// A number as SQLite can keep it.
pub(super) fn number<T: TryInto<i64, Error: std::error::Error + Send + Sync + 'static>>(
    number: T,
) -> Result<i64, Fault> {
    number.try_into().map_err(|error| Fault::Unwritable(error.into()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::sqlite::connect;

    /// A small generator of numbers, the same for the same seed.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn bytes(&mut self, length: u64) -> Vec<u8> {
            (0..length).map(|_| self.roll().to_le_bytes()[3]).collect()
        }
    }

    /// Keeps and forgets keys of many sizes, and gives the forgotten ciphertexts.
    fn keep_and_forget(connection: &Connection, seed: u64) -> Vec<Vec<u8>> {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (mut kept, mut forgotten) = (Vec::new(), Vec::new());
        for round in 0..160 {
            if kept.is_empty() || dice.roll() % 10 < if round < 80 { 7 } else { 3 } {
                let mut id = [0; 16];
                id.copy_from_slice(&dice.bytes(16));
                let length = 30 + dice.roll() % 900;
                let sealed = Sealed { nonce: [0; 24], ciphertext: dice.bytes(length) };
                keep_key(connection, OperationId::from_bytes(id), &sealed).unwrap();
                kept.push((id, sealed.ciphertext));
            } else {
                let place = usize::try_from(dice.roll()).unwrap() % kept.len();
                let (id, ciphertext) = kept.swap_remove(place);
                forget_key(connection, OperationId::from_bytes(id)).unwrap();
                forgotten.push(ciphertext);
            }
        }
        forgotten
    }

    fn has_trace(database: &Path, texts: &[Vec<u8>]) -> bool {
        let pieces: BTreeSet<&[u8]> = texts.iter().flat_map(|text| text.chunks_exact(8)).collect();
        let bytes = std::fs::read(database).unwrap();
        bytes.windows(8).any(|window| pieces.contains(window))
    }

    /// Without `sealed_keys.margin` these seeds leave parts of a forgotten key behind, when SQLite spreads
    /// the rows of a page anew.
    #[test]
    fn a_forgotten_key_leaves_no_trace_however_its_row_was_moved() {
        for seed in [66, 70, 82, 98, 122, 148] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("test.db");
            let connection = connect::writer(&path).unwrap();
            connection.pragma_update(None, "synchronous", "off").unwrap();
            let forgotten = keep_and_forget(&connection, seed);
            assert!(forgotten.len() > 40);
            drop(connection);
            assert!(!has_trace(&path, &forgotten), "seed {seed}");
        }
    }
}
