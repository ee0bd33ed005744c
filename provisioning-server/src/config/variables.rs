//! Environment variables that set keys, and the misspelt ones.

use super::VARIABLE_PREFIX;
use super::fault::{Fault, Place};
use super::keys::{self, Document, Shape};
use super::nearness::{did_you_mean, nearest};
use super::reader::Reader;
use super::tree::Tree;

/// Variables of ours that set no key: the command line reads them.
const OTHERS: [&str; 2] = ["PROVISIONING_SERVER", "PROVISIONING_TOKEN"];

/// Lays the variables that set keys over the tree. Those that set none are faults, and those that only look like it
/// are warned of.
pub(super) fn lay_over(tree: &mut Tree, variables: impl IntoIterator<Item = (String, String)>, reader: &Reader) {
    let known = keys::variables();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            look_alike(&name, &known, reader);
            continue;
        };
        if sets_a_key(&name, &known) {
            let keys: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            tree.overlay(&keys, &name, &value);
        } else {
            let problem = unknown(rest, &name, &known);
            reader.fault(Fault { place: Place::Variable(name), key: String::new(), problem, help: None });
        }
    }
}

/// Whether a variable sets a key, or an entry of one that holds names of the operator's own.
fn sets_a_key(name: &str, known: &[&str]) -> bool {
    let name = name.to_ascii_uppercase();
    let is_entry = |key: &keys::Key| {
        let entry = name.strip_prefix(&keys::variable_of(key.name)).and_then(|rest| rest.strip_prefix("__"));
        matches!(key.shape, Shape::Map(_)) && entry.is_some_and(|entry| !entry.is_empty() && !entry.contains("__"))
    };
    known.contains(&name.as_str()) || Document::Main.keys().any(is_entry)
}

fn unknown(rest: &str, name: &str, known: &[&str]) -> String {
    let in_list = Document::Main
        .groups()
        .iter()
        .find(|group| group.is_list && rest.to_ascii_lowercase().split("__").next() == Some(group.name));
    if let Some(group) = in_list {
        return format!("sets no key: a variable cannot hold the entries of {}, write them into the file", group.name);
    }
    let meant = did_you_mean(nearest(known, name));
    format!("sets no key{meant}")
}

/// `PROVISIONING_SERVER_LISTEN` where `PROVISIONING__SERVER__LISTEN` was meant: with other underscores a key's.
fn look_alike(name: &str, known: &[&str], reader: &Reader) {
    let bare = |text: &str| text.to_ascii_uppercase().replace('_', "");
    if !name.to_ascii_uppercase().starts_with("PROVISIONING_") || OTHERS.contains(&name) {
        return;
    }
    let meant = known.iter().find(|known| bare(known) == bare(name));
    if let Some(meant) = meant {
        let problem = format!("sets no key: write two underscores between its parts, {meant}");
        reader.warn(Fault { place: Place::Variable(name.to_owned()), key: String::new(), problem, help: None });
    }
}
