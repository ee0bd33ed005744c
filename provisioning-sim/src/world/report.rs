//! What a run leaves: what was broken, what happened, and how to see it again.

use std::fmt;

use provisioning_core::model::Timestamp;
use provisioning_core::ports::JournalEntry;

use super::options::Options;
use super::record::FaultCount;
use crate::invariants::Deed;

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The rule's name.
    pub rule: &'static str,
    /// How it was broken.
    pub how: String,
    /// When, by the wall clock of the world.
    pub at: Timestamp,
}

/// What happened, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Operations that were started.
    pub operations: u64,
    /// Lives that ended well: how often a host became ready.
    pub lives: u64,
    /// Operations that failed.
    pub failures: u64,
    /// Runs of `pvecm add`.
    pub joins: u64,
    /// How often the store was written.
    pub commits: u64,
    /// How many numbered points the process passed: before and after each call of a port.
    pub points: u64,
    /// What went wrong, by kind.
    pub faults: FaultCount,
}

impl Statistics {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.lives += other.lives;
        self.failures += other.failures;
        self.joins += other.joins;
        self.commits += other.commits;
        self.points += other.points;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it was run with.
    pub options: Options,
    /// What was broken first.
    pub broken: Option<Broken>,
    /// What happened, in numbers.
    pub statistics: Statistics,
    /// The whole journal.
    pub journal: Vec<JournalEntry>,
    /// What was done in the world, and behind which place of the journal.
    pub deeds: Vec<(Timestamp, u64, Deed)>,
}

impl Outcome {
    /// One line per event, journal and deeds together, in their order.
    pub fn events(&self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.journal.len() + self.deeds.len());
        let mut deeds = self.deeds.iter().peekable();
        let deed_line = |(at, _, deed): &(Timestamp, u64, Deed)| format!("{at}        {deed:?}");
        for entry in &self.journal {
            while let Some(deed) = deeds.next_if(|(_, after, _)| *after < entry.seq) {
                lines.push(deed_line(deed));
            }
            let host = entry.host.map_or_else(|| "-".to_owned(), |host| host.to_string());
            lines.push(format!("{} {:>6} {host} {:?}", entry.at, entry.seq, entry.what));
        }
        lines.extend(deeds.map(deed_line));
        lines
    }

    /// The command that repeats this run.
    pub fn command(&self) -> String {
        format!("cargo run --release -p provisioning-sim -- world {} --events", self.options)
    }
}

impl fmt::Display for Outcome {
    /// What was broken, the last events before it, and the command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Broken { rule, how, at }) = &self.broken else {
            return write!(f, "seed {} holds", self.options.seed);
        };
        let events = self.events();
        for line in &events[events.len().saturating_sub(40)..] {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "seed {} breaks a rule at {at}: {rule}", self.options.seed)?;
        writeln!(f, "  {how}")?;
        write!(f, "again: {}", self.command())
    }
}
