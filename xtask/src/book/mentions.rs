//! Whether the book leaves nothing out: each command, each section of the configuration, each figure of `/metrics`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::pages::Page;
use crate::shell::Shell;

/// What the book does not tell of, though the program has it.
pub(super) fn missing(shell: &Shell, folder: &Path, pages: &[Page]) -> anyhow::Result<Vec<String>> {
    let book: Vec<&Page> = pages.iter().filter(|page| page.is_in_the_book()).collect();
    let told = |words: &str| book.iter().any(|page| has_words(&page.text, words));
    let mut found = Vec::new();
    for command in commands(shell, folder)? {
        if !told(&command) {
            found.push(format!("the command `{command}`"));
        }
    }
    for section in sections(shell.root())? {
        if !told(&format!("{section}:")) && !told(&format!("{section}.")) {
            found.push(format!("the configuration's section `{section}`"));
        }
    }
    Ok(found)
}

/// Whether the words stand in the text and are not the beginning of longer ones.
fn has_words(text: &str, words: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-' || next == '_');
    text.match_indices(words).any(|(at, _)| !words.ends_with(char::is_alphanumeric) || ends(&text[at + words.len()..]))
}

/// Every command without commands of its own, by the manual page that the program writes for it.
fn commands(shell: &Shell, folder: &Path) -> anyhow::Result<Vec<String>> {
    let manual = folder.join("manual");
    program(shell, &["man", &manual.to_string_lossy()])?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(&manual).with_context(|| format!("{} is unreadable", manual.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        pages.extend(name.strip_suffix(".1").map(str::to_owned));
    }
    pages.sort();
    let is_group = |page: &String| {
        let below = format!("{page}-");
        let group = fs::read_to_string(manual.join(format!("{page}.1"))).unwrap_or_default();
        group.contains(".SH SUBCOMMANDS") && pages.iter().any(|other| other.starts_with(&below))
    };
    let names = pages.iter().filter(|page| !is_group(page)).map(|page| spoken(page, &pages));
    Ok(names.collect())
}

/// `provisioning-host-rebuild` as it is typed: a dash parts words only where a page of the words before it exists.
fn spoken(page: &str, pages: &[String]) -> String {
    let cuts = page.match_indices('-').filter(|(at, _)| pages.iter().any(|other| other == &page[..*at]));
    let mut typed = page.to_owned();
    for (at, _) in cuts {
        typed.replace_range(at..=at, " ");
    }
    typed
}

/// The sections of the configuration, from the example that is made of all keys there are.
fn sections(root: &Path) -> anyhow::Result<Vec<String>> {
    let example = root.join("deploy/provisioning.example.yaml");
    let example = fs::read_to_string(&example).with_context(|| format!("{} is unreadable", example.display()))?;
    let sections: Vec<String> = example.lines().filter_map(section).map(str::to_owned).collect();
    if sections.len() < 5 {
        bail!("the example configuration has fewer sections than the program");
    }
    Ok(sections)
}

/// The key at the beginning of a line, or behind the `#` that makes a comment of it.
fn section(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix('#').unwrap_or(line).split_once(':')?;
    (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(key)
}

fn program(shell: &Shell, args: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(shell.target().join("debug/provisioning"));
    let output = command.args(args).stdin(Stdio::null()).output().context("provisioning could not be started")?;
    if !output.status.success() {
        bail!("provisioning {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_of_when_it_stands_there_whole() {
        assert!(has_words("run `provisioning host list`", "provisioning host list"));
        assert!(!has_words("provisioning token-list and provisioning watcher", "provisioning watch"));
    }

    #[test]
    fn sections_stand_at_the_beginning_of_a_line() {
        let lines = ["server:", "#retention:", "# Default: data", "  listen: x", "", "#server_types_file: a"];
        let found: Vec<_> = lines.iter().filter_map(|line| section(line)).collect();
        assert_eq!(found, ["server", "retention", "server_types_file"]);
    }

    #[test]
    fn dashes_of_a_commands_own_name_stay() {
        let pages = ["provisioning", "provisioning-host", "provisioning-host-list", "provisioning-check-config"];
        let pages = pages.map(str::to_owned);
        assert_eq!(spoken("provisioning-host-list", &pages), "provisioning host list");
        assert_eq!(spoken("provisioning-check-config", &pages), "provisioning check-config");
    }
}
