//! How much of its boot artifacts each operation has been served: what the dashboard shows in percent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use provisioning_core::model::{OperationId, Timestamp};
use provisioning_core::netboot::doctor::{PartProgress, Progress};
use provisioning_core::ports::Clock;

use super::slots::{Slots, SlotsTaken, Turn};

use crate::bandwidth::{Bandwidth, Throttle};
pub use crate::web::Download;

/// Operations whose counters are kept; beyond these the oldest are forgotten.
const KEPT_MAX: usize = 1024;

/// What of an image is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The installer's kernel.
    Kernel,
    /// Its initrd with the ISO inside.
    Initrd,
    /// The ISO by itself.
    Iso,
}

impl Part {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::Iso => "iso",
        }
    }
}

/// The counters of all operations. Cheap to clone.
#[derive(Clone, Default)]
pub struct Downloads {
    counters: Arc<Mutex<BTreeMap<OperationId, BTreeMap<Part, Counter>>>>,
    /// Rises with every byte, so that watchers need no lock to see that nothing moved.
    generation: Arc<AtomicU64>,
    /// Tells when bytes moved; without one that is not known.
    clock: Option<Arc<dyn Clock>>,
    /// Who may download now.
    slots: Arc<Slots>,
    /// What they may take together.
    throttle: Option<Arc<Throttle>>,
}

impl fmt::Debug for Downloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloads").field("counters", &self.counters).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Counter {
    served: Arc<AtomicU64>,
    /// When the last bytes were handed out, in milliseconds since 1970; 0 when it is not known.
    moved_at: Arc<AtomicI64>,
    total: u64,
}

impl Downloads {
    /// Counters that know when bytes moved, slots for so many machines at once, and so many bytes a second for all;
    /// `None` has no limit.
    pub fn new(clock: Arc<dyn Clock>, max_streams: Option<usize>, max_bandwidth: Option<Bandwidth>) -> Self {
        let slots = Arc::new(Slots::new(max_streams, max_bandwidth));
        let throttle = max_bandwidth.map(Throttle::new).map(Arc::new);
        Self { clock: Some(clock), slots, throttle, ..Self::default() }
    }

    /// What bytes have to pass before they go out.
    pub fn throttle(&self) -> Option<Arc<Throttle>> {
        self.throttle.clone()
    }

    /// Counts a part of `total` bytes from its byte `from` on; a download from the start begins anew. The result is
    /// told of every frame's length.
    pub fn begin(
        &self,
        operation: OperationId,
        part: Part,
        total: u64,
        from: u64,
    ) -> impl FnMut(u64) + Send + 'static + use<> {
        let served = Arc::new(AtomicU64::new(from));
        let clock = self.clock.clone();
        let now = move || clock.as_ref().map_or(0, |clock| clock.now().as_millis());
        let moved_at = Arc::new(AtomicI64::new(now()));
        let moves = Arc::clone(&moved_at);
        let generation = Arc::clone(&self.generation);
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.entry(operation).or_default().insert(part, Counter { served: Arc::clone(&served), moved_at, total });
        while counters.len() > KEPT_MAX {
            counters.pop_first();
        }
        move |bytes| {
            served.fetch_add(bytes, Ordering::Relaxed);
            moves.store(now(), Ordering::Relaxed);
            generation.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there are only so many at once, so that it matters to ask.
    pub fn has_slots(&self) -> bool {
        self.slots.are_counted()
    }

    /// Whether the machine of an operation may begin to download, or has to wait for others.
    pub fn admit(&self, operation: OperationId, now: Timestamp) -> Turn {
        self.slots.ask(operation, now, self)
    }

    /// How many machines download now, and how many wait for it.
    pub fn slots_taken(&self, now: Timestamp) -> SlotsTaken {
        self.slots.taken(now, self)
    }

    /// The place of an operation whose machine waits for a download slot, 1 being the next.
    pub fn place(&self, operation: OperationId) -> Option<usize> {
        self.slots.place(operation)
    }

    /// How far an operation's download has come.
    pub fn of(&self, operation: OperationId) -> Option<Download> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.get(&operation).map(sum)
    }

