//! What an operation's journal tells: its stages with their lengths, its lines in words, how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use provisioning_core::machine::Phase;
use provisioning_core::model::Timestamp;
use provisioning_core::ports::{Happening, JournalEntry};

use super::moment::{Clock, Moment};
use super::typical::Usual;
use super::words::{phase_title, sentence, source_name, span, tone};

/// A line of a timeline.
pub(super) struct Line {
    pub(super) at: Moment,
    pub(super) source: &'static str,
    /// The source's name in the style sheet, which gives it an icon.
    pub(super) icon: String,
    pub(super) text: String,
    pub(super) tone: &'static str,
}

/// A stage of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    phase: Phase,
    since: Timestamp,
    /// `None` while it lasts.
    ended: Option<Timestamp>,
}

/// A stage with a bar as long as it took, beside what it usually takes.
pub(super) struct Stage {
    pub(super) phase: Phase,
    pub(super) title: &'static str,
    pub(super) since: Moment,
    /// How long it took; counts on while it lasts.
    pub(super) took: String,
    pub(super) clock: Option<Clock>,
    /// The length of its bar in thousandths of the longest one.
    pub(super) bar: u64,
    /// Milliseconds that a full bar stands for.
    pub(super) full_ms: u64,
    pub(super) usual: Option<UsualView>,
}

/// What a stage usually takes.
pub(super) struct UsualView {
    pub(super) text: String,
    pub(super) runs: usize,
    /// Its mark on the bar, in thousandths of the longest one.
    pub(super) mark: u64,
    /// What the stage is beside it, when that is worth a word.
    pub(super) verdict: Option<&'static str>,
}

/// How an operation stands or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) phase: Phase,
    pub(super) at: Timestamp,
}

/// The journal's lines, the latest last.
pub(super) fn lines(entries: &[JournalEntry]) -> Vec<Line> {
    let line = |entry: &JournalEntry| Line {
        at: Moment(entry.at),
        source: source_name(entry.source),
        icon: source_name(entry.source).to_lowercase().replace(' ', "-"),
        text: sentence(entry),
        tone: tone(entry).as_str(),
    };
    entries.iter().map(line).collect()
}

/// The stages of an operation in their order, the last one still running unless the operation has ended.
pub(super) fn stages(entries: &[JournalEntry], now: Timestamp, usual: &BTreeMap<Phase, Usual>) -> Vec<Stage> {
    let stretches = stretches(entries);
    let length = |stretch: &Stretch| stretch.ended.unwrap_or(now).since(stretch.since);
    let usually = |stretch: &Stretch| usual.get(&stretch.phase).copied();
    let longest = |stretch: &Stretch| length(stretch).max(usually(stretch).map_or(Duration::ZERO, |usual| usual.time));
    let full = stretches.iter().map(longest).max().unwrap_or_default().max(Duration::from_millis(1));
    let stage = |stretch: &Stretch| Stage {
        phase: stretch.phase,
        title: phase_title(stretch.phase),
        since: Moment(stretch.since),
        took: span(length(stretch)),
        clock: stretch.ended.is_none().then_some(Clock { since: stretch.since, until: None, now }),
        bar: thousandths(length(stretch), full),
        full_ms: u64::try_from(full.as_millis()).unwrap_or(u64::MAX),
        usual: usually(stretch).map(|usual| UsualView {
            text: span(usual.time),
            runs: usual.runs,
            mark: thousandths(usual.time, full),
            verdict: verdict(length(stretch), usual.time, stretch.ended.is_some()),
        }),
    };
    stretches.iter().map(stage).collect()
}

fn thousandths(part: Duration, full: Duration) -> u64 {
    u64::try_from(part.as_millis() * 1000 / full.as_millis().max(1)).unwrap_or(1000).min(1000)
}

/// A stage that still runs can only be called slow.
fn verdict(took: Duration, usual: Duration, has_ended: bool) -> Option<&'static str> {
    let slack = (usual / 4).max(Duration::from_secs(5));
    if took > usual + slack {
        Some("slower than usual")
    } else if has_ended && took + slack < usual {
        Some("faster than usual")
    } else {
        None
    }
}

