//! Contract and suite say the same: each bullet of a port's `# Contract` is a rule, and each rule is a bullet.
#![expect(clippy::disallowed_methods, reason = "reads the sources from disk; the fence is meant for the core itself")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The ports whose suites there are, by the name of their file.
const SUITES: [&str; 8] =
    ["bookmarks", "boot_server", "cluster_member", "inventory", "power", "remote_shell", "store", "vault"];

#[test]
fn each_bullet_of_a_contract_is_a_rule_and_each_rule_a_bullet() {
    for suite in SUITES {
        let bullets = bullets(&contract_of(suite));
        assert!(!bullets.is_empty(), "{suite} has a contract");
        assert_eq!(rules(suite), bullets, "left: rules of conformance/{suite}, right: bullets of ports");
    }
}

#[test]
fn each_rule_is_run_by_the_macro_of_its_suite() {
    for suite in SUITES {
        assert_eq!(listed(suite), rules(suite), "left: list in __{suite}_rules!, right: rules of conformance/{suite}");
    }
}

#[test]
fn no_port_has_a_contract_that_nobody_checks() {
    let with_suite: BTreeSet<String> = SUITES.iter().flat_map(|suite| bullets(&contract_of(suite))).collect();
    let files = fs::read_dir(source("ports")).expect("there are ports");
    let all = files.flat_map(|file| bullets(&read(&file.expect("a file").path()))).collect::<BTreeSet<_>>();
    assert_eq!(all, with_suite);
}

#[test]
fn a_bullet_is_read_from_a_contract_only() {
    let text = "/// - `not_here`: before.\n/// # Contract\n/// - `one`: text,\n///   `more` of it.\n/// - `two`.\nfn x() {}\n\
                /// - `nor_here`.\n";
    assert_eq!(bullets(text), ["one", "two"].map(str::to_owned).into());
}

/// The text of the file with the port's trait.
fn contract_of(suite: &str) -> String {
    // Clock and Entropy, which promise nothing that could be checked, share a file with Power.
    let file = if suite == "power" { "surroundings" } else { suite };
    read(&source("ports").join(format!("{file}.rs")))
}

fn bullets(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_contract = false;
    for line in text.lines() {
        match line.strip_prefix("///") {
            Some(" # Contract") => in_contract = true,
            Some(comment) if in_contract => {
                let name = comment.strip_prefix(" - `").and_then(|rest| rest.split_once('`'));
                found.extend(name.map(|(name, _)| name.to_owned()));
            }
            Some(_) => {}
            None => in_contract = false,
        }
    }
    found
}

/// The public async functions of a suite's files.
fn rules(suite: &str) -> BTreeSet<String> {
    let name = |line: &str| Some(line.strip_prefix("pub async fn ")?.split(['(', '<']).next()?.to_owned());
    sources_of(suite).lines().filter_map(name).collect()
}

/// What the suite's list macro names.
fn listed(suite: &str) -> BTreeSet<String> {
    let text = read(&source("conformance").join(format!("{suite}.rs")));
    let begin = format!("$crate::$with! {{ {suite} [");
    let (_, rest) = text.split_once(&begin).expect("each suite has a list");
    let (list, _) = rest.split_once(']').expect("the list ends");
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn sources_of(suite: &str) -> String {
    let mut text = read(&source("conformance").join(format!("{suite}.rs")));
    for file in fs::read_dir(source("conformance").join(suite)).into_iter().flatten() {
        text += &read(&file.expect("a file").path());
    }
    text
}

fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
