//! A YAML file as a tree of values with their places.
//!
//! Structs with `deny_unknown_fields` stop at the first fault. A tree holds everything, so that the readers of
//! `reader.rs` can report all faults of a file together, and environment variables can be laid over it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::fault::{Fault, Place};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) place: Place,
    pub(super) node: Node,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Nothing was written behind the key.
    Empty,
    /// One word, number, or truth value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Tree>),
    /// Keys and values in the order of the file.
    Map(Vec<Entry>),
}

/// A scalar as text, and what YAML takes it for.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) kind: ScalarKind,
}

/// What a scalar was in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarKind {
    Text,
    Number,
    Truth,
    /// From an environment variable, which knows text only.
    Variable,
}

/// A key, where it stands, and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Tree,
}

impl Tree {
    /// Reads a YAML text.
    pub(super) fn parse(text: &str, path: &Arc<Path>) -> Result<Self, Fault> {
        // What some editors put in front of UTF-8.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Ok(Self { place: Place::whole(path), node: Node::Empty });
        }
        // `no` is Norway's keyboard and `007` a name: neither a truth value nor a number.
        let options = serde_saphyr::options! { strict_booleans: true, leading_zero_numbers_as_strings: true };
        let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column, problem) = match (tab(text), error.location()) {
                (Some((line, column)), _) => {
                    (line, column, "a tab indents this line: YAML takes blanks only".to_owned())
                }
                (None, Some(at)) => (at.line(), at.column(), one_line(&error)),
                (None, None) => (0, 0, one_line(&error)),
            };
            let place = Place::File { path: Arc::clone(path), line, column };
            Fault { place, key: String::new(), problem: format!("not YAML: {problem}"), help: None }
        })?;
        Ok(located(raw, path))
    }

    /// Lays a variable's value over the tree, making sections on the way where there are none.
    pub(super) fn overlay(&mut self, keys: &[String], name: &str, value: &str) {
        let place = Place::Variable(name.to_owned());
        let Some((first, rest)) = keys.split_first() else {
            let scalar = Scalar { text: value.to_owned(), kind: ScalarKind::Variable };
            *self = Self { place, node: Node::Scalar(scalar) };
            return;
        };
        if !matches!(self.node, Node::Map(_)) {
            self.node = Node::Map(vec![]);
        }
        if let Node::Map(entries) = &mut self.node {
            let at = entries.iter().position(|entry| entry.key == *first).unwrap_or_else(|| {
                let value = Self { place: place.clone(), node: Node::Empty };
                entries.push(Entry { key: first.clone(), place, value });
                entries.len() - 1
            });
            entries[at].value.overlay(rest, name, value);
        }
    }
}

/// Where a tab indents a line for the first time; counted from 1.
fn tab(text: &str) -> Option<(u64, u64)> {
    let mut lines = (1..).zip(text.lines());
    lines.find_map(|(number, line)| {
        let indent = line.len() - line.trim_start().len();
        let column = line[..indent].find('\t')?;
        (indent < line.len()).then(|| (number, u64::try_from(column).unwrap_or(0) + 1))
    })
}

/// A YAML error in one line, without the place, which stands in front already.
fn one_line(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = error.without_snippet() {
        return format!("the key {key} is written twice");
    }
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    line.rsplit_once(" at line ").map_or(line, |(problem, _)| problem).to_owned()
}

/// The tree as serde reads it.
enum Raw {
    Empty,
    Scalar(Scalar),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn located(raw: Spanned<Raw>, path: &Arc<Path>) -> Tree {
    let place = |at: Location| Place::File { path: Arc::clone(path), line: at.line(), column: at.column() };
    let node = match raw.value {
        Raw::Empty => Node::Empty,
        Raw::Scalar(scalar) => Node::Scalar(scalar),
        Raw::List(items) => Node::List(items.into_iter().map(|item| located(item, path)).collect()),
        Raw::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry { place: place(key.referenced), key: key.value, value: located(value, path) })
                .collect(),
        ),
    };
    Tree { place: place(raw.referenced), node }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl RawVisitor {
    fn number(value: impl fmt::Display) -> Raw {
        Raw::Scalar(Scalar { text: value.to_string(), kind: ScalarKind::Number })
    }
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a list or keys with values")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar { text: value.to_string(), kind: ScalarKind::Truth }))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Self::number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Self::number(value))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Self::number(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Self::number(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Self::number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Scalar { text: value.to_owned(), kind: ScalarKind::Text }))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = vec![];
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = vec![];
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
