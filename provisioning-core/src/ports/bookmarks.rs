//! How far those who read the journal for others have come.

use async_trait::async_trait;

use super::store::StoreError;

/// Places in the journal, by the name of their reader. They outlive the process, so that a reader goes on where it
/// stopped.
///
/// # Contract
/// - `a_bookmark_reads_back`: also after a reopen.
/// - `the_latest_bookmark_counts`: also when it lies before the one that it takes the place of.
/// - `an_absent_bookmark_is_none`: not an error, and not the journal's beginning.
/// - `each_reader_has_a_bookmark_of_its_own`.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Bookmarks: Send + Sync {
    /// The last place that a reader is done with, if it was ever kept.
    async fn place(&self, reader: &str) -> Result<Option<u64>, StoreError>;
    /// Keeps the last place that a reader is done with.
    async fn keep(&self, reader: &str, place: u64) -> Result<(), StoreError>;
}
