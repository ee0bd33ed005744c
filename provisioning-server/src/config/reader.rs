//! Reads values out of a [`Tree`] and collects every fault instead of stopping at the first.
//!
//! A [`Section`] remembers the keys it was asked for: what remains at its end is unknown, and a fault.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use provisioning_core::model::Secret;

use super::fault::{Fault, Place};
use super::keys::{Document, Otherwise, Shape};
use super::nearness::{did_you_mean, nearest};
use super::tree::{Entry, Node, Scalar, ScalarKind, Tree};
use super::unreadable::unreadable;

/// Collects faults and warnings, and knows what relative paths are relative to.
#[derive(Debug)]
pub(super) struct Reader {
    base: PathBuf,
    /// Texts of files that are not written yet: they are read in place of what is on the disk.
    drafts: BTreeMap<PathBuf, Secret<String>>,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
    pub(super) origins: RefCell<Origins>,
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
    pub(super) fn new(base: &Path, drafts: BTreeMap<PathBuf, Secret<String>>) -> Self {
        Self {
            base: base.to_owned(),
            drafts,
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
    pub(super) fn root(&self, document: Document, tree: Tree) -> Section<'_> {
        Section::of(self, Name { document, ..Name::default() }, tree)
    }

    /// The text of a file, or why there is none, to stand behind its path.
    pub(super) fn read(&self, path: &Path) -> Result<Secret<String>, String> {
        if let Some(draft) = self.drafts.get(path) {
            return Ok(Secret::new(draft.expose().clone()));
        }
        std::fs::read_to_string(path).map(Secret::new).map_err(|error| unreadable(path, &error))
    }

    /// Whether a file exists so far as a draft only.
    pub(super) fn is_draft(&self, path: &Path) -> bool {
        self.drafts.contains_key(path)
    }

    /// A path as written, relative ones from the configuration file's directory.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }
}

/// What a section is called.
#[derive(Clone, Debug, Default)]
pub(super) struct Name {
    document: Document,
    /// The key in full, as the operator wrote it.
    path: String,
    /// The same as the table of keys has it: with a `*` for a name of the operator's own.
    row: String,
}

impl Name {
    pub(super) fn below(&self, key: &str) -> Self {
        Self { document: self.document, path: joined(&self.path, key), row: joined(&self.row, key) }
    }

    /// What stands below a name of the operator's own.
    pub(super) fn below_own(&self, name: &str) -> Self {
        Self { path: joined(&self.path, name), ..self.below("*") }
    }
}

/// A key in full; an empty one is the section itself.
fn joined(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

/// The keys below one key.
#[derive(Debug)]
pub(super) struct Section<'r> {
    pub(super) reader: &'r Reader,
    pub(super) name: Name,
    place: Place,
    pub(super) left: BTreeMap<String, Entry>,
    asked: Vec<String>,
    written: Vec<String>,
}

impl<'r> Section<'r> {
    pub(super) fn of(reader: &'r Reader, name: Name, tree: Tree) -> Self {
        let entries = match tree.node {
            Node::Map(entries) => entries,
            Node::Empty => vec![],
            Node::Scalar(_) | Node::List(_) => {
                let problem = "holds keys of its own: write them indented below it".to_owned();
                reader.fault(Fault { place: tree.place.clone(), key: name.path.clone(), problem, help: None });
                vec![]
            }
        };
        let filled = entries.iter().filter(|entry| !matches!(entry.value.node, Node::Empty));
        let written = filled.map(|entry| entry.key.clone()).collect();
        let left = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Self { reader, name, place: tree.place, left, asked: vec![], written }
    }

    /// A key of this section in full; an empty one is the section itself.
    pub(super) fn key(&self, key: &str) -> String {
        joined(&self.name.path, key)
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
        Section::of(self.reader, self.name.below(key), tree)
    }

    /// That the table of keys has a row for what is read, with this shape.
    pub(super) fn expects(&self, key: &str, fits: impl Fn(Shape) -> bool) {
        if cfg!(debug_assertions) {
            let name = joined(&self.name.row, key);
            let row = self.name.document.key(&name);
            let secret = || {
                let row = self.name.document.key(name.strip_suffix("_file")?)?;
                (row.shape == Shape::Secret).then_some(row)
            };
            let row = row.or_else(secret);
            assert!(row.is_some_and(|row| fits(row.shape)), "config/keys has no row of this shape for {name}");
        }
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
        self.expects(key, |shape| matches!(shape, Shape::Text(_) | Shape::Path | Shape::Word(_) | Shape::Secret));
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

    /// The same; when nothing is written, the default that the table of keys has. `None` when what was written is wrong.
    pub(super) fn parsed_or_default<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        if self.is_written(key) {
            return self.parsed(key);
        }
        self.left.remove(key);
        self.asked.push(key.to_owned());
        match self.name.document.key(&joined(&self.name.row, key))?.otherwise {
            Otherwise::Default(default) => default.parse().ok(),
            Otherwise::Required | Otherwise::Said(_) => None,
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
        let same = |known: &[&str]| known.iter().eq(words.iter().map(|(word, _)| word));
        self.expects(key, |shape| matches!(shape, Shape::Word(known) if same(known)));
        let (place, Scalar { text, kind }) = self.scalar(key)?;
        let text = match (kind, text.as_str()) {
            (ScalarKind::Truth, "true") => "on".to_owned(),
            (ScalarKind::Truth, _) => "off".to_owned(),
            _ => text,
        };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let meant = did_you_mean(nearest(&names, &text));
            let problem = format!("{:?} is not one of {}{meant}", shortened(&text), names.join(", "));
            self.fault_at(&place, key, problem);
        }
        found
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, key: &str) -> Option<(Place, bool)> {
        self.expects(key, |shape| shape == Shape::Truth);
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
        self.expects(key, |shape| matches!(shape, Shape::Whole(..)));
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
        self.expects(key, |shape| shape == Shape::Time);
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
        let path = self.reader.path(&name);
        match self.reader.read(&path) {
            Ok(text) => Some(text.expose().clone()),
            Err(problem) => {
                self.fault_at(&place, key, format!("{} {problem}", path.display()));
                None
            }
        }
    }

    /// Warns about `key` at a place.
    pub(super) fn warn(&self, place: Place, key: &str, problem: impl Into<String>) {
        self.reader.warn(Fault { place, key: self.key(key), problem: problem.into(), help: None });
    }

    /// Ends the reading: keys that nobody asked for are unknown.
    pub(super) fn finish(self) {
        let known: Vec<&str> = self.asked.iter().map(String::as_str).collect();
        if cfg!(debug_assertions) {
            let asked: BTreeSet<&str> = known.iter().copied().collect();
            let rows = self.name.document.below(&self.name.row);
            assert!(asked.iter().eq(rows.iter()), "{:?} is read, config/keys has {rows:?}", self.asked);
        }
        for (name, entry) in &self.left {
            let problem = match (nearest(&known, name), self.name.document.elsewhere(name)) {
                (Some(close), _) => format!("is not a known key{}", did_you_mean(Some(close))),
                (None, Some(full)) => format!("is not a known key here: write it as {full}"),
                (None, None) => format!("is not a known key; known here: {}", known.join(", ")),
            };
            self.fault_at(&entry.place, name, problem);
        }
    }
}

/// At most 60 characters of a value, so that a fault stays readable.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(57).chain("...".chars()).collect() }
}
