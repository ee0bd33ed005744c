//! The dashboard: server-rendered pages, kept live by small scripts that swap in fragments of the same templates.
//!
//! Scripts change things through the operators' API, and forms (for those without scripts) through the same functions
//! of the core: a page can do nothing that a program cannot.

mod actions;
mod activity;
mod assets;
mod backstage;
pub mod board;
mod diff;
mod discovered;
mod fleet;
mod forms;
mod groups;
mod headers;
mod history;
mod host;
mod host_view;
mod images;
mod login;
mod moment;
mod page;
mod reference;
mod roster;
mod settings;
mod typical;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use provisioning_core::model::{MacAddr, OperationId};
use provisioning_core::netboot::doctor::{Diagnosis, Progress};
use provisioning_core::orchestrator::Orchestrator;
use provisioning_core::ports::StoreError;
use serde::Serialize;
use tokio::sync::Mutex;

use board::Board;

use self::typical::Typical;

pub use backstage::Backstage;
pub use login::login_page;
pub(crate) use reference::{api_page, problems_page};
pub use words::{
    phase_title, sentence, span, waiting_for, waits_for_download, waits_in_lane, what_happens_at_deadline,
};

/// How far a machine's download of kernel and initrd has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Download {
    /// Bytes handed out so far.
    pub bytes: u64,
    /// Bytes that there are.
    pub total: u64,
}

impl Download {
    /// How much of it is done, 0 to 100; a download of nothing is done.
    pub fn percent(self) -> u64 {
        self.bytes.min(self.total).saturating_mul(100).checked_div(self.total).unwrap_or(100)
    }
}

/// Who counts the bytes that machines fetch.
pub trait Downloads: Send + Sync {
    /// The download of a running operation; `None` when nothing was fetched yet, or when it is not counted.
    fn of(&self, operation: OperationId) -> Option<Download>;

    /// The place of an operation whose machine waits for a download slot, 1 being the next; `None` when it does not.
    fn place(&self, operation: OperationId) -> Option<usize> {
        let _ = operation;
        None
    }

    /// The same file by file, for the PXE doctor; `None` when it is not known.
    fn progress(&self, operation: OperationId) -> Option<Progress> {
        let _ = operation;
        None
    }
}

/// What is the matter with the netboot of a NIC, with the download of its host's operation taken into account. For
/// any address, also one that was never seen.
///
/// # Errors
/// When the store cannot be read.
pub async fn diagnose(
    orchestrator: &Orchestrator,
    downloads: &dyn Downloads,
    mac: MacAddr,
) -> Result<Diagnosis, StoreError> {
    let record = orchestrator.store().host_by_mac(mac).await?;
    let operation = record.and_then(|record| record.state.running());
    orchestrator.diagnose(mac, operation.and_then(|operation| downloads.progress(operation))).await
}

/// What the pages are made from.
#[derive(Clone)]
pub struct Web {
    orchestrator: Arc<Orchestrator>,
    downloads: Arc<dyn Downloads>,
    backstage: Arc<dyn Backstage>,
    typical: Arc<Mutex<Typical>>,
    board: Arc<Board>,
    has_sessions: bool,
}

impl Web {
    /// Pages over an orchestrator's hosts, the downloads of its machines, and the server behind them.
    pub fn new(orchestrator: Arc<Orchestrator>, downloads: Arc<dyn Downloads>, backstage: Arc<dyn Backstage>) -> Self {
        let board = Arc::new(Board::new(Arc::default(), vec![]));
        Self { orchestrator, downloads, backstage, typical: Arc::default(), board, has_sessions: false }
    }

    /// With a board that follows the journal.
    #[must_use]
    pub fn with_board(self, board: Arc<Board>) -> Self {
        Self { board, ..self }
    }

    /// For operators who have logged in, and may log out.
    #[must_use]
    pub fn with_sessions(self, has_sessions: bool) -> Self {
        Self { has_sessions, ..self }
    }
}

/// All of the dashboard's routes. They check no session: whoever mounts them does. [`pages`] and [`public`] are the
/// two halves, for those who ask for a session before the first only.
pub fn router(web: Web) -> Router {
    pages(web).merge(public())
}

/// The routes that show the site's state: for operators only.
pub fn pages(web: Web) -> Router {
    Router::new()
        .route("/", get(fleet::page))
        .route("/hosts/{host}", get(host::page))
        .route("/hosts/{host}/operations/{operation}/bundle.tar", get(host::download_all))
        .route("/hosts/{host}/operations/{operation}/{file}", get(host::download))
        .route("/images", get(images::page))
        .route("/activity", get(activity::page))
        .route("/settings", get(settings::page))
        .route("/fragments/hosts", get(fleet::rows))
        .route("/fragments/hosts/{host}", get(fleet::row))
        .route("/fragments/discovered", get(discovered::fragment))
        .route("/discovered/{mac}/dismiss", post(discovered::dismiss))
        .route("/fragments/fleet", get(fleet::index))
        .route("/fragments/hosts/{host}/page", get(host::fragment))
        .route("/fragments/images", get(images::fragment))
        .route("/fragments/activity", get(activity::fragment))
        .route("/fragments/settings", get(settings::fragment))
        .merge(forms::routes())
        .layer(map_response(with_security_headers))
        .with_state(web)
}

/// The routes that show nothing of the site, and that the login page needs: `/assets/…` and `/favicon.svg`.
pub fn public() -> Router {
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
