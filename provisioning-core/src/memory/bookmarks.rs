//! Bookmarks in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::ports::{Bookmarks, StoreError};

/// Places in memory, lost with the process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryBookmarks {
    places: Arc<Mutex<BTreeMap<String, u64>>>,
}

#[async_trait]
impl Bookmarks for MemoryBookmarks {
    async fn place(&self, reader: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.places.lock().expect("no caller panics while it holds the places").get(reader).copied())
    }

    async fn keep(&self, reader: &str, place: u64) -> Result<(), StoreError> {
        self.places.lock().expect("no caller panics while it holds the places").insert(reader.to_owned(), place);
        Ok(())
    }
}
