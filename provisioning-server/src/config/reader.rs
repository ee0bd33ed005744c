//! Reads values out of a [`Tree`] and collects every fault instead of stopping at the first.
//!
//! A [`Section`] remembers the keys it was asked for: what remains at its end is unknown, and a fault.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::fault::{Fault, Place};
use super::nearness::nearest;
use super::tree::{Entry, Node, Scalar, ScalarKind, Tree};

/// Collects faults and warnings, and knows what relative paths are relative to.
#[derive(Debug)]
pub(super) struct Reader {
    base: PathBuf,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
    origins: RefCell<Origins>,
}

/// Where each value that was written stands, by its key in full.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Origins(pub(super) BTreeMap<String, Place>);

impl fmt::Debug for Origins {
    /// Places say nothing of what is in force.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins").finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            faults: RefCell::default(),
            warnings: RefCell::default(),
            origins: RefCell::default(),
        }
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    pub(super) fn warn(&self, warning: Fault) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Where the values stand that were read so far.
    pub(super) fn origins(&self) -> Origins {
        self.origins.borrow().clone()
    }

    /// All faults in the order of the files, and all warnings.
    pub(super) fn into_parts(self) -> (Vec<Fault>, Vec<Fault>) {
        let (mut faults, warnings) = (self.faults.into_inner(), self.warnings.into_inner());
        faults.sort_by(|a, b| a.place.order().cmp(&b.place.order()));
        (faults, warnings)
    }

    /// The root of a file.
    pub(super) fn root(&self, tree: Tree) -> Section<'_> {
        Section::of(self, String::new(), tree)
    }

    /// A path as written, relative ones from the configuration file's directory.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }
}

/// The keys below one key.
#[derive(Debug)]
pub(super) struct Section<'r> {
    pub(super) reader: &'r Reader,
    path: String,
    place: Place,
    left: BTreeMap<String, Entry>,
    asked: Vec<String>,
    written: Vec<String>,
}

impl<'r> Section<'r> {
    fn of(reader: &'r Reader, path: String, tree: Tree) -> Self {
        let entries = match tree.node {
            Node::Map(entries) => entries,
            Node::Empty => vec![],
            Node::Scalar(_) | Node::List(_) => {
                let problem = "holds keys of its own: write them indented below it".to_owned();
                reader.fault(Fault { place: tree.place.clone(), key: path.clone(), problem, help: None });
                vec![]
            }
        };
        let filled = entries.iter().filter(|entry| !matches!(entry.value.node, Node::Empty));
        let written = filled.map(|entry| entry.key.clone()).collect();
        let left = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Self { reader, path, place: tree.place, left, asked: vec![], written }
    }

    /// A key of this section in full; an empty one is the section itself.
    pub(super) fn key(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Where this section stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Reports that `key` is wrong, at the section's own place.
    pub(super) fn fault(&self, key: &str, problem: impl Into<String>, help: Option<String>) {
        let key = self.key(key);
        self.reader.fault(Fault { place: self.place.clone(), key, problem: problem.into(), help });
    }

    /// Reports that `key` is wrong, at `place`.
    pub(super) fn fault_at(&self, place: &Place, key: &str, problem: impl Into<String>) {
        let fault = Fault { place: place.clone(), key: self.key(key), problem: problem.into(), help: None };
        self.reader.fault(fault);
    }

    /// The value of a key; `None` when nothing is written.
    pub(super) fn take(&mut self, key: &str) -> Option<Tree> {
        self.asked.push(key.to_owned());
        let tree = self.left.remove(key).map(|entry| entry.value).filter(|tree| !matches!(tree.node, Node::Empty))?;
        if !matches!(tree.node, Node::Map(_)) {
            self.reader.origins.borrow_mut().0.insert(self.key(key), tree.place.clone());
        }
        Some(tree)
    }

    /// Whether something is written behind a key that was not taken yet.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.left.get(key).is_some_and(|entry| !matches!(entry.value.node, Node::Empty))
    }

    /// Whether something was written behind a key that has been taken since.
    pub(super) fn was_written(&self, key: &str) -> bool {
        self.written.iter().any(|written| written == key)
    }

