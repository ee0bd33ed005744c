//! Webhooks to services of the operator's own: chosen journal entries, signed, in order, at least once each.
//!
//! | file | what stands there |
//! |---|---|
//! | `event` | which journal entries can be chosen, by name |
//! | `message` | what is sent: JSON and its signature |
//! | `courier` | one request to one target |
//! | `follow` | each target's way through the journal: bookmark, retries, giving up |
//! | `status` | what is known of each target |

mod courier;
mod event;
mod follow;
mod message;
mod status;

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::memory::MemoryBookmarks;
use provisioning_core::model::{Secret, Timestamp};
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::{Bookmarks, JournalQuery, StoreError};

pub use courier::{BadTarget, DeliveryError};
pub use event::{EventName, NoSuchEvent};
pub use message::signature;
pub use status::{Delivery, Status};

use courier::Courier;
use message::Message;
use status::Statuses;

/// The longest that an event waits for its target unless the configuration says otherwise.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// So many entries behind a bookmark are looked at to count what a target waits for.
const BACKLOG_LOOKED_AT: usize = 1000;

/// Where events are sent.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name, which its bookmark is kept under.
    pub name: String,
    /// Its address. Secret: many services put a token into the path.
    pub url: Secret<String>,
    /// Which events it is told of.
    pub events: Vec<EventName>,
    /// What messages are signed with: at least 16 characters; `whsec_` and base64 is read as those bytes.
    pub secret: Secret<String>,
    /// When an event is dropped that the target does not take.
    pub give_up_after: Duration,
    /// Certificates that the target's own is checked against, as PEM, in place of the system's.
    pub ca_pem: Option<String>,
}

/// How long to wait between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// After the first failure; doubled with each one that follows.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(300) }
    }
}

/// All targets, and what is known of them.
pub struct Notify {
    couriers: Vec<Courier>,
    bookmarks: Arc<dyn Bookmarks>,
    patience: Patience,
    statuses: Statuses,
    observer: Observer,
}

/// Is told what came of each try, by the target's name.
pub type Observer = Arc<dyn Fn(&str, Delivery) + Send + Sync>;

/// A target as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetReport {
    /// Its name.
    pub name: String,
    /// Scheme and host of its address: the rest may be a secret.
    pub origin: String,
    /// Which events it is told of.
    pub events: Vec<EventName>,
    /// What became of the latest tries.
    pub status: Status,
    /// Events that wait for it; among the next 1000 journal entries behind its bookmark.
    pub backlog: usize,
}

impl Notify {
    /// Over these targets.
    ///
    /// # Errors
    /// `BadTarget` when an address is none or certificates cannot be read.
    pub fn new(targets: Vec<Target>, bookmarks: Arc<dyn Bookmarks>, patience: Patience) -> Result<Self, BadTarget> {
        let statuses = Statuses::new(targets.iter().map(|target| target.name.clone()));
        let couriers = targets.into_iter().map(Courier::new).collect::<Result<_, _>>()?;
        Ok(Self { couriers, bookmarks, patience, statuses, observer: Arc::new(|_, _| {}) })
    }

    /// Tells of each try from now on.
    #[must_use]
    pub fn observed_by(self, observer: Observer) -> Self {
        Self { observer, ..self }
    }

    /// Nobody is told of anything.
    pub fn none() -> Self {
        let bookmarks = Arc::new(MemoryBookmarks::default());
        let (statuses, observer) = (Statuses::new([]), Arc::new(|_: &str, _| {}));
        Self { couriers: vec![], bookmarks, patience: Patience::default(), statuses, observer }
    }

    /// The targets' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.couriers.iter().map(|courier| courier.target.name.as_str())
    }

    /// Tells all targets of what happens, until dropped.
    pub async fn run(&self, orchestrator: &Orchestrator) {
        let following = self.couriers.iter().map(|courier| self.follow(courier, orchestrator));
        futures_util::future::join_all(following).await;
    }

    /// Sends a test message to the target of this name, once and at once; the status code that it answered with.
    /// `None` when there is no such target.
    pub async fn test(&self, name: &str, orchestrator: &Orchestrator) -> Option<Result<u16, DeliveryError>> {
        let courier = self.couriers.iter().find(|courier| courier.target.name == name)?;
        let message = Message::test(orchestrator.now(), &orchestrator.site().public_url);
        Some(courier.send(&message, orchestrator.now()).await)
    }

    /// What is known of all targets.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn report(&self, orchestrator: &Orchestrator) -> Result<Vec<TargetReport>, StoreError> {
        let mut reports = vec![];
        for courier in &self.couriers {
            let Target { name, events, .. } = &courier.target;
            // Not yet kept: it begins with what happens next.
            let place = match self.bookmarks.place(name).await? {
                Some(place) => place.max(self.statuses.get(name).last_seq.unwrap_or_default()),
                None => orchestrator.store().last_seq().await?,
            };
            let waiting = orchestrator.store().journal(&JournalQuery::after(place, BACKLOG_LOOKED_AT)).await?;
            let backlog = waiting.iter().filter(|entry| event::is_wanted(events, entry)).count();
            reports.push(TargetReport {
                name: name.clone(),
                origin: courier.origin().to_owned(),
                events: events.clone(),
                status: self.statuses.get(name),
                backlog,
            });
        }
        Ok(reports)
    }
}

/// Unix seconds, as signatures have them.
fn unix_seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}
