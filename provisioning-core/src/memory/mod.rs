//! Adapters that keep everything in memory: for embedders who need no disk, and for tests. They obey the same
//! contracts as any other.

mod bookmarks;
mod rows;
mod store;
mod vault;

pub use bookmarks::MemoryBookmarks;
pub use store::MemoryStore;
pub use vault::MemoryVault;