fn stretches(entries: &[JournalEntry]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = vec![];
    for (at, to) in moves(entries) {
        match stretches.last_mut() {
            // Steps within a leg, such as those of a join, do not begin a stage of their own.
            Some(last) if last.phase == to && last.ended.is_none() => continue,
            Some(last) => last.ended = last.ended.or(Some(at)),
            None => {}
        }
        if !matches!(to, Phase::Ready | Phase::Failed) {
            stretches.push(Stretch { phase: to, since: at, ended: None });
        }
    }
    stretches
}

/// How an operation stands or ended; `None` when its journal holds no move.
pub(super) fn outcome(entries: &[JournalEntry]) -> Option<Outcome> {
    moves(entries).last().map(|(at, phase)| Outcome { phase, at })
}

/// The phases it moved to, and when.
fn moves(entries: &[JournalEntry]) -> impl Iterator<Item = (Timestamp, Phase)> {
    entries.iter().filter_map(|entry| match &entry.what {
        Happening::Moved { to, .. } => Some((entry.at, *to)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::machine::{Contact, EventKind};
    use provisioning_core::ports::Source;

    fn moved(seconds: i64, event: EventKind, to: Phase) -> JournalEntry {
        let what = Happening::Moved { event, from: Phase::Registered, to };
        let at = Timestamp::from_millis(seconds * 1000);
        JournalEntry { seq: 1, at, host: None, operation: None, source: Source::Host, what }
    }

    #[test]
    fn a_failed_and_resumed_join_is_two_stages_with_a_gap_between() {
        let entries = [
            moved(0, EventKind::Started, Phase::PxeReady),
            moved(10, EventKind::ShellOpened, Phase::Joining),
            moved(15, EventKind::JoinSlotGranted, Phase::Joining),
            moved(20, EventKind::Expired { last_error: None }, Phase::Failed),
            moved(50, EventKind::Resumed, Phase::Joining),
        ];
        let now = Timestamp::from_millis(60_000);
        let found: Vec<_> = stages(&entries, now, &BTreeMap::new())
            .iter()
            .map(|stage| (stage.phase, stage.took.clone(), stage.bar, stage.clock.is_some()))
            .collect();
        let took = || "10 s".to_owned();
        let expected = [
            (Phase::PxeReady, took(), 1000, false),
            (Phase::Joining, took(), 1000, false),
            (Phase::Joining, took(), 1000, true),
        ];
        assert_eq!(found, expected);
        assert_eq!(outcome(&entries).map(|outcome| outcome.phase), Some(Phase::Joining));
    }

    #[test]
    fn a_stage_stands_beside_what_it_usually_takes() {
        let entries = [
            moved(0, EventKind::AnswerFetched, Phase::Installing),
            moved(400, EventKind::InstallReported(Contact::default()), Phase::Installed),
        ];
        let usual = |seconds| Usual { time: Duration::from_secs(seconds), runs: 12 };
        let known = BTreeMap::from([(Phase::Installing, usual(200)), (Phase::Installed, usual(800))]);
        let found = stages(&entries, Timestamp::from_millis(420_000), &known);
        let told: Vec<_> = found
            .iter()
            .map(|stage| (stage.bar, stage.usual.as_ref().map(|usual| (usual.mark, usual.verdict))))
            .collect();
        // The longest is what the second one usually takes: it still runs, and is not called fast for that.
        assert_eq!(told, [(500, Some((250, Some("slower than usual")))), (25, Some((1000, None)))]);
        assert_eq!(found[0].usual.as_ref().map(|usual| usual.text.as_str()), Some("3 min 20 s"));
    }

    #[test]
    fn an_operation_that_ended_has_no_running_stage() {
        let entries = [moved(0, EventKind::Started, Phase::PxeReady), moved(7, EventKind::Cancelled, Phase::Failed)];
        let found = stages(&entries, Timestamp::from_millis(99_000), &BTreeMap::new());
        assert_eq!(found.len(), 1);
        assert!(found[0].clock.is_none());
        assert_eq!((found[0].took.as_str(), found[0].bar), ("7 s", 1000));
        assert_eq!(outcome(&entries), Some(Outcome { phase: Phase::Failed, at: Timestamp::from_millis(7_000) }));
    }

    #[test]
    fn a_journal_without_moves_has_no_stages() {
        assert!(stages(&[], Timestamp::from_millis(0), &BTreeMap::new()).is_empty());
        assert_eq!(outcome(&[]), None);
    }
}
