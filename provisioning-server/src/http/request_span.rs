//! What lines of the log that belong to a request repeat of it. Never its path: that may hold a token.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use provisioning_core::model::MacAddr;
use tracing::field::{Empty, display};
use tracing::{Span, error_span};

/// Where the path of a machine's boot script begins.
const BOOT_SCRIPTS: &str = "/ipxe/";
/// Requests since the start of the process.
static COUNT: AtomicU64 = AtomicU64::new(1);

/// A request by this method to a route of ours. The machine behind a boot script is told by its address; host and
/// operation are filled in once they are known.
pub(crate) fn request_span(method: &str, route: &str, path: &str, client: Option<IpAddr>) -> Span {
    let request = COUNT.fetch_add(1, Ordering::Relaxed);
    let span =
        error_span!("request", request, method, route, client = Empty, mac = Empty, host = Empty, operation = Empty);
    if let Some(client) = client {
        span.record("client", display(client));
    }
    if let Some(mac) = path.strip_prefix(BOOT_SCRIPTS).and_then(mac) {
        span.record("mac", display(mac));
    }
    span
}

/// The line of the access log, within the request's span.
pub(crate) fn log_answer(status: StatusCode, took: Duration) {
    let took_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    tracing::debug!(status = status.as_u16(), took_ms, "answered");
}

/// Firmware writes colons as they are, or as `%3A`.
fn mac(text: &str) -> Option<MacAddr> {
    text.replace("%3A", ":").replace("%3a", ":").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_by_its_address_in_either_spelling() {
        let known: MacAddr = "52:54:00:12:34:56".parse().unwrap();
        assert_eq!(mac("52%3A54%3a00:12:34:56"), Some(known));
        assert_eq!(mac("not-a-mac"), None);
    }
}
