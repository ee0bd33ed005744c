//! What somebody on the LAN, or another site's page, may try against the server: nothing gets in, nothing falls over,
//! nothing leaks. Each attack is made over a real loopback connection.

#![expect(dead_code, clippy::unwrap_used, reason = "the lab serves several test programs; a test ends where it fails")]

mod access;
mod bodies;
mod browsers;
mod doors;
mod injection;
#[path = "../lab/mod.rs"]
mod lab;
mod paths;
mod races;
mod raw;
mod slow;
