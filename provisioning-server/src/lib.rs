//! The reference server: configuration, wiring, HTTP and the command line around `provisioning-core`.

pub mod artifact_http;
pub mod cli;
pub mod config;
pub mod data_dir;
#[cfg(feature = "demo")]
pub mod demo;
pub mod http;
pub mod images;
pub mod netboot;
pub mod plan_log;
pub mod server;
pub mod snippets;
pub mod web;
pub mod wire;
