//! The dashboard: server-rendered pages, kept live by small scripts that swap in fragments of the same templates.
//!
//! Read-only: every change goes through the operators' API, so that a page can do nothing that a program cannot.

mod actions;
mod assets;
mod fleet;
mod headers;
mod history;
mod host;
mod host_view;
mod images;
mod login;
mod moment;
mod page;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use provisioning_core::model::OperationId;
use provisioning_core::orchestrator::Orchestrator;

pub use login::login_page;
pub use words::{phase_title, sentence, span, waiting_for, what_happens_at_deadline};

/// How far a machine's download of kernel and initrd has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download {
    /// Bytes handed out so far.
    pub bytes: u64,
    /// Bytes that there are.
    pub total: u64,
}

impl Download {
    /// How much of it is done, 0 to 100; a download of nothing is done.
    pub fn percent(self) -> u64 {
        if self.total == 0 { 100 } else { self.bytes.min(self.total).saturating_mul(100) / self.total }
    }
}

/// Who counts the bytes that machines fetch.
pub trait Downloads: Send + Sync {
    /// The download of a running operation; `None` when nothing was fetched yet, or when it is not counted.
    fn of(&self, operation: OperationId) -> Option<Download>;
}

/// What the pages are made from.
#[derive(Clone)]
pub struct Web {
    orchestrator: Arc<Orchestrator>,
    downloads: Arc<dyn Downloads>,
}

impl Web {
    /// Pages over an orchestrator's hosts and the downloads of its machines.
    pub fn new(orchestrator: Arc<Orchestrator>, downloads: Arc<dyn Downloads>) -> Self {
        Self { orchestrator, downloads }
    }
}

/// The dashboard's routes. They check no session: whoever mounts them does, in front of all but `/assets` and
/// `/favicon.svg`, which the login page needs.
pub fn router(web: Web) -> Router {
    Router::new()
        .route("/", get(fleet::page))
        .route("/hosts/{host}", get(host::page))
        .route("/images", get(images::page))
        .route("/fragments/hosts", get(fleet::fragments))
        .route("/fragments/hosts/{host}", get(fleet::fragment))
        .route("/fragments/hosts/{host}/page", get(host::fragment))
        .route("/fragments/images", get(images::fragment))
        .with_state(web)
        .layer(map_response(with_security_headers))
        .merge(public_router())
}

/// The routes that show nothing of the site and may be open to all: `/assets/…` and `/favicon.svg`.
pub fn public_router() -> Router {
    Router::new()
        .route("/assets/{*path}", get(assets::asset))
        .route("/favicon.svg", get(assets::favicon))
        .layer(map_response(with_security_headers))
}

async fn with_security_headers(response: Response) -> Response {
    headers::add_security_headers(response)
}

#[cfg(test)]
mod tests;
