//! The dnsmasq adapter: its configuration as text, and the real dnsmasq between two network namespaces.

#![expect(clippy::unwrap_used, reason = "a test whose network does not come up shall fail")]

mod client;
mod contract;
mod doctor;
mod fleet;
mod lan;
mod modes;
mod rendered;
mod supervision;
