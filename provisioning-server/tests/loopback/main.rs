//! The real program, real HTTP, a real SQLite file and real SSH, before simulated machines: once left in peace, and
//! killed again and again.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail shall fail")]

mod history;
mod journal;
mod killed;
mod logged;
mod memory;
mod schedule;
mod server;
mod tls;
mod traces;
mod undisturbed;
