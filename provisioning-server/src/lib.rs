//! The reference server: configuration, wiring, HTTP and the command line around `provisioning-core`.

pub mod access;
pub mod artifact_http;
pub mod bandwidth;
pub mod cli;
pub mod config;
pub mod data_dir;
#[cfg(feature = "demo")]
pub mod demo;
pub mod file_watch;
pub mod hardening;
pub mod http;
pub mod images;
pub mod netboot;
pub mod notify;
pub mod plan_log;
pub mod server;
mod server_types_reload;
pub mod setup;
pub mod snippets;
pub mod tls;
pub mod web;
pub mod wire;
