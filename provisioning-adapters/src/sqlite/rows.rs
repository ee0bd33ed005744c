//! Rows to values. A row that cannot be read is `Corrupt`, and says which one it is and what is wrong with it.

use std::cell::Cell;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use provisioning_core::machine::Phase;
use provisioning_core::model::{Artefact, Host, HostId, Image, ImageId, Operation, OperationId, Timestamp};
use provisioning_core::ports::{HostRecord, JournalEntry, Revision, StoreError, Work, WorkId};
use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};
use serde::de::{self, DeserializeOwned, IntoDeserializer as _};

use super::fault::Fault;

/// A row of a named table, whose columns are read one after the other. The first is its key, by which errors name it.
pub(super) struct Fields<'r> {
    table: &'static str,
    row: &'r Row<'r>,
    next: Cell<usize>,
}

impl<'r> Fields<'r> {
    pub(super) fn of(table: &'static str, row: &'r Row<'r>) -> Self {
        Self { table, row, next: Cell::new(0) }
    }

    /// The same for who has no use for the key.
    pub(super) fn behind_key(table: &'static str, row: &'r Row<'r>) -> Self {
        Self { table, row, next: Cell::new(1) }
    }

    /// A column as SQLite has it.
    pub(super) fn plain<T: FromSql>(&self, column: &str) -> Result<T, Fault> {
        self.row.get(self.place(column)).map_err(|error| self.corrupt(column, &error))
    }

    /// A text as it lies in the row.
    fn text(&self, column: &str) -> Result<&'r str, Fault> {
        self.text_if_any(column)?.ok_or_else(|| self.corrupt(column, &"it is empty"))
    }

    fn text_if_any(&self, column: &str) -> Result<Option<&'r str>, Fault> {
        let value = self.row.get_ref(self.place(column));
        let text = value.and_then(|value| Ok(value.as_str_or_null()?));
        text.map_err(|error| self.corrupt(column, &error))
    }

    /// Where the next column is. That it is the one that is meant, a debug build looks at: to have all names compared
    /// is what reading a row would take most of its time for.
    fn place(&self, column: &str) -> usize {
        let place = self.next.get();
        self.next.set(place + 1);
        debug_assert_eq!(self.row.as_ref().column_name(place), Ok(column), "columns are read in their order");
        place
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp, Fault> {
        Ok(Timestamp::from_millis(self.plain(column)?))
    }

    pub(super) fn time_if_any(&self, column: &str) -> Result<Option<Timestamp>, Fault> {
        Ok(self.plain::<Option<i64>>(column)?.map(Timestamp::from_millis))
    }

    /// An id, made from its sixteen bytes.
    pub(super) fn id<T>(&self, column: &str, make: fn([u8; 16]) -> T) -> Result<T, Fault> {
        Ok(make(self.plain(column)?))
    }

    fn id_if_any<T>(&self, column: &str, make: fn([u8; 16]) -> T) -> Result<Option<T>, Fault> {
        Ok(self.plain::<Option<[u8; 16]>>(column)?.map(make))
    }

    /// A number that is never negative.
    fn count<T: TryFrom<i64, Error: Display>>(&self, column: &str) -> Result<T, Fault> {
        T::try_from(self.plain(column)?).map_err(|error| self.corrupt(column, &error))
    }

    /// A text that is one of our parsed types.
    fn parsed<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, Fault> {
        self.text(column)?.parse().map_err(|error| self.corrupt(column, &error))
    }

    /// A text that lists some of them, with blanks between.
    fn listed<T: FromStr<Err: Display>>(&self, column: &str) -> Result<Vec<T>, Fault> {
        let items = self.text(column)?.split_ascii_whitespace().map(str::parse);
        items.collect::<Result<_, _>>().map_err(|error| self.corrupt(column, &error))
    }

    fn parsed_if_any<T: FromStr<Err: Display>>(&self, column: &str) -> Result<Option<T>, Fault> {
        self.text_if_any(column)?.map(|text| text.parse().map_err(|error| self.corrupt(column, &error))).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Fault> {
        serde_json::from_str(self.text(column)?).map_err(|error| self.corrupt(column, &error))
    }

    /// One of a fixed set of words, spelt as in the core's JSON.
    fn word<T: DeserializeOwned>(&self, column: &str) -> Result<T, Fault> {
        let word = T::deserialize(self.text(column)?.into_deserializer());
        word.map_err(|error: de::value::Error| self.corrupt(column, &error))
    }

    fn corrupt(&self, column: &str, problem: &dyn Display) -> Fault {
        let key = match self.row.get_ref(0) {
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            // Ids of all kinds are written alike.
            Ok(ValueRef::Blob(bytes)) => match bytes.try_into() {
                Ok(bytes) => OperationId::from_bytes(bytes).to_string(),
                Err(_) => format!("of a key of {} bytes", bytes.len()),
            },
            _ => "without a key".to_owned(),
        };
        Fault::Store(StoreError::Corrupt { table: self.table, problem: format!("row {key}, {column}: {problem}") })
    }
}

/// A host; `reads::HOST` selects the columns.
pub(super) fn host(row: &Row<'_>) -> Result<HostRecord, Fault> {
    let fields = Fields::of("hosts", row);
    let host = Host {
        id: fields.id("id", HostId::from_bytes)?,
        name: fields.parsed("name")?,
        macs: fields.listed("macs")?,
        server_type: fields.parsed("server_type")?,
        address: fields.parsed_if_any("address")?,
        hardware_id: fields.parsed_if_any("hardware_id")?,
        last_ready_at: fields.time_if_any("last_ready_at")?,
        registered_at: fields.time("registered_at")?,
    };
    Ok(HostRecord { host, state: fields.json("state")?, revision: Revision(fields.count("revision")?) })
}

/// A phase and how many hosts are in it.
pub(super) fn phase_count(row: &Row<'_>) -> Result<(Phase, u64), Fault> {
    let fields = Fields::of("hosts", row);
    let name = fields.text("phase")?;
    let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == name);
    let phase = phase.ok_or_else(|| fields.corrupt("phase", &format!("{name} is no phase")))?;
    Ok((phase, fields.count("hosts")?))
}

