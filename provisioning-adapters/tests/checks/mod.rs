//! The contracts of `Store` and `Vault`: a function for each bullet, of the same name, over a fixture. Nothing in
//! here knows what adapter it checks.

pub(crate) mod journal;
pub(crate) mod sample;
pub(crate) mod store;
pub(crate) mod vault;

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use provisioning_core::ports::{Store, Vault};

/// How a check ends.
pub(crate) type Checked = Result<(), Box<dyn Error + Send + Sync>>;

/// The error of what must not succeed.
pub(crate) fn refusal<T: Debug, E>(outcome: Result<T, E>) -> E {
    outcome.expect_err("it is refused")
}

/// Opens the same data each time; what was opened before is dropped first, unless a check says otherwise.
pub(crate) trait Fixture {
    fn store(&self) -> Arc<dyn Store>;
    fn vault(&self) -> Arc<dyn Vault>;
}

/// Makes each check a test of its own name.
macro_rules! tests_of {
    ($suite:ident, $fixture:expr, [$($check:ident),+ $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() -> crate::checks::Checked {
                $suite::$check(&$fixture).await
            }
        )+
    };
}
pub(crate) use tests_of;

/// Both suites, as the modules `store` and `vault`.
macro_rules! contracts {
    ($fixture:expr) => {
        mod store {
            use super::*;
            use crate::checks::{journal, store};
            crate::checks::tests_of!(
                store,
                $fixture,
                [
                    commit_is_all_or_nothing,
                    commit_refuses_a_stale_revision,
                    committed_work_survives_reopen,
                    a_commit_is_seen_by_the_next_read,
                    names_and_macs_are_unique,
                    revisions_rise_by_one,
                    work_is_listed_by_due_time,
                    rescheduling_settled_work_changes_nothing,
                    hosts_are_listed_by_name,
                    the_overdue_are_found_by_their_deadline,
                    an_image_in_use_stays,
                    an_image_is_kept_once_per_digest,
                    removing_a_host_keeps_its_journal,
                ]
            );
            crate::checks::tests_of!(
                journal,
                $fixture,
                [
                    the_journal_keeps_the_order_of_commits,
                    a_reader_never_skips_an_entry,
                    entries_are_found_by_host_and_operation,
                ]
            );
        }
        mod vault {
            use super::*;
            use crate::checks::vault;
            crate::checks::tests_of!(
                vault,
                $fixture,
                [
                    a_stored_key_reads_back,
                    storing_twice_keeps_the_latest,
                    an_absent_key_is_none,
                    an_erased_key_is_gone,
                    erasing_an_absent_key_is_fine,
                    held_lists_every_key,
                ]
            );
        }
    };
}
pub(crate) use contracts;
