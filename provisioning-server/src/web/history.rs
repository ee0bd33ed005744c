//! What an operation's journal tells: its stages with their lengths, its lines in words, how it ended.

use std::time::Duration;

use provisioning_core::machine::Phase;
use provisioning_core::model::Timestamp;
use provisioning_core::ports::{Happening, JournalEntry};

use super::moment::{Clock, Moment};
use super::words::{phase_title, sentence, source_name, span, tone};

/// A line of a timeline.
pub(super) struct Line {
    pub(super) at: Moment,
    pub(super) source: &'static str,
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

/// A stage with a bar as long as it took.
pub(super) struct Stage {
    pub(super) phase: Phase,
    pub(super) title: &'static str,
    pub(super) since: Moment,
    /// How long it took; counts on while it lasts.
    pub(super) took: String,
    pub(super) clock: Option<Clock>,
    /// The length of its bar, and that of the longest one.
    pub(super) length_ms: u64,
    pub(super) longest_ms: u64,
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
        text: sentence(entry),
        tone: tone(entry).as_str(),
    };
    entries.iter().map(line).collect()
}

/// The stages of an operation in their order, the last one still running unless the operation has ended.
pub(super) fn stages(entries: &[JournalEntry], now: Timestamp) -> Vec<Stage> {
    let stretches = stretches(entries);
    let length = |stretch: &Stretch| {
        u64::try_from(stretch.ended.unwrap_or(now).since(stretch.since).as_millis()).unwrap_or(u64::MAX)
    };
    let longest_ms = stretches.iter().map(length).max().unwrap_or(0).max(1);
    let stage = |stretch: &Stretch| Stage {
        phase: stretch.phase,
        title: phase_title(stretch.phase),
        since: Moment(stretch.since),
        took: span(Duration::from_millis(length(stretch))),
        clock: stretch.ended.is_none().then_some(Clock { since: stretch.since, until: None, now }),
        length_ms: length(stretch),
        longest_ms,
    };
    stretches.iter().map(stage).collect()
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
    use provisioning_core::machine::EventKind;
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
        let found: Vec<_> = stages(&entries, now)
            .iter()
            .map(|stage| (stage.phase, stage.length_ms, stage.longest_ms, stage.clock.is_some()))
            .collect();
        let expected = [
            (Phase::PxeReady, 10_000, 10_000, false),
            (Phase::Joining, 10_000, 10_000, false),
            (Phase::Joining, 10_000, 10_000, true),
        ];
        assert_eq!(found, expected);
        assert_eq!(outcome(&entries).map(|outcome| outcome.phase), Some(Phase::Joining));
    }

    #[test]
    fn an_operation_that_ended_has_no_running_stage() {
        let entries = [moved(0, EventKind::Started, Phase::PxeReady), moved(7, EventKind::Cancelled, Phase::Failed)];
        let found = stages(&entries, Timestamp::from_millis(99_000));
        assert_eq!(found.len(), 1);
        assert!(found[0].clock.is_none());
        assert_eq!(found[0].took, "7 s");
        assert_eq!(found[0].length_ms, 7_000);
        assert_eq!(outcome(&entries), Some(Outcome { phase: Phase::Failed, at: Timestamp::from_millis(7_000) }));
    }

    #[test]
    fn a_journal_without_moves_has_no_stages() {
        assert!(stages(&[], Timestamp::from_millis(0)).is_empty());
        assert_eq!(outcome(&[]), None);
    }
}
