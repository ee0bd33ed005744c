//! The suite of [`Bookmarks`].

use std::future::Future;

use super::rule::{Broken, Checked};
use crate::ports::Bookmarks;

/// Makes the bookmarks that are checked. Each rule has a fixture of its own.
pub trait BookmarksFixture {
    /// The adapter.
    type Bookmarks: Bookmarks;
    /// Without any bookmark; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Bookmarks>;
    /// Drops the adapter and opens the same data again, as the next process would.
    fn reopen(&self, bookmarks: Self::Bookmarks) -> impl Future<Output = Self::Bookmarks>;
}

/// Makes each rule of [`Bookmarks`](crate::ports::Bookmarks) a test; takes an expression that makes a
/// [`BookmarksFixture`](crate::conformance::BookmarksFixture).
#[macro_export]
macro_rules! bookmarks_conformance {
    ($fixture:expr) => {
        $crate::__bookmarks_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __bookmarks_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { bookmarks [
            a_bookmark_reads_back,
            the_latest_bookmark_counts,
            an_absent_bookmark_is_none,
            each_reader_has_a_bookmark_of_its_own,
        ] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__bookmarks_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that are broken. Call it outside of a runtime.
pub fn broken_rules<F: BookmarksFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__bookmarks_rules! { __rules_broken (make().await) }
}

/// Also after a reopen.
pub async fn a_bookmark_reads_back(fixture: &impl BookmarksFixture) -> Checked {
    let bookmarks = fixture.fresh().await;
    bookmarks.keep("chat", 7).await?;
    assert_eq!(bookmarks.place("chat").await?, Some(7));
    let bookmarks = fixture.reopen(bookmarks).await;
    assert_eq!(bookmarks.place("chat").await?, Some(7));
    Ok(())
}

/// Also when it lies before the one that it takes the place of.
pub async fn the_latest_bookmark_counts(fixture: &impl BookmarksFixture) -> Checked {
    let bookmarks = fixture.fresh().await;
    for place in [7, 9, 8] {
        bookmarks.keep("chat", place).await?;
        assert_eq!(bookmarks.place("chat").await?, Some(place));
    }
    Ok(())
}

/// Not an error, and not the journal's beginning.
pub async fn an_absent_bookmark_is_none(fixture: &impl BookmarksFixture) -> Checked {
    let bookmarks = fixture.fresh().await;
    assert_eq!(bookmarks.place("chat").await?, None);
    bookmarks.keep("chat", 0).await?;
    assert_eq!(bookmarks.place("chat").await?, Some(0));
    Ok(())
}

/// One reader's progress is not another's.
pub async fn each_reader_has_a_bookmark_of_its_own(fixture: &impl BookmarksFixture) -> Checked {
    let bookmarks = fixture.fresh().await;
    bookmarks.keep("chat", 7).await?;
    bookmarks.keep("pager", 9).await?;
    assert_eq!(bookmarks.place("chat").await?, Some(7));
    assert_eq!(bookmarks.place("pager").await?, Some(9));
    Ok(())
}
