//! What states and journal entries are called on pages and in the API: pure functions from values to sentences.

mod entries;
mod measures;
mod phases;
mod sightings;

pub use entries::sentence;
pub use measures::span;
pub use phases::{phase_title, waiting_for, waits_for_download, waits_in_lane, what_happens_at_deadline};

pub(super) use entries::{source_name, tone, work_words};
pub(super) use measures::size;
pub(super) use phases::{STEPS, reason_title, step_of};
