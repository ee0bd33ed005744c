//! House rules that no lint covers, checked on the whole workspace's sources.
//!
//! Words that are banned are put together from parts here, so that this file keeps the rules it checks.
#![expect(clippy::disallowed_methods, reason = "reads the sources from disk; the fence is meant for the core itself")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code at which a file is to be split.
const CODE_LINES_MAX: usize = 400;

#[test]
fn every_rust_file_says_first_why_it_exists() {
    let silent = rust_files().into_iter().filter(|file| !file.text.starts_with("//! "));
    refuse("begin the file with a `//!` line that says why it exists", silent.map(|file| format!("{}:1", file.path)));
}

#[test]
fn no_file_outgrows_its_reader() {
    let long = rust_files().into_iter().filter(|file| !file.is_test()).filter_map(|file| {
        let lines = file.product_code().count();
        (lines > CODE_LINES_MAX).then(|| format!("{}:1 has {lines} lines of code", file.path))
    });
    refuse(&format!("split files of more than {CODE_LINES_MAX} lines of code by idea"), long);
}

#[test]
fn no_file_is_named_after_nothing() {
    let names = ["utils.rs", "common.rs", "types.rs", "imp.rs", "helpers.rs"];
    let vague = rust_files().into_iter().filter(|file| names.contains(&file_name(&file.path)));
    refuse("name the file after the one thing it holds", vague.map(|file| format!("{}:1", file.path)));
}

#[test]
fn no_test_is_skipped_or_passes_by_panicking() {
    let banned = [concat!("#[", "ignore"), concat!("#[", "should_panic")];
    refuse("mend or remove the test; compare the error instead of panicking", matches_in(&rust_files(), &banned));
}

#[test]
fn nothing_is_left_for_later() {
    let banned = [concat!("to", "do!("), concat!("un", "implemented!(")];
    refuse("write it, or leave it out", matches_in(&rust_files(), &banned));
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    let tests: Vec<Source> = rust_files().into_iter().filter(Source::is_test).collect();
    let advice = "wait for the condition itself: a channel, a line of output, or an `interval` inside a `timeout`";
    refuse(advice, matches_in(&tests, &[concat!("sle", "ep(")]));
}

#[test]
fn the_core_reads_no_clock_environment_file_or_dice() {
    let clocks = ["SystemTime::now", "Instant::now", "Timestamp::now", "ZonedDateTime::now"];
    let surroundings = ["std::env", "env::var", "std::process", "tokio::process"];
    let files_and_sockets = ["std::fs", "tokio::fs", "tokio::net", "TcpStream", "TcpListener", "UdpSocket"];
    let dice = ["getrandom", "rand::", "Uuid::new_v4", "Uuid::now_v7", "RandomState"];
    let banned = [&clocks[..], &surroundings, &files_and_sockets, &dice].concat();
    let core = files_below(&["provisioning-core/src/"]);
    let found = core.iter().flat_map(|file| matches(file, file.product_code(), &banned));
    refuse("take the value as an argument or ask a port (Clock, Entropy); I/O belongs to an adapter", found);
}

#[test]
fn what_decides_does_not_wait() {
    let pure = ["machine/", "model/", "netboot/", "render/"].map(|folder| format!("provisioning-core/src/{folder}"));
    let pure = files_below(&pure.each_ref().map(String::as_str));
    let rule = "machine, model, netboot and render are functions from values to values";
    refuse(rule, matches_in(&pure, &["tokio", "async", "await"]));
}

#[test]
fn adapters_do_not_know_each_other() {
    let folder = "provisioning-adapters/src/";
    let adapter_of = |file: &Source| file.path[folder.len()..].split(['/', '.']).next().unwrap_or_default().to_owned();
    let mut files = files_below(&[folder]);
    files.retain(|file| adapter_of(file) != "lib");
    let mut adapters: Vec<String> = files.iter().map(adapter_of).collect();
    adapters.dedup();
    let found = files.iter().flat_map(|file| {
        let others = adapters.iter().filter(|name| **name != adapter_of(file));
        // A group of imports could hide a name on another line.
        let banned: Vec<String> = others.map(|name| format!("crate::{name}")).chain(["crate::{".to_owned()]).collect();
        let banned: Vec<&str> = banned.iter().map(String::as_str).collect();
        matches(file, file.code(), &banned)
    });
    refuse("what two adapters share belongs to the core; import from the own adapter without `crate::{`", found);
}

#[test]
fn dependencies_point_inwards() {
    let allowed: [(&str, &[&str]); 4] = [
        ("provisioning-core", &[]),
        ("provisioning-adapters", &["provisioning-core"]),
        ("provisioning-sim", &["provisioning-core"]),
        ("provisioning-server", &["provisioning-core", "provisioning-adapters", "provisioning-sim"]),
    ];
    let found = allowed.iter().flat_map(|(name, may)| {
        let manifest =
            fs::read_to_string(workspace().join(name).join("Cargo.toml")).expect("each crate has a manifest");
        let manifest: toml::Table = manifest.parse().expect("cargo has read this manifest before us");
        let needs = manifest["dependencies"].as_table().expect("dependencies are a table").clone();
        let ours = needs.into_iter().map(|(need, _)| need).filter(|need| need.starts_with("provisioning-"));
        ours.filter(|need| !may.contains(&need.as_str())).map(move |need| format!("{name}/Cargo.toml: {need}"))
    });
    refuse("server depends on adapters, sim and core; adapters and sim on core; core on none of them", found);
}

