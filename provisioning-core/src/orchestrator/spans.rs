//! What log lines and traces belong to: spans that name the host and the operation, which every line within repeats.
//!
//! Their level is the highest, not because something is wrong, but so that a log that is set to warnings alone still
//! says whom a warning is about. Fields that are not known at first are filled in by [`is_about`].

use std::net::IpAddr;

use tracing::field::{Empty, display};
use tracing::{Span, error_span, record_all};

use crate::machine::Event;
use crate::model::{MacAddr, OperationId};
use crate::ports::{HostRecord, Work};

/// A try of a piece of work.
pub(super) fn work(work: &Work) -> Span {
    let (kind, attempt) = (work.id.kind.as_str(), work.attempts.saturating_add(1));
    error_span!("work", work = kind, attempt, operation = %work.id.operation, host = Empty)
}

/// An event that is applied to a host.
pub(super) fn applied(event: &Event) -> Span {
    error_span!("apply", event = event.kind.as_str(), operation = %event.operation, host = Empty)
}

/// A machine asks what to boot.
pub(super) fn boot_script(mac: MacAddr) -> Span {
    error_span!("boot_script", %mac, operation = Empty, host = Empty)
}

/// The boot server saw a machine.
pub(super) fn sighting(mac: MacAddr) -> Span {
    error_span!("sighting", %mac, operation = Empty, host = Empty)
}

/// A machine asks for its answer file, or tells something.
pub(super) fn machine(request: &'static str, from: Option<IpAddr>) -> Span {
    error_span!("machine", request, client = from.map(display), operation = Empty, host = Empty)
}

/// What goes on is about this host, and its operation if it has one.
pub(super) fn is_about(record: &HostRecord) {
    match record.state.operation() {
        Some(operation) => record_all!(Span::current(), host = %record.host.name, operation = %operation),
        None => is_about_host(record),
    }
}

/// The same where the operation is known, and may be another than the host's latest.
pub(super) fn is_about_host(record: &HostRecord) {
    Span::current().record("host", display(&record.host.name));
}

/// What goes on belongs to this operation.
pub(super) fn is_of(operation: OperationId) {
    Span::current().record("operation", display(operation));
}
