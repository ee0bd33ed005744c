//! Simulated hosts and their cluster over real SSH on the loopback: what a real client sees.

#![expect(clippy::unwrap_used, reason = "in a test, what is missing ends the test, also in its helper functions")]

mod joins;
mod lab;
mod logins;
mod mishaps;
