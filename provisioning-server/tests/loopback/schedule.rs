//! When the server is killed: at places of the journal, spread over all stages of a life, and a while after them.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use provisioning_core::machine::EventKind;
use provisioning_core::ports::{Happening, JournalEntry};

/// What the journal tells at the places where the server is killed, and how often per run. Where we are on a host the
/// most can go wrong.
const PLACES: [(&str, usize); 14] = [
    ("image_imported", 1),
    ("host_registered", 2),
    ("started", 1),
    ("boot_script_fetched", 1),
    ("answer_fetched", 1),
    ("installer_began", 1),
    ("install_reported", 1),
    ("first_boot_reported", 1),
    ("shell_opened", 2),
    ("join_slot_granted", 3),
    ("step_done join", 2),
    ("step_done revoke_key", 2),
    ("step_done register", 1),
    ("key_erased", 1),
];
/// The place of a kill right after a start, before or while the server takes up what it finds.
pub(crate) const STARTING: &str = "starting";

/// How often a run is killed at most.
pub(crate) const KILLS_PER_RUN: usize = 24;

/// One kill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blow {
    /// Which entry it follows.
    pub(crate) place: &'static str,
    /// How long after it.
    pub(crate) delay: Duration,
    /// How long the server is away.
    pub(crate) outage: Duration,
    /// How long after its start it is killed once more, and then started at once.
    pub(crate) again: Option<Duration>,
}

/// The kills of one run.
pub(crate) struct Schedule {
    /// The occurrences of a place that are struck, counted from 1.
    planned: Vec<(&'static str, usize)>,
    seen: BTreeMap<&'static str, usize>,
    due: VecDeque<Blow>,
    left: usize,
    dice: Dice,
}

impl Schedule {
    /// At most `kills` for a fleet of this size.
    pub(crate) fn new(seed: u64, hosts: u16, kills: usize) -> Self {
        let mut dice = Dice(seed);
        let mut planned = vec![];
        for (place, times) in PLACES {
            // A kill may cost other hosts their webhook or strand them: the last ones may never come to a place.
            let occurrences = if place == "image_imported" { 1 } else { usize::from(hosts).div_ceil(2) };
            let mut open: Vec<usize> = (1..=occurrences).collect();
            for _ in 0..times.min(occurrences) {
                planned.push((place, open.swap_remove(dice.below(open.len()))));
            }
        }
        Self { planned, seen: BTreeMap::new(), due: VecDeque::new(), left: kills, dice }
    }

    /// Takes note of an entry.
    pub(crate) fn see(&mut self, entry: &JournalEntry) {
        let Some(place) = place(entry) else { return };
        let seen = self.seen.entry(place).or_default();
        *seen += 1;
        if self.planned.contains(&(place, *seen)) {
            let blow = self.dice.blow(place);
            self.due.push_back(blow);
        }
    }

    /// The kill that is due now, if one is.
    pub(crate) fn strikes(&mut self) -> Option<Blow> {
        let mut blow = self.due.pop_front().filter(|_| self.left > 0)?;
        self.left -= 1;
        if self.left == 0 {
            blow.again = None;
        }
        self.left -= usize::from(blow.again.is_some());
        Some(blow)
    }
}

fn place(entry: &JournalEntry) -> Option<&'static str> {
    let name = match &entry.what {
        Happening::ImageImported { .. } => "image_imported".to_owned(),
        Happening::HostRegistered { .. } => "host_registered".to_owned(),
        Happening::KeyErased => "key_erased".to_owned(),
        Happening::Moved { event: EventKind::StepDone { step }, .. } => {
            format!("step_done {}", serde_json::to_value(step).ok()?.as_str()?)
        }
        Happening::Moved { event, .. } => event.as_str().to_owned(),
        _ => return None,
    };
    PLACES.iter().map(|(place, _)| *place).find(|place| *place == name)
}

/// A splitmix64 generator: the same seed, the same places.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % (sides as u64)).unwrap()
    }

    /// Short times as often as long ones: what happens between two commits takes a millisecond, a join a second.
    fn up_to(&mut self, most: Duration) -> Duration {
        let most = most.as_micros() >> self.below(9);
        Duration::from_micros(self.below(usize::try_from(most).unwrap() + 1) as u64)
    }

    fn blow(&mut self, place: &'static str) -> Blow {
        // A join is looked at every second, so that much of it lies within that time.
        let late = Duration::from_millis(if place == "join_slot_granted" { 1200 } else { 300 });
        let delay = if self.below(4) == 0 { Duration::ZERO } else { self.up_to(late) };
        let outage = if self.below(2) == 0 { Duration::ZERO } else { self.up_to(2 * late) };
        let again = (self.below(5) == 0).then(|| self.up_to(Duration::from_millis(150)));
        Blow { place, delay, outage, again }
    }
}

/// What became of some runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) runs: u32,
    pub(crate) ready: usize,
    pub(crate) kills: BTreeMap<&'static str, usize>,
    pub(crate) failures: BTreeMap<String, usize>,
}

impl Tally {
    pub(crate) fn killed(&self) -> usize {
        self.kills.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: usize = self.failures.values().sum();
        let counted = |map: Vec<String>| map.join(", ");
        write!(
            f,
            "{} kills survived in {} runs, {} hosts ready, {failed} failed",
            self.killed(),
            self.runs,
            self.ready
        )?;
        if failed > 0 {
            write!(f, " ({})", counted(self.failures.iter().map(|(reason, n)| format!("{reason} {n}")).collect()))?;
        }
        write!(f, "\nkills by place: {}", counted(self.kills.iter().map(|(place, n)| format!("{place} {n}")).collect()))
    }
}
