//! The operator's own inventory service, by HTTP: a documented default request, and templates for other services.
//!
//! # The default request
//! ```text
//! PUT {base_url}/api/hosts/{key}
//! Content-Type: application/json
//! Idempotency-Key: {key}
//!
//! {"key": "…", "hostname": "…", "fqdn": "…", "ip": "…", "macs": ["…"], "server_type": "…", "gpu": null,
//!  "host_id": "…", "operation_id": "…"}
//! ```
//! `key` is the hardware id, else our host id: registering twice is registering once.
//!
//! # Templates
//! Path, header values and body are tera templates over the record: `key`, `hardware_id` (or null), `hostname`,
//! `fqdn`, `ip`, `mac` (the first, or null), `macs` (a list), `server_type` (as `server_type_map` names it, else our
//! own key), `server_type_key` (our own), `gpu` (free text, or null), `host_id`, `operation_id`. What is printed is
//! escaped for the place it is printed to:
//! - path: percent-encoded, so that a value stays within its segment;
//! - body: as the inside of a JSON string, so write the quotes yourself: `"name": "{{ hostname }}"`. The filter
//!   `json` writes a whole JSON value instead, quotes included: `"macs": {{ macs | json }}, "gpu": {{ gpu | json }}`;
//! - header: as it is; a value that HTTP does not allow there is an error.
//!
//! Every template is rendered with samples at construction. The samples' free texts are hostile, so that a value
//! printed outside of a JSON string is found there and then, and not with the first odd host.
//!
//! # Answers
//! 2xx: taken in. 408, 425, 429, 5xx, no connection, no answer in time: tried later. 409: a refusal, unless
//! `conflict_means_known` is set for services that answer a repeated `POST` with it. Everything else, redirects
//! among them, is a refusal that tells the first 300 characters of the answer, with our header values masked.

mod client;
mod config;
mod templates;

pub use client::InfrastructureClient;
pub use config::{InfrastructureConfig, InfrastructureFault, Method};
