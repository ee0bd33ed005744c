//! What is to be written, as SQLite is given it. It is made before the writer is waited for: the one connection that
//! writes shall do nothing but write.

use provisioning_core::model::{HostId, MacAddr, OperationId, Timestamp};
use provisioning_core::ports::{Change, Committed, NewEntry, StoreError};
use rusqlite::Connection;
use serde::Serialize;

use super::fault::Fault;
use super::writes;

/// A change whose values have been written out.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) change: Change,
    /// The host's addresses.
    pub(super) macs: String,
    /// The host's address of the configuration.
    pub(super) address: Option<String>,
    /// Its state.
    pub(super) state: String,
    /// The journal's lines.
    pub(super) lines: Vec<Line>,
}

impl Prepared {
    pub(super) fn of(change: Change) -> Result<Self, StoreError> {
        Ok(Self {
            macs: joined(&change.host.macs),
            address: change.host.address.map(|address| address.to_string()),
            state: serde_json::to_string(&change.state).map_err(Fault::from)?,
            lines: Line::all(&change.journal)?,
            change,
        })
    }

    pub(super) fn host(&self) -> HostId {
        self.change.host.id
    }

    pub(super) fn write(&self, tx: &Connection) -> Result<Committed, Fault> {
        writes::commit(tx, self)
    }
}

/// Addresses as a host's row has them.
fn joined(macs: &[MacAddr]) -> String {
    let mut text = String::with_capacity(macs.len() * 18);
    for mac in macs {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&mac.to_string());
    }
    text
}

/// A line of the journal.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) host: Option<HostId>,
    pub(super) operation: Option<OperationId>,
    pub(super) source: String,
    pub(super) what: String,
}

impl Line {
    pub(super) fn of(entry: &NewEntry) -> Result<Self, Fault> {
        let NewEntry { at, host, operation, source, what } = entry;
        let (source, what) = (word(source)?, serde_json::to_string(what)?);
        Ok(Self { at: *at, host: *host, operation: *operation, source, what })
    }

    pub(super) fn all(entries: &[NewEntry]) -> Result<Vec<Self>, StoreError> {
        Ok(entries.iter().map(Self::of).collect::<Result<_, Fault>>()?)
    }
}

/// A value that the core's JSON writes as a word.
fn word(value: &impl Serialize) -> Result<String, Fault> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(Fault::Unwritable(format!("{other} is no word").into())),
    }
}
