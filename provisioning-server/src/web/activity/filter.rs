//! What is looked for in the journal: about which host, by whom, of which kind, with which words, between which times.

use provisioning_core::machine::Phase;
use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::ports::{Happening, JournalEntry, Source};
use serde::Deserialize;

use super::super::words::{sentence, source_name};

/// A kind of entry to choose.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    holds: fn(&Happening) -> bool,
}

/// All kinds in the order of their choice; the first is all of them.
pub(super) const KINDS: [Kind; 9] = [
    Kind { key: "", label: "Everything", holds: |_| true },
    Kind { key: "progress", label: "Progress", holds: |what| matches!(what, Happening::Moved { .. }) },
    Kind {
        key: "failures",
        label: "Failures",
        holds: |what| matches!(what, Happening::Moved { to: Phase::Failed, .. }),
    },
    Kind { key: "warnings", label: "Warnings", holds: is_warning },
    Kind { key: "changes", label: "Changes by operators", holds: is_change },
    Kind { key: "audit", label: "Audit", holds: |what| matches!(what, Happening::Audited(_)) },
    Kind { key: "boots", label: "Boots and repeats", holds: is_boot },
    Kind { key: "machines", label: "Discovered machines", holds: is_of_machines },
    Kind { key: "images", label: "Images", holds: is_of_images },
];

fn is_warning(what: &Happening) -> bool {
    matches!(
        what,
        Happening::EventRefused { .. }
            | Happening::AnswerDenied { .. }
            | Happening::ReportUnusable { .. }
            | Happening::Warning { .. }
            | Happening::WorkPostponed { .. }
    )
}

fn is_change(what: &Happening) -> bool {
    matches!(what, Happening::HostRegistered { .. } | Happening::HostEdited { .. } | Happening::HostRemoved { .. })
}

fn is_boot(what: &Happening) -> bool {
    matches!(what, Happening::Booted { .. } | Happening::Sighted { .. } | Happening::EventIgnored { .. })
}

fn is_of_machines(what: &Happening) -> bool {
    matches!(
        what,
        Happening::MachineDiscovered { .. } | Happening::MachineAdopted { .. } | Happening::MachineDismissed { .. }
    )
}

fn is_of_images(what: &Happening) -> bool {
    matches!(
        what,
        Happening::ImageImported { .. } | Happening::ImageRemoved { .. } | Happening::DefaultImageChosen { .. }
    )
}

/// All sources in the order of their choice.
pub(super) const SOURCES: [Source; 8] = [
    Source::Operator,
    Source::Firmware,
    Source::BootServer,
    Source::Installer,
    Source::Host,
    Source::Ssh,
    Source::Inventory,
    Source::Provisioning,
];

/// A source's name in addresses and in the style sheet.
pub(super) fn source_key(source: Source) -> String {
    source_name(source).to_lowercase().replace(' ', "-")
}

/// The filter and the place as the address has them.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::web) struct Wanted {
    #[serde(default)]
    pub(super) host: String,
    #[serde(default)]
    pub(super) source: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) from: String,
    #[serde(default)]
    pub(super) to: String,
    /// Only what came before this entry, the latest first.
    #[serde(default)]
    pub(super) before: Option<u64>,
    /// Only what came after this entry.
    #[serde(default)]
    pub(super) after: Option<u64>,
}

impl Wanted {
    /// The filter without the place, to be put behind an address.
    pub(super) fn query(&self) -> String {
        let fields = [
            ("host", &self.host),
            ("source", &self.source),
            ("kind", &self.kind),
            ("text", &self.text),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let filled = fields.into_iter().filter(|(_, value)| !value.trim().is_empty());
        filled.map(|(name, value)| format!("{name}={}&", encoded(value.trim()))).collect()
    }
}

/// Percent-encoded for the query of an address.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all that is written");
        }
    }
    encoded
}

/// What is looked for, parsed.
#[derive(Clone)]
pub(super) struct Filter {
    pub(super) host: Option<HostId>,
    source: Option<Source>,
    kind: Kind,
    text: String,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

impl Filter {
    /// Unknown words leave nothing out; a time is `2026-11-23T12:04`, in UTC, as date fields send it.
    pub(super) fn of(wanted: &Wanted, host: Option<HostId>) -> Self {
        Self {
            host,
            source: SOURCES.into_iter().find(|source| source_key(*source) == wanted.source),
            kind: KINDS.into_iter().find(|kind| kind.key == wanted.kind).unwrap_or(KINDS[0]),
            text: wanted.text.trim().to_lowercase(),
            from: time(&wanted.from),
            to: time(&wanted.to),
        }
    }

    /// Whether an entry is looked for; `name` is its host's.
    pub(super) fn holds(&self, entry: &JournalEntry, name: &str) -> bool {
        (self.kind.holds)(&entry.what)
            && self.source.is_none_or(|source| source == entry.source)
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at <= to)
            && (self.text.is_empty()
                || sentence(entry).to_lowercase().contains(&self.text)
                || name.contains(&self.text))
    }

    /// Whether only what was asked for with operator's rights is looked for: the store finds that by itself.
    pub(super) fn is_audit(&self) -> bool {
        self.kind.key == "audit"
    }

    /// Whether the words of an entry are looked at, for which its host's name is needed.
    pub(super) fn reads_names(&self) -> bool {
        !self.text.is_empty()
    }
}

fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let seconds = if text.len() == 16 { ":00" } else { "" };
    format!("{text}{seconds}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::machine::EventKind;

    fn entry(source: Source, what: Happening) -> JournalEntry {
        let at = "2026-11-23T12:00:00Z".parse().expect("a time");
        JournalEntry { seq: 1, at, host: None, operation: None, source, what }
    }

    fn filter(query: &[(&str, &str)]) -> Filter {
        let map = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let wanted: Wanted = serde_json::from_value(serde_json::Value::Object(map)).expect("a filter");
        Filter::of(&wanted, None)
    }

    #[test]
    fn each_part_of_a_filter_leaves_out_what_does_not_fit() {
        let moved = Happening::Moved { event: EventKind::AnswerFetched, from: Phase::PxeBooted, to: Phase::Installing };
        let fetched = entry(Source::Installer, moved);
        let cases: [(&[(&str, &str)], bool); 10] = [
            (&[], true),
            (&[("source", "installer")], true),
            (&[("source", "ssh")], false),
            (&[("kind", "progress"), ("text", "ANSWER file")], true),
            (&[("kind", "failures")], false),
            (&[("text", "pve-07")], true),
            (&[("text", "no such words")], false),
            (&[("from", "2026-11-23T12:00"), ("to", "2026-11-23T12:00:00")], true),
            (&[("from", "2026-11-23T12:01")], false),
            (&[("to", "2026-11-23T11:59")], false),
        ];
        for (query, expected) in cases {
            assert_eq!(filter(query).holds(&fetched, "pve-07"), expected, "{query:?}");
        }
    }

    #[test]
    fn every_choice_finds_itself_again_in_an_address() {
        for source in SOURCES {
            assert_eq!(filter(&[("source", &source_key(source))]).source, Some(source));
        }
        for kind in KINDS {
            assert_eq!(filter(&[("kind", kind.key)]).kind.label, kind.label);
        }
    }

    #[test]
    fn a_filter_is_an_address_without_its_place() {
        let wanted = Wanted { host: "pve-07".into(), text: " a&b ü".into(), before: Some(9), ..Wanted::default() };
        assert_eq!(wanted.query(), "host=pve-07&text=a%26b%20%C3%BC&");
    }
}
