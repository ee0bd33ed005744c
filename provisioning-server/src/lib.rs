//! The reference server: configuration, wiring, HTTP and the command line around `provisioning-core`.

pub mod config;
pub mod data_dir;
pub mod http;
pub mod images;
pub mod plan_log;
pub mod server;
pub mod web;
