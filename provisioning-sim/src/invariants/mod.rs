//! What must hold in the world, whatever goes wrong: one rule per file, each with a test that shows it firing.
//!
//! A rule sees every journal entry and every deed of the world in order ([`Invariant::see`]), looks at the whole
//! after every change ([`Invariant::look`]), and once more when nothing moves any longer ([`Invariant::quiet`]).

mod blame;
mod boot;
mod deadlines;
mod disk;
mod feed;
mod inventory;
mod joins;
mod keys;
mod legal_path;
mod one_operation;
mod outbox;
mod quorum;
mod ready;
#[cfg(test)]
mod sample;
mod scene;
mod secrets;
mod told;

pub use scene::{ClusterView, Deed, NodeView, Scene};

use provisioning_core::ports::JournalEntry;

/// What a rule is shown, in the order of events.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A line of the journal, just written.
    Entry(&'a JournalEntry),
    /// Something that happened in the world.
    Deed(&'a Deed),
    /// What a subscriber of the journal was given.
    Read(&'a [JournalEntry]),
}

/// The rule holds, or how it was broken.
pub type Verdict = Result<(), String>;

/// A rule of the world.
pub trait Invariant: Send {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Something happened. `scene` is the world right after it.
    fn see(&mut self, _seen: Seen<'_>, _scene: &Scene) -> Verdict {
        Ok(())
    }

    /// Something may have changed, time at least.
    fn look(&mut self, _scene: &Scene) -> Verdict {
        Ok(())
    }

    /// Nothing moves any longer.
    fn quiet(&mut self, _scene: &Scene) -> Verdict {
        Ok(())
    }
}

/// All rules, with nothing seen yet.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(legal_path::LegalPath::default()),
        Box::new(one_operation::OneOperation),
        Box::new(outbox::Outbox),
        Box::new(told::Told::default()),
        Box::new(disk::Disk::default()),
        Box::new(ready::Ready),
        Box::new(boot::Boot::default()),
        Box::new(keys::Keys::default()),
        Box::new(secrets::Secrets),
        Box::new(deadlines::Deadlines),
        Box::new(feed::Feed::default()),
        Box::new(inventory::Inventory),
        Box::new(joins::Joins::default()),
        Box::new(quorum::Quorum::default()),
        Box::new(blame::Blame::default()),
    ]
}
