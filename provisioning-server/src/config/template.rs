//! The two files with a comment on every key, some of them filled in: what `provisioning config init` writes.
//!
//! What is not filled in stands behind a `#` without a blank, with an example: taking the `#` away sets it.

use std::collections::BTreeMap;

use super::keys::{Document, Group, Key, Otherwise, Shape};

/// So wide is a comment at most, its indentation not counted.
const WIDTH: usize = 96;

/// Values for keys, by their full names (secrets by `NAME_file`, or by `NAME` itself), as YAML writes them.
pub type Filled = BTreeMap<String, String>;

/// A file with every key, those of `filled` in force and the others as comments.
pub fn file(document: Document, filled: &Filled) -> String {
    let mut text = head(document).to_owned();
    let class = class_of(filled);
    for group in document.groups() {
        write_group(&mut text, group, &class, filled);
    }
    text
}

/// A file to begin with: what most sites want to say, for a site that does not exist.
pub fn example(document: Document) -> String {
    let filled: &[(&str, &str)] = match document {
        Document::Main => &[
            ("server.public_url", "http://10.0.0.2:8080"),
            ("server.listen", "0.0.0.0:8080"),
            ("server.data_dir", "/var/lib/provisioning"),
            ("pxe.enabled", "false"),
            ("credentials.root_password_hash_file", "secrets/root-password-hash"),
            ("proxmox.existing_node", "\"\""),
            ("proxmox.domain", "lab.example"),
            ("proxmox.country", "us"),
            ("proxmox.timezone", "UTC"),
            ("proxmox.keyboard", "en-us"),
            ("proxmox.mailto", "root@lab.example"),
        ],
        Document::ServerTypes => &[
            ("server_types.mini.display_name", "Mini PC"),
            ("server_types.mini.boot_disk", "nvme0n1"),
            ("server_types.mini.hostname_prefix", "pve"),
        ],
    };
    file(document, &filled.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

/// A text as YAML writes it: plain where that means the same, else in single quotes.
pub fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-@:+ ".contains(c))
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn head(document: Document) -> &'static str {
    match document {
        Document::Main => {
            "\
# The configuration of the provisioning server. Every key there is stands below: to set one that is commented out,
# take its # away. `provisioning check-config` tells what is wrong, `provisioning check-config --explain` what is in
# force. Each key may also be set by an environment variable, which counts more than this file: server.listen by
# PROVISIONING__SERVER__LISTEN. Paths are relative to this file's folder.
"
        }
        Document::ServerTypes => {
            "\
# The hardware classes of the provisioning server. Every key there is stands below, some commented out. Edits are
# taken up while the server runs; a bad one changes nothing, and the log and the dashboard say so.
"
        }
    }
}

/// The name of the hardware class that is filled in.
fn class_of(filled: &Filled) -> String {
    let mut names = filled.keys().filter_map(|key| key.strip_prefix("server_types.")?.split('.').next());
    names.next().unwrap_or("mini").to_owned()
}

fn write_group(text: &mut String, group: &Group, class: &str, filled: &Filled) {
    let name = group.name.replace('*', class);
    let depth = if name.is_empty() { 0 } else { name.split('.').count() };
    if !name.is_empty() {
        let indent = "  ".repeat(depth - 1);
        text.push('\n');
        comment(text, &indent, group.about);
        text.extend([&indent, name.rsplit('.').next().unwrap_or(&name), ":\n"]);
    }
    let indent = "  ".repeat(depth);
    for (number, key) in group.keys.iter().enumerate() {
        // Air between keys, but none below the line that the group begins with.
        if number > 0 || name.is_empty() {
            text.push('\n');
        }
        let bullet = match (group.is_list, number) {
            (false, _) => "",
            (true, 0) => "- ",
            (true, _) => "  ",
        };
        write_key(text, key, &name, &indent, bullet, filled);
    }
}

fn write_key(text: &mut String, key: &Key, group: &str, indent: &str, bullet: &str, filled: &Filled) {
    comment(text, indent, key.about);
    comment(text, indent, &otherwise(key));
    let full = |suffix: &str| match group {
        "" => format!("{}{suffix}", key.last()),
        group => format!("{group}.{}{suffix}", key.last()),
    };
    let name = key.last();
    let line = if let Some(value) = filled.get(&full("")) {
        format!("{name}: {value}")
    } else if let Some(value) = filled.get(&full("_file")) {
        format!("{name}_file: {value}")
    } else if key.shape == Shape::Secret {
        format!("#{bullet}{name}_file: {}", key.example)
    } else {
        format!("#{bullet}{name}: {}", key.example)
    };
    text.extend([indent, &line, "\n"]);
}

/// What holds without the key, and where a secret may stand.
fn otherwise(key: &Key) -> String {
    let holds = match key.otherwise {
        Otherwise::Required => "Required.".to_owned(),
        Otherwise::Default(value) => format!("Default: {value}"),
        Otherwise::Said(words) => format!("Without it: {words}."),
    };
    if key.shape == Shape::Secret {
        let name = key.last();
        return format!("{holds} {name}_file names a file that holds it; {name} holds it here.");
    }
    holds
}

fn comment(text: &mut String, indent: &str, words: &str) {
    for line in wrapped(words, WIDTH) {
        text.extend([indent, "# ", &line, "\n"]);
    }
}

/// A text in lines of at most `width` characters, broken at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_where_yaml_would_read_it_as_something_else() {
        for (text, yaml) in [
            ("Europe/Vienna", "Europe/Vienna"),
            ("http://10.0.0.2:8080", "http://10.0.0.2:8080"),
            ("no", "'no'"),
            ("10.0.0.10", "'10.0.0.10'"),
            ("$6$it's", "'$6$it''s'"),
            ("a: b", "'a: b'"),
            ("", "''"),
        ] {
            assert_eq!(scalar(text), yaml);
        }
    }

    #[test]
    fn lines_are_broken_at_blanks() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }
}
