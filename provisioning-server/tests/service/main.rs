//! The real program as a service: on sockets that somebody else keeps open, restarted and killed under load, watched by a
//! service manager, and in surroundings that are not as they should be.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail shall fail")]

mod activation;
mod faults;
mod health;
#[expect(dead_code, reason = "the lab serves several test programs, and this one needs a part of it")]
#[path = "../lab/mod.rs"]
mod lab;
mod site;
mod storm;
mod telling;