    /// The section below a key; empty when nothing is written.
    pub(super) fn section(&mut self, key: &str) -> Section<'r> {
        let place = self.place.clone();
        let tree = self.take(key).unwrap_or(Tree { place, node: Node::Empty });
        Section::of(self.reader, self.key(key), tree)
    }

    fn scalar(&mut self, key: &str) -> Option<(Place, Scalar)> {
        let tree = self.take(key)?;
        match tree.node {
            Node::Scalar(scalar) => Some((tree.place, scalar)),
            Node::Empty => None,
            Node::List(_) | Node::Map(_) => {
                self.fault_at(&tree.place, key, "has one value, not a list or keys of its own");
                None
            }
        }
    }

    /// A text and its place. Numbers must be in quotes: YAML would drop leading zeroes.
    pub(super) fn text(&mut self, key: &str) -> Option<(Place, String)> {
        let (place, scalar) = self.scalar(key)?;
        match scalar.kind {
            ScalarKind::Text | ScalarKind::Variable => Some((place, scalar.text)),
            ScalarKind::Number | ScalarKind::Truth => {
                self.fault_at(&place, key, format!("is a text: write \"{}\" in quotes", scalar.text));
                None
            }
        }
    }

    /// A text parsed into its type.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        let (place, text) = self.text(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault_at(&place, key, format!("{:?}: {error}", shortened(&text)));
                None
            }
        }
    }

    /// A text parsed into a type whose own error does not say what is allowed.
    pub(super) fn parsed_as<T: FromStr>(&mut self, key: &str, allowed: &str) -> Option<(Place, T)> {
        let (place, text) = self.text(key)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.fault_at(&place, key, format!("{:?} is not {allowed}", shortened(&text)));
        }
        Some((place, value?))
    }

    /// A value that must be there; `example` says what to write.
    pub(super) fn required<T: FromStr<Err: Display>>(&mut self, key: &str, example: &str) -> Option<T> {
        if !self.is_written(key) {
            self.left.remove(key);
            self.asked.push(key.to_owned());
            self.fault(key, format!("is missing: {example}"), None);
            return None;
        }
        self.parsed(key)
    }

    /// One of a few words; a truth value is read as `on` or `off`.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let (place, Scalar { text, kind }) = self.scalar(key)?;
        let text = match (kind, text.as_str()) {
            (ScalarKind::Truth, "true") => "on".to_owned(),
            (ScalarKind::Truth, _) => "off".to_owned(),
            _ => text,
        };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let problem = format!("{:?} is not one of {}", shortened(&text), names.join(", "));
            self.fault_at(&place, key, problem);
        }
        found
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, key: &str) -> Option<(Place, bool)> {
        let (place, scalar) = self.scalar(key)?;
        match (scalar.kind, scalar.text.as_str()) {
            (ScalarKind::Truth | ScalarKind::Variable, "true") => Some((place, true)),
            (ScalarKind::Truth | ScalarKind::Variable, "false") => Some((place, false)),
            _ => {
                self.fault_at(&place, key, format!("{:?}: write true or false", shortened(&scalar.text)));
                None
            }
        }
    }

    /// A whole number.
    pub(super) fn number<T: FromStr>(&mut self, key: &str, range: &str) -> Option<T> {
        let (place, scalar) = self.scalar(key)?;
        let number = match scalar.kind {
            ScalarKind::Number | ScalarKind::Variable => scalar.text.parse().ok(),
            ScalarKind::Text | ScalarKind::Truth => None,
        };
        if number.is_none() {
            self.fault_at(&place, key, format!("{:?} is not a whole number from {range}", shortened(&scalar.text)));
        }
        number
    }

    /// A time such as `20m`, `90s`, `1h 30m`; longer than nothing, at most 30 days.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let (place, scalar) = self.scalar(key)?;
        let parsed = scalar.text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        match parsed {
            Some(time) if !time.is_zero() && time <= Duration::from_secs(30 * 24 * 3600) => Some(time),
            _ => {
                let problem = format!(
                    "{:?} is no time from 1s to 720h: write a number and its unit, such as 90s, 20m or 1h 30m",
                    shortened(&scalar.text)
                );
                self.fault_at(&place, key, problem);
                None
            }
        }
    }

    /// A path, made absolute.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(|(_, text)| self.reader.path(&text))
    }

    /// The text of the file that a key names.
    pub(super) fn file(&mut self, key: &str) -> Option<String> {
        let (place, name) = self.text(key)?;
        let text = std::fs::read_to_string(self.reader.path(&name));
        if let Err(error) = &text {
            self.fault_at(&place, key, format!("{name}: {error}"));
        }
        text.ok()
    }

    /// A list of texts parsed into their type; a variable holds one per line or comma.
    ///
    /// `None` when one of them is wrong; no key is an empty list.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        let items: Vec<Option<(Place, String)>> = match self.take(key) {
            None => return Some(vec![]),
            Some(Tree { node: Node::List(items), .. }) => {
                items.into_iter().map(|item| self.list_item(key, item)).collect()
            }
            Some(Tree { place, node: Node::Scalar(Scalar { text, kind: ScalarKind::Variable }) }) => {
                let parts = text.split(['\n', ',']).map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| Some((place.clone(), part.to_owned()))).collect()
            }
            Some(tree) => {
                self.fault_at(&tree.place, key, "is a list: write one entry a line, each behind a -");
                return None;
            }
        };
        let parse = |(place, text): (Place, String)| match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault_at(&place, key, format!("{:?}: {error}", shortened(&text)));
                None
            }
        };
        // All are parsed before the first fault ends it, so that every one of them is reported.
        let parsed: Vec<Option<T>> = items.into_iter().map(|item| item.and_then(parse)).collect();
        parsed.into_iter().collect()
    }

    /// Texts below keys, all of the operator's choosing.
    pub(super) fn map(&mut self, key: &str) -> Vec<(String, Place, String)> {
        let below = self.section(key);
        let mut pairs = vec![];
        for (name, entry) in below.left {
            match entry.value.node {
                Node::Scalar(Scalar { text, kind: ScalarKind::Text | ScalarKind::Variable }) => {
                    let place = entry.value.place.clone();
                    self.reader.origins.borrow_mut().0.insert(self.key(&format!("{key}.{name}")), place);
                    pairs.push((name, entry.value.place, text));
                }
                _ => self.fault_at(&entry.value.place, &format!("{key}.{name}"), "is a text: write it in quotes"),
            }
        }
        pairs
    }

    /// The sections below this one, whose names are of the operator's choosing.
    pub(super) fn into_sections(self) -> Vec<(String, Place, Section<'r>)> {
        let named = |(name, entry): (String, Entry)| {
            let key = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let section = Section::of(self.reader, key, Tree { place: entry.place.clone(), node: entry.value.node });
            (name, entry.place, section)
        };
        self.left.into_iter().map(named).collect()
    }

    /// The sections of a list; a variable cannot hold one.
    pub(super) fn sections_of(&mut self, key: &str) -> Vec<Section<'r>> {
        let Some(tree) = self.take(key) else { return vec![] };
        let Node::List(items) = tree.node else {
            self.fault_at(&tree.place, key, "is a list: write each entry's keys behind a -");
            return vec![];
        };
        items.into_iter().map(|item| Section::of(self.reader, self.key(key), item)).collect()
    }

    fn list_item(&self, key: &str, item: Tree) -> Option<(Place, String)> {
        if let Node::Scalar(Scalar { text, kind: ScalarKind::Text }) = item.node {
            return Some((item.place, text));
        }
        self.fault_at(&item.place, key, "has texts in its list: write them in quotes");
        None
    }

    /// Warns about `key` at a place.
    pub(super) fn warn(&self, place: Place, key: &str, problem: impl Into<String>) {
        self.reader.warn(Fault { place, key: self.key(key), problem: problem.into(), help: None });
    }

    /// Ends the reading: keys that nobody asked for are unknown.
    pub(super) fn finish(self) {
        let known = &self.asked;
        for (name, entry) in &self.left {
            let problem = match nearest(known, name) {
                Some(close) => format!("is not a known key; did you mean {close}?"),
                None => format!("is not a known key; known here: {}", known.join(", ")),
            };
            self.fault_at(&entry.place, name, problem);
        }
    }
}

/// At most 60 characters of a value, so that a fault stays readable.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(57).chain("...".chars()).collect() }
}
