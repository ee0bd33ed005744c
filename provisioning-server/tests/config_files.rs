//! The files that are made from the table of keys: they are the table's word for word, and mean what they say.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p provisioning-server --test config_files` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own files shall fail")]

use std::path::{Path, PathBuf};

use provisioning_server::config::{Document, example};

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Compares a file of the repository with what it should hold, or writes that.
fn check(path: &str, expected: &str) {
    let file = in_repository(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is not what the table of keys makes; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn the_examples_to_deploy_are_made_from_the_table_of_keys() {
    check("deploy/provisioning.example.yaml", &example(Document::Main));
    check("deploy/server-types.example.yaml", &example(Document::ServerTypes));
}
