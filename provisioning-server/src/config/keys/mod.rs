//! Every key of the configuration, once: what it may hold, what holds without it, and what it is for.
//!
//! The reader asks for no key that has no row here, and leaves none out (debug builds check both, key by key). The
//! commented files of `provisioning config init`, the JSON schemas, `docs/configuration.md` and the advice about
//! misspelt variables are made from these rows.

mod installs;
mod machines;
mod server;
mod server_types;

use super::VARIABLE_PREFIX;

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    /// In full, such as `server.public_url`. A `*` stands for a name of the operator's choosing.
    pub(crate) name: &'static str,
    /// What it may hold.
    pub(crate) shape: Shape,
    /// What holds when it is not written.
    pub(crate) otherwise: Otherwise,
    /// A value as YAML writes it; of a secret, the name of the file that holds it.
    pub(crate) example: &'static str,
    /// What it is for, in sentences.
    pub(crate) about: &'static str,
}

/// What a key may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A text that fits a regular expression; an empty expression fits all.
    Text(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Truth,
    /// A whole number, from and to.
    Whole(u64, u64),
    /// A time such as `90s`.
    Time,
    /// The path of a file or folder, relative ones from the configuration's folder.
    Path,
    /// A text that nobody else may see: behind the key itself, or in the file that the key with `_file` behind it
    /// names.
    Secret,
    /// A list of texts that each fit a regular expression.
    List(&'static str),
    /// A list of these words.
    Words(&'static [&'static str]),
    /// Texts below names of the operator's choosing, which fit a regular expression.
    Map(&'static str),
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Nothing does: it must be written.
    Required,
    /// This value.
    Default(&'static str),
    /// This, which no value of the key says.
    Said(&'static str),
}

/// Keys that stand below one key.
#[derive(Debug)]
pub(crate) struct Group {
    /// The key that they stand below; empty for keys that stand by themselves.
    pub(crate) name: &'static str,
    /// Whether there may be several, as a list.
    pub(crate) is_list: bool,
    /// What it is about, in sentences.
    pub(crate) about: &'static str,
    /// The keys, in the order of the file.
    pub(crate) keys: &'static [Key],
}

/// One of the two files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Document {
    /// `provisioning.yaml`.
    #[default]
    Main,
    /// `server-types.yaml`.
    ServerTypes,
}

impl Document {
    /// Its keys, in the order of the file. A group stands behind the one that it is part of.
    pub(crate) fn groups(self) -> &'static [Group] {
        match self {
            Self::Main => MAIN,
            Self::ServerTypes => server_types::GROUPS,
        }
    }

    /// All of its keys.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static Key> {
        self.groups().iter().flat_map(|group| group.keys)
    }

    /// The key of a full name.
    pub(crate) fn key(self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// What stands directly below a key, in order: the last parts of their names, files of secrets with them.
    pub(crate) fn below(self, name: &str) -> Vec<String> {
        let groups = self.groups().iter().map(|group| group.name).filter(|group| !group.is_empty());
        let mut found: Vec<String> =
            groups.filter_map(|group| part_below(group, name)).map(ToOwned::to_owned).collect();
        for key in self.keys() {
            let Some(part) = part_below(key.name, name) else { continue };
            found.push(part.to_owned());
            if key.shape == Shape::Secret {
                found.push(format!("{part}_file"));
            }
        }
        found.sort();
        found
    }

    /// The one key whose name ends so, wherever it stands.
    pub(crate) fn elsewhere(self, last: &str) -> Option<&'static str> {
        let mut found = self.keys().filter(|key| key.last() == last).map(|key| key.name);
        found.next().filter(|_| found.next().is_none())
    }
}

/// The groups of `provisioning.yaml`.
const MAIN: &[Group] = &[
    server::SERVER,
    server::TLS,
    server::STANDALONE,
    server::AUTH,
    server::LOGGING,
    machines::PXE,
    machines::IMAGES,
    machines::RETENTION,
    installs::CREDENTIALS,
    installs::PROXMOX,
    installs::TIMEOUTS,
    installs::INFRASTRUCTURE,
    installs::NOTIFY,
];

impl Key {
    /// The part of its name behind the last dot.
    pub(crate) fn last(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// The environment variable that sets it; `None` for what a variable cannot hold, or not reach.
    pub(crate) fn variable(&self, document: Document) -> Option<String> {
        let in_list = document.groups().iter().any(|group| group.is_list && self.name.starts_with(group.name));
        let settable = document == Document::Main && !in_list && !matches!(self.shape, Shape::Map(_));
        settable.then(|| variable_of(self.name))
    }
}

/// The environment variable of a key: `server.listen` is `PROVISIONING__SERVER__LISTEN`.
pub(crate) fn variable_of(name: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase().replace('.', "__"))
}

/// Every variable that sets a key.
pub(crate) fn variables() -> Vec<String> {
    let mut all = vec![];
    for key in Document::Main.keys() {
        let Some(variable) = key.variable(Document::Main) else { continue };
        if key.shape == Shape::Secret {
            all.push(format!("{variable}_FILE"));
        }
        all.push(variable);
    }
    all
}

/// The part of `name` behind `above`, when it is the last one.
fn part_below<'n>(name: &'n str, above: &str) -> Option<&'n str> {
    let (rest, last) = name.rsplit_once('.').unwrap_or(("", name));
    (rest == above).then_some(last)
}

/// An address and a port: `10.0.0.2:8080` or `[fd00::2]:8080`.
const SOCKET: &str = r"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]):\d{1,5}$";
/// An http or https URL.
const URL: &str = "^https?://[^ ?#]+$";
/// The SHA-256 of a certificate.
const FINGERPRINT: &str = "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}$";
/// An IPv4 address.
const IPV4: &str = r"^\d{1,3}(\.\d{1,3}){3}$";
/// An IP address.
const IP: &str = "^[0-9A-Fa-f:.]+$";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_stands_below_a_key_is_its_keys_and_its_groups() {
        let below = Document::ServerTypes.below("server_types.*");
        assert!(below.contains(&"zfs".to_owned()) && below.contains(&"boot_disk".to_owned()), "{below:?}");
        assert_eq!(Document::ServerTypes.below(""), ["server_types"]);
        assert_eq!(Document::Main.elsewhere("range"), Some("pxe.range"));
        assert_eq!(Document::Main.elsewhere("dns"), None, "it stands in two places");
    }

    #[test]
    fn a_secret_has_two_keys_and_two_variables() {
        let below = Document::Main.below("credentials");
        assert_eq!(below, ["root_password_hash", "root_password_hash_file"]);
        let variables = variables();
        for name in ["PROVISIONING__AUTH__ADMIN_TOKEN", "PROVISIONING__AUTH__ADMIN_TOKEN_FILE"] {
            assert!(variables.iter().any(|variable| variable == name), "{name}");
        }
        assert!(!variables.iter().any(|variable| variable.contains("NOTIFY")), "a variable cannot reach into a list");
    }

    #[test]
    fn every_key_is_named_once_and_stands_in_its_group() {
        for document in [Document::Main, Document::ServerTypes] {
            let names: BTreeSet<&str> = document.keys().map(|key| key.name).collect();
            assert_eq!(names.len(), document.keys().count());
            for group in document.groups() {
                for key in group.keys {
                    let above = key.name.rsplit_once('.').map_or("", |(above, _)| above);
                    assert_eq!(above, group.name, "{}", key.name);
                    assert!(key.about.ends_with('.') && !key.example.is_empty(), "{}", key.name);
                }
            }
        }
    }
}