    /// How much an operation's machine still lacks of what it boots from: the initrd holds the ISO. `None` before it
    /// has begun.
    pub fn left(&self, operation: OperationId) -> Option<u64> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = counters.get(&operation)?.iter();
        let whole = parts.filter(|(part, _)| matches!(part, Part::Initrd | Part::Iso));
        whole.map(|(_, counter)| counter.total.saturating_sub(counter.served.load(Ordering::Relaxed))).min()
    }

    /// The same file by file.
    pub fn progress(&self, operation: OperationId) -> Option<Progress> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = counters.get(&operation)?;
        let part = |part: Part| {
            let counted = |c: &Counter| PartProgress { bytes: c.served.load(Ordering::Relaxed), total: c.total };
            parts.get(&part).map(counted).unwrap_or_default()
        };
        let moved_at = parts.values().map(|c| c.moved_at.load(Ordering::Relaxed)).max().filter(|at| *at > 0);
        let moved_at = moved_at.map(Timestamp::from_millis);
        Some(Progress { kernel: part(Part::Kernel), initrd: part(Part::Initrd), moved_at })
    }

    /// All downloads.
    pub fn all(&self) -> BTreeMap<OperationId, Download> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(operation, parts)| (*operation, sum(parts))).collect()
    }

    /// A number that changes with every byte served.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

fn sum(parts: &BTreeMap<Part, Counter>) -> Download {
    let counted = parts.values().map(|c| (c.served.load(Ordering::Relaxed).min(c.total), c.total));
    let (bytes, total) = counted.fold((0, 0), |sum, (bytes, total)| (sum.0 + bytes, sum.1 + total));
    Download { bytes, total }
}

impl crate::web::Downloads for Downloads {
    fn place(&self, operation: OperationId) -> Option<usize> {
        self.slots.place(operation)
    }

    fn of(&self, operation: OperationId) -> Option<Download> {
        self.of(operation)
    }

    fn progress(&self, operation: OperationId) -> Option<Progress> {
        self.progress(operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_that_starts_over_counts_from_the_start() {
        let downloads = Downloads::default();
        let operation = OperationId::new(Timestamp::from_millis(1), [1; 10]);
        let mut served = downloads.begin(operation, Part::Initrd, 100, 0);
        served(60);
        assert_eq!(downloads.of(operation), Some(Download { bytes: 60, total: 100 }));
        let mut again = downloads.begin(operation, Part::Initrd, 100, 0);
        again(10);
        served(40);
        assert_eq!(downloads.of(operation), Some(Download { bytes: 10, total: 100 }));
        assert_eq!(downloads.left(operation), Some(90));
        again(90);
        assert_eq!(downloads.left(operation), Some(0));
        let mut third = downloads.begin(operation, Part::Initrd, 100, 0);
        third(10);
        downloads.begin(operation, Part::Kernel, 10, 0)(200);
        assert_eq!(downloads.left(operation), Some(90), "a kernel alone is not enough");
        assert_eq!(downloads.of(operation), Some(Download { bytes: 20, total: 110 }));
    }

    #[test]
    fn only_the_latest_operations_are_kept() {
        let downloads = Downloads::default();
        let id = |n: usize| OperationId::new(Timestamp::from_millis(i64::try_from(n).unwrap()), [1; 10]);
        for n in 1..=KEPT_MAX + 2 {
            downloads.begin(id(n), Part::Iso, 1, 0)(1);
        }
        assert_eq!(downloads.all().len(), KEPT_MAX);
        assert_eq!(downloads.of(id(2)), None);
        assert!(downloads.of(id(KEPT_MAX + 2)).is_some());
    }
}
