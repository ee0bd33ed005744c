//! The core's own adapters pass the suites, and adapters that are broken on purpose fail them by name.

mod broken_bookmarks;
mod broken_boot_server;
mod broken_cluster_member;
mod broken_inventory;
mod broken_power;
mod broken_store;
mod broken_vault;
mod faulty_store;

use std::panic::catch_unwind;

use provisioning_core::conformance::{BookmarksFixture, Broken, StoreFixture, VaultFixture};
use provisioning_core::memory::{MemoryBookmarks, MemoryStore, MemoryVault};

struct InMemory;

impl StoreFixture for InMemory {
    type Store = MemoryStore;

    async fn fresh(&self) -> MemoryStore {
        MemoryStore::new()
    }

    async fn reopen(&self, store: MemoryStore) -> MemoryStore {
        store
    }
}

impl VaultFixture for InMemory {
    type Vault = MemoryVault;

    async fn fresh(&self) -> MemoryVault {
        MemoryVault::default()
    }

    async fn reopen(&self, vault: MemoryVault) -> MemoryVault {
        vault
    }
}

impl BookmarksFixture for InMemory {
    type Bookmarks = MemoryBookmarks;

    async fn fresh(&self) -> MemoryBookmarks {
        MemoryBookmarks::default()
    }

    async fn reopen(&self, bookmarks: MemoryBookmarks) -> MemoryBookmarks {
        bookmarks
    }
}

mod memory_bookmarks {
    provisioning_core::bookmarks_conformance!(super::InMemory);
}

mod memory_store {
    provisioning_core::store_conformance!(super::InMemory);
}

mod memory_vault {
    provisioning_core::vault_conformance!(super::InMemory);
}

/// The rules' names, of those that are broken.
fn names(broken: &[Broken]) -> Vec<&'static str> {
    broken.iter().map(|broken| broken.rule).collect()
}

/// That each rule is broken by one of the adapters that are broken on purpose.
fn assert_each_bites(rules: &[&str], faults: &[&[&str]]) {
    let toothless: Vec<_> = rules.iter().filter(|rule| !faults.concat().contains(rule)).collect();
    assert!(toothless.is_empty(), "no broken adapter shows that these bite: {toothless:?}");
}

#[test]
fn a_breach_is_told_in_words_that_begin_with_the_rule() {
    use provisioning_core::conformance::__private::run;
    let by_panic = catch_unwind(|| run("a_rule", async { panic!("not so") }));
    let by_error = catch_unwind(|| run("a_rule", async { Err("no answer".into()) }));
    for (outcome, expected) in [(by_panic, "a_rule: not so"), (by_error, "a_rule: no answer")] {
        let panic = outcome.expect_err("the rule is broken");
        assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some(expected));
    }
    run("a_rule", async { Ok(()) });
}

#[test]
fn a_fixture_may_wait_while_it_is_made() {
    let broken = provisioning_core::conformance::store::broken_rules(async || {
        tokio::task::yield_now().await;
        InMemory
    });
    assert_eq!(broken, []);
}
