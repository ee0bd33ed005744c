//! The `Bookmarks` port, in the store's file: a place and the journal it is of are backed up and restored together.

use async_trait::async_trait;
use provisioning_core::ports::{Bookmarks, StoreError};
use rusqlite::{OptionalExtension as _, params};

use super::recall::Touched;
use super::store::SqliteStore;

#[async_trait]
impl Bookmarks for SqliteStore {
    async fn place(&self, reader: &str) -> Result<Option<u64>, StoreError> {
        let reader = reader.to_owned();
        let read = self.read(move |db| {
            let mut statement = db.prepare_cached("SELECT place FROM bookmarks WHERE reader = ?1")?;
            Ok(statement.query_row([reader], |row| row.get::<_, i64>(0)).optional()?)
        });
        // Places are the journal's: they are never negative.
        Ok(read.await?.map(|place| u64::try_from(place).unwrap_or_default()))
    }

    async fn keep(&self, reader: &str, place: u64) -> Result<(), StoreError> {
        let reader = reader.to_owned();
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let write = self.write_to(Touched::Nothing, move |tx| {
            let sql = "INSERT INTO bookmarks (reader, place) VALUES (?1, ?2)
                       ON CONFLICT (reader) DO UPDATE SET place = excluded.place";
            tx.prepare_cached(sql)?.execute(params![reader, place])?;
            Ok(())
        });
        write.await
    }
}
