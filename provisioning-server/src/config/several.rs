//! Keys that hold several values: lists, texts below names of the operator's own, sections below such names.

use std::fmt::Display;
use std::str::FromStr;

use super::fault::Place;
use super::keys::Shape;
use super::reader::{Section, shortened};
use super::tree::{Entry, Node, Scalar, ScalarKind, Tree};

impl<'r> Section<'r> {
    /// A list of texts parsed into their type; a variable holds one per line or comma.
    ///
    /// `None` when one of them is wrong; no key is an empty list.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        self.expects(key, |shape| matches!(shape, Shape::List(_) | Shape::Words(_)));
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
        self.expects(key, |shape| matches!(shape, Shape::Map(_)));
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
        let Self { reader, name: above, left, .. } = self;
        let named = |(name, entry): (String, Entry)| {
            let section = Section::of(
                reader,
                above.below_own(&name),
                Tree { place: entry.place.clone(), node: entry.value.node },
            );
            (name, entry.place, section)
        };
        left.into_iter().map(named).collect()
    }

    /// The sections of a list; a variable cannot hold one.
    pub(super) fn sections_of(&mut self, key: &str) -> Vec<Section<'r>> {
        let Some(tree) = self.take(key) else { return vec![] };
        let Node::List(items) = tree.node else {
            self.fault_at(&tree.place, key, "is a list: write each entry's keys behind a -");
            return vec![];
        };
        items.into_iter().map(|item| Section::of(self.reader, self.name.below(key), item)).collect()
    }

    fn list_item(&self, key: &str, item: Tree) -> Option<(Place, String)> {
        if let Node::Scalar(Scalar { text, kind: ScalarKind::Text }) = item.node {
            return Some((item.place, text));
        }
        self.fault_at(&item.place, key, "has texts in its list: write them in quotes");
        None
    }
}
