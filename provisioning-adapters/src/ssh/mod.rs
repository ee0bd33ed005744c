//! Root's shell on a host, by russh: pinned host keys, one key, one login, no agent and no files.
//!
//! What the host is told never comes from `~/.ssh`, and what it shows never goes there.

mod client;
mod keys;
mod login;
mod signing;

pub use client::SshShell;
