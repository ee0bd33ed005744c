//! A few connections that only read, so that reads wait neither for each other nor for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provisioning_core::ports::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::connect;
use super::fault::{Fault, unavailable};

/// So many reads run at once; more would only wait for the same few cores.
const READERS_MAX: usize = 4;

/// Connections are opened when they are first needed, and kept.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    slots: Arc<Semaphore>,
}

impl Readers {
    /// Readers of the file at `path`, which exists.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), slots: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Runs `read` on a connection. It begins after this call, so it sees every commit that was answered before.
    ///
    /// Each read is one statement, and so sees one state of the database.
    pub(super) async fn read<T, F>(self: &Arc<Self>, read: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        let slot =
            Arc::clone(&self.slots).acquire_owned().await.map_err(|_| unavailable("the readers have stopped"))?;
        let readers = Arc::clone(self);
        let reading = spawn_blocking(move || {
            let _slot = slot;
            readers.run(read)
        });
        reading.await.map_err(|_| unavailable("a read was broken off"))?.map_err(StoreError::from)
    }

    fn run<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect::reader(&self.path)?,
        };
        let outcome = read(&connection);
        // A connection on which SQLite failed is not used again.
        if !matches!(outcome, Err(Fault::Sql(_))) {
            self.idle().push(connection);
        }
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
