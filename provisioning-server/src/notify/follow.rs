//! A target's way through the journal: from its bookmark on, event by event, each until it is taken or too old.

use std::time::Duration;

use provisioning_core::model::Timestamp;
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::{Happening, JournalEntry, NewEntry, Source, StoreError};

use super::courier::{Courier, DeliveryError};
use super::event::EventName;
use super::message::Message;
use super::status::Delivery;
use super::{Notify, Target};

/// How long until a store that did not answer is asked again.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// A bookmark is moved past so many entries that do not concern its target; it costs a commit.
const PASSED_OVER_MAX: u64 = 512;

impl Notify {
    /// Tells one target of everything, for ever.
    pub(super) async fn follow(&self, courier: &Courier, orchestrator: &Orchestrator) {
        let name = courier.target.name.as_str();
        let mut kept = self.begin(name, orchestrator).await;
        let mut feed = orchestrator.feed(kept);
        // Whether the journal says already that events are dropped, since the last one that was taken.
        let mut warned = false;
        loop {
            let entries = match feed.next().await {
                Ok(entries) => entries,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            for entry in &entries {
                if let Some(event) = EventName::of(entry).filter(|event| courier.target.events.contains(event)) {
                    let message = self.message(event, entry, orchestrator).await;
                    if self.deliver(courier, &message, entry, orchestrator).await {
                        warned = false;
                    } else if !warned {
                        warned = self.warn(&courier.target, entry, orchestrator).await;
                    }
                    kept = self.keep(name, entry.seq, kept).await;
                }
            }
            let last = entries.last().map_or(kept, |entry| entry.seq);
            if last >= kept + PASSED_OVER_MAX {
                kept = self.keep(name, last, kept).await;
            }
        }
    }

    /// Where to begin: at the bookmark. A new target is told of what happens from now on.
    async fn begin(&self, name: &str, orchestrator: &Orchestrator) -> u64 {
        let begin = async || -> Result<u64, StoreError> {
            let last = orchestrator.store().last_seq().await?;
            if let Some(place) = self.bookmarks.place(name).await? {
                // A bookmark beyond the journal's end is of a database that was replaced by an older one.
                return Ok(place.min(last));
            }
            self.bookmarks.keep(name, last).await?;
            Ok(last)
        };
        loop {
            match begin().await {
                Ok(place) => return place,
                Err(error) => pause_after(&error).await,
            }
        }
    }

    async fn message(&self, event: EventName, entry: &JournalEntry, orchestrator: &Orchestrator) -> Message {
        let name = match entry.host {
            // A name is a convenience: the entry has the id in any case.
            Some(host) => orchestrator.store().host(host).await.ok().flatten().map(|record| record.host.name),
            None => None,
        };
        Message::of(event, entry, name.as_ref(), &orchestrator.site().public_url)
    }

    /// Tries until the target has taken the message, or until the event is too old: then `false`.
    async fn deliver(
        &self,
        courier: &Courier,
        message: &Message,
        entry: &JournalEntry,
        orchestrator: &Orchestrator,
    ) -> bool {
        let Target { name, give_up_after, .. } = &courier.target;
        let mut pause = self.patience.first;
        loop {
            let outcome = courier.send(message, orchestrator.now()).await;
            let now = orchestrator.now();
            match outcome {
                Ok(_) => {
                    self.succeeded(name, entry.seq, now);
                    return true;
                }
                Err(error) if now.since(entry.at) >= *give_up_after => {
                    self.failed(name, &error, now, None);
                    return false;
                }
                Err(error) => self.failed(name, &error, now, Some(now + pause)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.patience.longest);
        }
    }

    fn succeeded(&self, name: &str, seq: u64, now: Timestamp) {
        (self.observer)(name, Delivery::Taken);
        self.statuses.change(name, |status| {
            (status.last_success_at, status.last_seq) = (Some(now), Some(seq));
            (status.attempts, status.next_try_at) = (0, None);
        });
    }

    fn failed(&self, name: &str, error: &DeliveryError, now: Timestamp, next: Option<Timestamp>) {
        tracing::debug!(service = name, %error, "an event was not taken");
        (self.observer)(name, if next.is_some() { Delivery::Failed } else { Delivery::Dropped });
        self.statuses.change(name, |status| {
            status.last_error = Some((now, error.to_string()));
            status.next_try_at = next;
            if next.is_some() {
                status.attempts += 1;
            } else {
                (status.attempts, status.dropped) = (0, status.dropped + 1);
            }
        });
    }

    /// Writes into the journal that events are dropped.
    async fn warn(&self, target: &Target, entry: &JournalEntry, orchestrator: &Orchestrator) -> bool {
        let why = self.statuses.get(&target.name).last_error.map(|(_, why)| why).unwrap_or_default();
        let hours = target.give_up_after.as_secs_f64() / 3600.0;
        let text = format!(
            "notify target {} has not taken event {} for {hours:.1} h: it is dropped, as is each later one that gets so \
             old; the last try said: {why}",
            target.name, entry.seq
        );
        let what = Happening::Warning { text };
        let at = orchestrator.now();
        let warning = NewEntry { at, host: None, operation: None, source: Source::Provisioning, what };
        if let Err(error) = orchestrator.write_down(vec![warning]).await {
            tracing::warn!(%error, service = %target.name, "events are dropped, which the journal could not be told");
            return false;
        }
        true
    }

    /// Keeps the bookmark; what was kept since. When it cannot be kept, the next start repeats some events.
    async fn keep(&self, name: &str, place: u64, kept: u64) -> u64 {
        match self.bookmarks.keep(name, place).await {
            Ok(()) => place,
            Err(error) => {
                tracing::warn!(%error, service = name, "could not keep how far a notify target has come");
                kept
            }
        }
    }
}

async fn pause_after(error: &StoreError) {
    // The orchestrator's loop warns of a store that does not answer: once.
    tracing::debug!(%error, "could not read the journal for a notify target, trying again");
    tokio::time::sleep(AFTER_TROUBLE).await;
}
