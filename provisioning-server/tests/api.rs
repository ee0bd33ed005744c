//! The API as programs meet it: its document and its routes say the same, lists have pages, changes have conditions.

#![expect(clippy::unwrap_used, reason = "a test whose server does not answer shall fail")]

#[path = "api/conditions.rs"]
mod conditions;
#[path = "api/document.rs"]
mod document;
#[path = "api/events.rs"]
mod events;
#[expect(dead_code, reason = "the lab serves several test programs, and this one needs a part of it")]
mod lab;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/notify.rs"]
mod notify;
#[path = "api/receiver.rs"]
mod receiver;
