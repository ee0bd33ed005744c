//! HTTP: one file per audience. `problem`, `body` and `view` are what they share, `error` maps the core's errors.

pub mod artifacts;
mod audit;
pub mod auth;
mod backstage;
pub mod body;
pub mod census;
pub mod cursor;
mod discovered;
pub mod downloads;
mod error;
pub mod events;
pub(crate) mod farewell;
mod headers;
pub mod health;
mod hosts;
pub mod hub;
mod images;
mod join_queue;
mod journal;
pub mod listen;
mod login;
mod machines;
pub mod metrics;
pub mod netboot_view;
mod notify;
mod openapi;
mod operations;
mod ops;
mod pace;
pub mod problem;
mod programs;
pub mod rebuild;
pub(crate) mod request_span;
mod revision;
mod schema;
pub mod segment;
pub mod slots;
mod tokens;
pub mod view;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, RwLock};

use axum::Router;
use axum::http::Uri;
use axum::middleware::{from_fn_with_state, map_response};
use provisioning_core::orchestrator::Orchestrator;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use audit::Subject;

use artifacts::LoadedImages;
use auth::Operators;
use downloads::Downloads;
use health::HealthChecks;
use hub::Hub;
use metrics::Metrics;

use crate::config::Setting;
use crate::netboot::Health;
use crate::notify::Notify;
use crate::web::board::Board;
use crate::web::{self, Web};

/// What all handlers share.
pub struct App {
    /// The core.
    pub orchestrator: Arc<Orchestrator>,
    /// The images on disk.
    pub images: LoadedImages,
    /// Who may operate.
    pub operators: Operators,
    /// What machines have been served.
    pub downloads: Downloads,
    /// What is counted and measured.
    pub metrics: Metrics,
    /// The folder of the boot programs.
    pub programs: PathBuf,
    /// How the boot server fares.
    pub boot_server: Health,
    /// Services that are told of events.
    pub notify: Notify,
    /// What is wrong with the last edit of `server-types.yaml`; the classes before it stay in force.
    pub server_type_faults: Arc<RwLock<Vec<String>>>,
    /// What the open pages are told of the whole fleet.
    pub board: Arc<Board>,
    /// What all event streams are told.
    pub hub: Hub,
    /// The configuration in force, for people to read; not set where it came from no file.
    pub settings: OnceLock<Vec<Setting>>,
    /// What keeps the server from its work.
    pub health: HealthChecks,
    /// Becomes true when the server stops: endless streams end then.
    pub stopping: watch::Receiver<bool>,
}

/// All routes of operators' programs.
fn operators_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(hosts::routes())
        .merge(operations::routes())
        .merge(images::routes())
        .merge(discovered::routes())
        .merge(join_queue::routes())
        .merge(journal::routes())
        .merge(notify::routes())
        .merge(tokens::routes())
        .merge(audit::routes())
        .merge(ops::operators_routes())
        .merge(metrics::routes())
}

/// All routes that take no operator's token.
fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(machines::routes())
        .merge(artifacts::routes())
        .merge(programs::routes())
        .merge(ops::public_routes())
        .merge(openapi::routes())
}

/// All routes. Those that programs and machines use describe themselves: see `openapi`.
pub fn router(app: Arc<App>) -> Router {
    let measure = from_fn_with_state(app.metrics.clone(), metrics::measure);
    let backstage = Arc::new(backstage::AppBackstage(Arc::clone(&app)));
    let web = Web::new(Arc::clone(&app.orchestrator), Arc::new(app.downloads.clone()), backstage)
        .with_board(Arc::clone(&app.board))
        .with_sessions(!app.operators.is_open());
    let pages = web::pages(web);
    let operators = Router::from(operators_routes())
        .merge(events::routes())
        .with_state(Arc::clone(&app))
        .merge(pages)
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::require_operator));
    Router::from(public_routes())
        .merge(login::routes())
        .with_state(app)
        .merge(web::public())
        .merge(operators)
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(measure)
        .layer(map_response(headers::add_to_response))
}

/// The routes of firmware, for a door without TLS: boot scripts and what they name. Nothing here takes an operator's
/// token, so that none is ever sent in clear.
pub fn boot_router(app: Arc<App>) -> Router {
    let measure = from_fn_with_state(app.metrics.clone(), metrics::measure);
    let firmware =
        OpenApiRouter::new().merge(machines::boot_routes()).merge(artifacts::routes()).merge(programs::routes());
    Router::from(firmware)
        .with_state(Arc::clone(&app))
        .fallback(async move |uri: Uri| error::not_for_firmware(&uri, &app.orchestrator.site().public_url))
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(measure)
        .layer(map_response(headers::add_to_response))
}
