//! The API of an existing member of the cluster: who is in it, and a ticket to join it.
//!
//! Two calls, to port 8006 (`reference/cluster-join.md`, "API"):
//! - `GET /api2/json/cluster/status` with an API token, for which the role PVEAuditor on `/` is enough;
//! - `POST /api2/json/access/ticket` as `root@pam` with its password. The ticket stands for the password in
//!   `pvecm add`; API tokens cannot join nodes.
//!
//! The member is known by its certificate's SHA-256 fingerprint alone, the one that `pvecm add --fingerprint` is given:
//! neither its name nor who signed the certificate is looked at, since a cluster signs its own. Nothing is sent before
//! the certificate was seen, connections and TLS sessions are not kept, and no proxy of the environment is used.

mod client;
mod pin;
mod wire;

pub use client::{ProxmoxMember, ProxmoxSetupError};
