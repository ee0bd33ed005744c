//! Which journal entries can be sent to a target, by the names that the configuration chooses them with.

use std::fmt;
use std::str::FromStr;

use provisioning_core::machine::{EventKind, Phase};
use provisioning_core::ports::{Happening, JournalEntry};

/// An event that a target can be told of. Names are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    /// A host is ready.
    Ready,
    /// An operation failed.
    Failed,
    /// An operation was started.
    Started,
    /// A host came into another phase than those.
    Progress,
    /// A machine was seen that belongs to no host.
    Discovered,
    /// A host was registered.
    Registered,
    /// A host was removed.
    Removed,
    /// Something that an operator should know.
    Warning,
    /// An image was imported.
    ImageImported,
}

impl EventName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::Failed,
        Self::Started,
        Self::Progress,
        Self::Discovered,
        Self::Registered,
        Self::Removed,
        Self::Warning,
        Self::ImageImported,
    ];

    /// The event that a journal entry is, if it is one.
    pub fn of(entry: &JournalEntry) -> Option<Self> {
        match &entry.what {
            Happening::Moved { from, to, .. } if from == to => None,
            Happening::Moved { to: Phase::Ready, .. } => Some(Self::Ready),
            Happening::Moved { to: Phase::Failed, .. } => Some(Self::Failed),
            Happening::Moved { event: EventKind::Started, .. } => Some(Self::Started),
            Happening::Moved { .. } => Some(Self::Progress),
            Happening::MachineDiscovered { .. } => Some(Self::Discovered),
            Happening::HostRegistered { .. } => Some(Self::Registered),
            Happening::HostRemoved { .. } => Some(Self::Removed),
            Happening::Warning { .. } => Some(Self::Warning),
            Happening::ImageImported { .. } => Some(Self::ImageImported),
            _ => None,
        }
    }

    /// Its name in the configuration and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Discovered => "discovered",
            Self::Registered => "registered",
            Self::Removed => "removed",
            Self::Warning => "warning",
            Self::ImageImported => "image_imported",
        }
    }
}

/// Whether a target that chose `events` is told of an entry.
pub(super) fn is_wanted(events: &[EventName], entry: &JournalEntry) -> bool {
    EventName::of(entry).is_some_and(|event| events.contains(&event))
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No event has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no event: choose among {}", EventName::ALL.map(EventName::as_str).join(", "))]
pub struct NoSuchEvent;

impl FromStr for EventName {
    type Err = NoSuchEvent;

    fn from_str(text: &str) -> Result<Self, NoSuchEvent> {
        Self::ALL.into_iter().find(|event| event.as_str() == text).ok_or(NoSuchEvent)
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::model::Timestamp;
    use provisioning_core::ports::Source;

    use super::*;

    fn moved(event: EventKind, from: Phase, to: Phase) -> Option<EventName> {
        let what = Happening::Moved { event, from, to };
        let at = Timestamp::from_millis(0);
        EventName::of(&JournalEntry { seq: 1, at, host: None, operation: None, source: Source::Host, what })
    }

    #[test]
    fn a_move_is_named_after_where_it_leads() {
        assert_eq!(moved(EventKind::Started, Phase::Registered, Phase::PxeReady), Some(EventName::Started));
        assert_eq!(moved(EventKind::BootScriptFetched, Phase::PxeReady, Phase::PxeBooted), Some(EventName::Progress));
        assert_eq!(moved(EventKind::Cancelled, Phase::PxeReady, Phase::Failed), Some(EventName::Failed));
        assert_eq!(moved(EventKind::BootScriptFetched, Phase::Installing, Phase::Installing), None);
    }

    #[test]
    fn each_name_reads_back() {
        for event in EventName::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
        }
        assert_eq!("reddy".parse::<EventName>(), Err(NoSuchEvent));
    }
}
