//! The reference server: configuration, wiring, HTTP and the command line around `provisioning-core`.

pub mod config;
pub mod http;
pub mod images;
