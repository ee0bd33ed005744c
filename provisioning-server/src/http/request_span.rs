//! What lines of the log that belong to a request repeat of it. Never its path: that may hold a token.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use provisioning_core::model::MacAddr;
use tracing::field::{Empty, display};
use tracing::{Span, error_span};

/// Requests since the start of the process.
static COUNT: AtomicU64 = AtomicU64::new(1);

/// A request by this method to a route of ours. Machine, host and operation are filled in once they are known.
pub(crate) fn request_span(method: &str, route: &str, client: Option<IpAddr>) -> Span {
    let request = COUNT.fetch_add(1, Ordering::Relaxed);
    let client = client.map(display);
    error_span!("request", request, method, route, client, mac = Empty, host = Empty, operation = Empty)
}

/// The request is a machine's that is known by its address alone.
pub(super) fn is_of_machine(mac: MacAddr) {
    Span::current().record("mac", display(mac));
}

/// The line of the access log, within the request's span.
pub(crate) fn log_answer(status: StatusCode, took: Duration) {
    let took_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    tracing::debug!(status = status.as_u16(), took_ms, "answered");
}