/// What a change of a host is checked against.
pub(super) struct Known {
    pub(super) revision: Revision,
    pub(super) name: String,
    pub(super) macs: String,
}

pub(super) fn known(row: &Row<'_>) -> Result<Known, Fault> {
    let fields = Fields::behind_key("hosts", row);
    let (revision, name) = (Revision(fields.count("revision")?), fields.plain("name")?);
    Ok(Known { revision, name, macs: fields.plain("macs")? })
}

pub(super) fn operation(row: &Row<'_>) -> Result<Operation, Fault> {
    let fields = Fields::of("operations", row);
    Ok(Operation {
        id: fields.id("id", OperationId::from_bytes)?,
        host: fields.id("host", HostId::from_bytes)?,
        image: fields.id("image", ImageId::from_bytes)?,
        server_type: Arc::new(fields.json("server_type")?),
        token: fields.parsed("token")?,
        public_key: fields.parsed("public_key")?,
        started_at: fields.time("started_at")?,
    })
}

pub(super) fn artefact(row: &Row<'_>) -> Result<Artefact, Fault> {
    let fields = Fields::behind_key("artefacts", row);
    Ok(Artefact { kind: fields.word("kind")?, text: fields.plain("text")?, at: fields.time("at")? })
}

pub(super) fn entry(row: &Row<'_>) -> Result<JournalEntry, Fault> {
    let fields = Fields::of("journal", row);
    Ok(JournalEntry {
        seq: fields.count("seq")?,
        at: fields.time("at")?,
        host: fields.id_if_any("host", HostId::from_bytes)?,
        operation: fields.id_if_any("operation", OperationId::from_bytes)?,
        source: fields.word("source")?,
        what: fields.json("what")?,
    })
}

pub(super) fn work(row: &Row<'_>) -> Result<Work, Fault> {
    let fields = Fields::of("outbox", row);
    Ok(Work {
        id: WorkId { operation: fields.id("operation", OperationId::from_bytes)?, kind: fields.word("kind")? },
        host: fields.id("host", HostId::from_bytes)?,
        due: fields.time("due")?,
        attempts: fields.count("attempts")?,
        last_error: fields.plain("last_error")?,
    })
}

pub(super) fn image(row: &Row<'_>) -> Result<Image, Fault> {
    let fields = Fields::of("images", row);
    Ok(Image {
        id: fields.id("id", ImageId::from_bytes)?,
        name: fields.plain("name")?,
        release: fields.parsed("release")?,
        iso_release: fields.plain("iso_release")?,
        sha256: fields.parsed("sha256")?,
        size_bytes: fields.count("size_bytes")?,
        imported_at: fields.time("imported_at")?,
    })
}