#[test]
fn documents_name_no_place_of_one_machine() {
    let places = ["/home/", "/Users/", concat!("/wo", "rk/"), "/workspace/", "file:///"];
    let documents: Vec<Source> = sources().into_iter().filter(|file| file.has_extension("md")).collect();
    let found = documents.iter().flat_map(|file| matches(file, file.lines(), &places));
    refuse("write paths relative to the repository", found);
}

#[test]
fn a_banned_word_is_found_as_a_word_and_outside_comments() {
    let banned = concat!("sle", "ep(");
    let file = source(&format!("//! {banned}\nthread::{banned}1);\nlet no_{banned}2);\n"));
    assert_eq!(matches(&file, file.code(), &[banned]), [format!("a/tests/b.rs:2: `{banned}`")]);
}

#[test]
fn code_ends_where_a_test_module_with_a_body_begins() {
    let file = source("//! Why.\n#[cfg(test)]\nmod tests;\n\n// Why.\nfn a() {}\n#[cfg(test)]\nmod inner {\n}\n");
    let numbers: Vec<usize> = file.product_code().map(|(number, _)| number).collect();
    assert_eq!(numbers, [2, 3, 6], "a module that is only declared does not end it");
}

#[test]
fn the_whole_workspace_is_looked_at() {
    let paths: Vec<String> = sources().into_iter().map(|file| file.path).collect();
    for path in
        ["provisioning-core/src/lib.rs", "provisioning-core/tests/tidy.rs", "xtask/src/main.rs", "CONTRIBUTING.md"]
    {
        assert!(paths.iter().any(|seen| seen == path), "{path} was not looked at");
    }
}

/// A text file of the workspace.
struct Source {
    /// Relative to the workspace, with `/` between folders.
    path: String,
    text: String,
}

impl Source {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// Whether it holds tests or benchmarks only.
    fn is_test(&self) -> bool {
        let folder = |name: &str| self.path.split('/').rev().skip(1).any(|part| part == name);
        folder("tests") || folder("benches") || file_name(&self.path) == "tests.rs"
    }

    /// The lines with their numbers, counted from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines, without blank ones and those that are only a comment.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
    }

    /// The code before the file's own tests begin: `#[cfg(test)]` on a module with a body.
    fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = (0..lines.len()).find(|&index| {
            let item = lines[index + 1..].iter().find(|next| !next.starts_with("#["));
            lines[index] == "#[cfg(test)]" && item.is_some_and(|item| item.starts_with("mod ") && item.ends_with('{'))
        });
        self.code().take_while(move |(number, _)| tests.is_none_or(|tests| *number <= tests))
    }
}

/// Fails with the rule and every place that breaks it.
fn refuse(rule: &str, places: impl IntoIterator<Item = String>) {
    let places: Vec<String> = places.into_iter().collect();
    assert!(places.is_empty(), "{rule}:\n  {}", places.join("\n  "));
}

/// The places in the files' code where one of the words stands.
fn matches_in(files: &[Source], words: &[&str]) -> Vec<String> {
    files.iter().flat_map(|file| matches(file, file.code(), words)).collect()
}

/// The places in these lines of a file where one of the words stands.
fn matches<'a>(file: &Source, lines: impl Iterator<Item = (usize, &'a str)>, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in lines {
        let here = words.iter().filter(|word| has_word(line, word));
        found.extend(here.map(|word| format!("{}:{number}: `{word}`", file.path)));
    }
    found
}

/// Whether `word` stands in the line, and not as the tail of a longer name or path.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |char: char| char.is_alphanumeric() || char == '_';
    let starts_like_one = word.starts_with(part_of_name) || word.starts_with('/');
    line.match_indices(word).any(|(at, _)| !(starts_like_one && line[..at].ends_with(part_of_name)))
}

fn source(text: &str) -> Source {
    Source { path: "a/tests/b.rs".to_owned(), text: text.to_owned() }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn rust_files() -> Vec<Source> {
    sources().into_iter().filter(|file| file.has_extension("rs")).collect()
}

fn files_below(folders: &[&str]) -> Vec<Source> {
    let mut files = rust_files();
    files.retain(|file| folders.iter().any(|folder| file.path.starts_with(folder)));
    files
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rust sources and documents of the workspace, sorted; what is built or hidden is left out.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&workspace(), "", &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the workspace's folders can be listed") {
        let entry = entry.expect("the workspace's folders can be listed").path();
        let name = entry.file_name().and_then(|name| name.to_str()).expect("our file names are UTF-8");
        let path = format!("{prefix}{name}");
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if entry.is_dir() {
            collect(&entry, &format!("{path}/"), found);
        } else if entry.extension().is_some_and(|ext| ext == "rs" || ext == "md") {
            let text = fs::read_to_string(&entry).expect("our sources are UTF-8");
            found.push(Source { path, text });
        }
    }
}
