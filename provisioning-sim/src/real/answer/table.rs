//! One table of an answer while it is read: keys are taken out of it, and what is left over is unknown.

use provisioning_core::model::Release;
use serde_json::{Map, Value};

use super::AnswerError;

/// A table of the answer, and which of its keys were not read yet.
pub(super) struct Table {
    path: String,
    keys: Map<String, Value>,
    release: Release,
    spelling: Spelling,
}

/// Which spellings of a key with more than one word a table takes (`reference/answer-file.md`, Dialect by version).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `root-password` alone.
    Kebab,
    /// `root_password` alone.
    Snake,
    /// Either, but not both at once.
    Both,
}

impl Spelling {
    /// The tables `global`, `disk-setup` and those within: snake at all times, kebab from 8.4 on.
    pub(super) fn of_main_tables(release: Release) -> Self {
        if release >= Release::new(8, 4) { Self::Both } else { Self::Snake }
    }
}

impl Table {
    pub(super) fn root(value: Value, release: Release) -> Result<Self, AnswerError> {
        // Sections never have a snake_case form.
        Self::new(String::new(), value, release, Spelling::Kebab)
    }

    fn new(path: String, value: Value, release: Release, spelling: Spelling) -> Result<Self, AnswerError> {
        match value {
            Value::Object(keys) => Ok(Self { path, keys, release, spelling }),
            _ => Err(AnswerError::new(if path.is_empty() { "answer" } else { &path }, "is not a table")),
        }
    }

    pub(super) fn release(&self) -> Release {
        self.release
    }

    pub(super) fn spelled(mut self, spelling: Spelling) -> Self {
        self.spelling = spelling;
        self
    }

    /// An error at one of the table's keys.
    pub(super) fn fault(&self, key: &str, problem: impl Into<String>) -> AnswerError {
        AnswerError::new(self.path_of(key), problem)
    }

    /// Takes a key out; `null` counts as absent.
    pub(super) fn take(&mut self, key: &str) -> Result<Option<Value>, AnswerError> {
        Ok(self.take_with_null(key)?.filter(|value| !value.is_null()))
    }

    /// Takes a key out for which `null` is an error: lists and maps.
    pub(super) fn take_not_null(&mut self, key: &str) -> Result<Option<Value>, AnswerError> {
        match self.take_with_null(key)? {
            Some(Value::Null) => Err(self.fault(key, "is null; leave the key out instead")),
            other => Ok(other),
        }
    }

    fn take_with_null(&mut self, key: &str) -> Result<Option<Value>, AnswerError> {
        let snake = key.replace('-', "_");
        if snake == key {
            return Ok(self.keys.remove(key));
        }
        let kebab = if self.spelling == Spelling::Snake { None } else { self.keys.remove(key) };
        let snake = if self.spelling == Spelling::Kebab { None } else { self.keys.remove(&snake) };
        match (kebab, snake) {
            (Some(_), Some(_)) => Err(self.fault(key, "stands there twice, once in each spelling")),
            (one, other) => Ok(one.or(other)),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, AnswerError> {
        match self.take(key)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(key, "is not a string")),
        }
    }

    pub(super) fn required_text(&mut self, key: &str) -> Result<String, AnswerError> {
        self.text(key)?.ok_or_else(|| self.fault(key, "is missing"))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, AnswerError> {
        match self.take(key)? {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.fault(key, "is not true or false")),
        }
    }

