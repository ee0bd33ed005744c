//! The reference server: configuration, wiring, HTTP and the command line around `provisioning-core`.
//!
//! The binary `provisioning` is a thin `main` over this library, so that tests, the demo and benches start the same
//! server. Read in this order:
//!
//! 1. [`config`]: the files and the environment, parsed into types at once, all faults together;
//! 2. [`wire`]: the one place that names concrete adapters, and hands them to the orchestrator;
//! 3. [`server`]: what runs, from the first socket to the last answer;
//! 4. [`http`]: a file for each audience (firmware, installers, hosts, operators), and [`web`], the pages over it;
//! 5. [`images`]: an ISO as ranges of bytes, patched while it is sent; [`artifact_http`] sends them by `sendfile`;
//! 6. [`cli`]: the commands, which are clients of the same API.
//!
//! Features: `demo` (default) brings `provisioning demo` and with it the simulator.

pub mod access;
pub mod artifact_http;
pub mod bandwidth;
pub mod capabilities;
pub mod cli;
pub mod config;
pub mod data_dir;
#[cfg(feature = "demo")]
pub mod demo;
pub mod doctor;
pub mod file_watch;
pub mod hardening;
pub mod http;
pub mod images;
pub mod logging;
pub mod netboot;
pub mod notify;
pub mod plan_log;
pub mod reload;
mod retention;
pub mod server;
mod server_types_reload;
pub mod setup;
pub mod snippets;
pub mod systemd;
pub mod tls;
#[cfg(feature = "otel")]
pub mod traces;
pub mod web;
pub mod wire;
