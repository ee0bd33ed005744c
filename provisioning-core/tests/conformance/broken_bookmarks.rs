//! Bookmarks that are broken on purpose, one fault each, around those that are not.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use provisioning_core::conformance::{BookmarksFixture, bookmarks};
use provisioning_core::memory::MemoryBookmarks;
use provisioning_core::ports::{Bookmarks, StoreError};

use super::{assert_each_bites, names};

/// What is wrong with the bookmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    ForgetsOnReopen,
    NeverGoesBack,
    BeginsAtNothing,
    SharesOne,
}

/// Each fault, and all rules that it breaks.
const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::ForgetsOnReopen, &["a_bookmark_reads_back"]),
    (Fault::NeverGoesBack, &["the_latest_bookmark_counts"]),
    (Fault::BeginsAtNothing, &["an_absent_bookmark_is_none"]),
    (Fault::SharesOne, &["each_reader_has_a_bookmark_of_its_own"]),
];

#[test]
fn each_kind_of_broken_bookmarks_fails_the_rules_that_it_breaks_and_no_other() {
    for (fault, expected) in FAULTS {
        let broken = bookmarks::broken_rules(async || *fault);
        assert_eq!(names(&broken), *expected, "{fault:?}: {broken:#?}");
    }
}

#[test]
fn the_bookmarks_without_a_fault_break_no_rule() {
    assert_eq!(bookmarks::broken_rules(async || Fault::None), []);
}

#[test]
fn each_rule_of_the_bookmarks_bites() {
    assert_each_bites(bookmarks::RULES, &FAULTS.iter().map(|(_, rules)| *rules).collect::<Vec<_>>());
}

impl BookmarksFixture for Fault {
    type Bookmarks = BrokenBookmarks;

    async fn fresh(&self) -> BrokenBookmarks {
        BrokenBookmarks { inner: MemoryBookmarks::default(), fault: *self, reopened: AtomicBool::new(false) }
    }

    async fn reopen(&self, bookmarks: BrokenBookmarks) -> BrokenBookmarks {
        bookmarks.reopened.store(true, Ordering::Relaxed);
        bookmarks
    }
}

struct BrokenBookmarks {
    inner: MemoryBookmarks,
    fault: Fault,
    reopened: AtomicBool,
}

impl BrokenBookmarks {
    fn name<'a>(&self, reader: &'a str) -> &'a str {
        if self.fault == Fault::SharesOne { "all" } else { reader }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "what is not passed on would be a second fault")]
impl Bookmarks for BrokenBookmarks {
    async fn place(&self, reader: &str) -> Result<Option<u64>, StoreError> {
        match self.inner.place(self.name(reader)).await? {
            None if self.fault == Fault::BeginsAtNothing => Ok(Some(0)),
            Some(_) if self.fault == Fault::ForgetsOnReopen && self.reopened.load(Ordering::Relaxed) => Ok(None),
            place => Ok(place),
        }
    }

    async fn keep(&self, reader: &str, place: u64) -> Result<(), StoreError> {
        let known = self.inner.place(self.name(reader)).await?.unwrap_or_default();
        let place = if self.fault == Fault::NeverGoesBack { place.max(known) } else { place };
        self.inner.keep(self.name(reader), place).await
    }
}