    /// A whole number that is not negative.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<u64>, AnswerError> {
        match self.take(key)? {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| self.fault(key, "is not a whole number")),
        }
    }

    /// A size in GiB, whole or not.
    pub(super) fn gibibytes(&mut self, key: &str) -> Result<Option<f64>, AnswerError> {
        match self.take(key)? {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| self.fault(key, "is not a number")),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, AnswerError> {
        let Some(value) = self.take_not_null(key)? else { return Ok(Vec::new()) };
        let list = value.as_array().ok_or_else(|| self.fault(key, "is not a list"))?;
        let text = |item: &Value| item.as_str().map(str::to_owned);
        list.iter().map(text).collect::<Option<_>>().ok_or_else(|| self.fault(key, "is not a list of strings"))
    }

    /// A table of texts, such as a udev filter: pairs in the order of their keys.
    pub(super) fn map_of_texts(&mut self, key: &str) -> Result<Vec<(String, String)>, AnswerError> {
        let Some(value) = self.take_not_null(key)? else { return Ok(Vec::new()) };
        let map = value.as_object().ok_or_else(|| self.fault(key, "is not a table"))?;
        let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        map.iter().map(pair).collect::<Option<_>>().ok_or_else(|| self.fault(key, "is not a table of strings"))
    }

    /// One of a fixed set of words, exactly as written there.
    pub(super) fn word(&mut self, key: &str, allowed: &[&str]) -> Result<Option<String>, AnswerError> {
        match self.text(key)? {
            Some(word) if !allowed.contains(&word.as_str()) => {
                Err(self.fault(key, format!("is {word:?}, expected one of {}", allowed.join(", "))))
            }
            other => Ok(other),
        }
    }

    /// A key that releases before `since` do not know; there it is left where it is, and so found unknown.
    pub(super) fn known_since(&self, since: Release) -> bool {
        self.release >= since
    }

    pub(super) fn table(&mut self, key: &str) -> Result<Option<Self>, AnswerError> {
        let (path, release, spelling) = (self.path_of(key), self.release, self.spelling);
        self.take(key)?.map(|value| Self::new(path, value, release, spelling)).transpose()
    }

    pub(super) fn table_since(&mut self, key: &str, since: Release) -> Result<Option<Self>, AnswerError> {
        if self.known_since(since) { self.table(key) } else { Ok(None) }
    }

    pub(super) fn required_table(&mut self, key: &str) -> Result<Self, AnswerError> {
        self.table(key)?.ok_or_else(|| self.fault(key, "is missing"))
    }

    /// Refuses what was not read.
    pub(super) fn finish(self) -> Result<(), AnswerError> {
        match self.keys.keys().next() {
            None => Ok(()),
            Some(key) => {
                let problem = format!("is not known to release {}, in this spelling or at all", self.release);
                Err(self.fault(key, problem))
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Whether a udev value fits a glob of `*`, `?` and `[...]`, case included.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while pos < text.len() {
        if glob.get(at) == Some(&'*') {
            star = Some((at, pos));
            at += 1;
        } else if let Some(width) = glob.get(at..).and_then(|rest| one_matches(rest, text[pos])) {
            at += width;
            pos += 1;
        } else if let Some((star_at, star_pos)) = star {
            // Let the last star swallow one more letter.
            (at, pos) = (star_at + 1, star_pos + 1);
            star = Some((star_at, star_pos + 1));
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|&c| c == '*')
}

/// How many letters of the glob stand for `letter`, if they do.
fn one_matches(glob: &[char], letter: char) -> Option<usize> {
    match glob {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|&c| c == ']')? + 1;
            let (class, negated) = match &rest[..end] {
                ['!', class @ ..] => (class, true),
                class => (class, false),
            };
            (in_class(class, letter) != negated).then_some(end + 2)
        }
        [c, ..] => (*c == letter).then_some(1),
        [] => None,
    }
}

fn in_class(mut class: &[char], letter: char) -> bool {
    loop {
        match class {
            [from, '-', to, ..] if (*from..=*to).contains(&letter) => return true,
            [_, '-', _, rest @ ..] => class = rest,
            [c, ..] if *c == letter => return true,
            [_, rest @ ..] => class = rest,
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn globs_match_as_in_udev() {
        for (glob, text) in [
            ("*", ""),
            ("*", "x"),
            ("*b42e99acadb4", "enxb42e99acadb4"),
            ("nvme-?-[a-c]*", "nvme-1-b77"),
            ("[!x]y", "ay"),
            ("a*b*c", "a1b2b3c"),
            ("", ""),
        ] {
            assert!(glob_matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("*B4", "enxb4"), ("a", "ab"), ("[a-c]", "d"), ("[ab", "a"), ("?", ""), ("a*b", "ac")] {
            assert!(!glob_matches(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn a_class_of_very_many_letters_does_not_end_the_process() {
        let glob = format!("[{}]", "ab".repeat(500_000));
        assert!(glob_matches(&glob, "b") && !glob_matches(&glob, "c"));
    }
}
