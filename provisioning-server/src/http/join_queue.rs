//! Who joins the cluster now and who waits for that, for operators.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use provisioning_core::model::Timestamp;
use provisioning_core::orchestrator::{JoinPlace, JoinQueue, JoinTurn, JoinWait};
use serde::Serialize;

use super::App;
use super::problem::Problem;
use crate::web::waits_in_lane;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/join-queue", get(show))
}

/// The queue. Field names are part of the API.
#[derive(Serialize)]
struct JoinQueueView {
    joining: Option<TurnView>,
    waiting: Vec<PlaceView>,
}

/// The host that has the slot.
#[derive(Serialize)]
struct TurnView {
    host: String,
    hostname: String,
    since: Timestamp,
    /// What holds it up.
    trouble: Option<String>,
}

/// A host that waits; position 1 is the next.
#[derive(Serialize)]
struct PlaceView {
    host: String,
    hostname: String,
    position: usize,
    since: Timestamp,
    behind: Option<String>,
    until: Option<Timestamp>,
    waiting_for: String,
}

async fn show(State(app): State<Arc<App>>) -> Result<Json<JoinQueueView>, Problem> {
    let JoinQueue { holder, waiting } = app.orchestrator.join_queue().await?;
    Ok(Json(JoinQueueView {
        joining: holder.map(TurnView::from),
        waiting: waiting.iter().map(PlaceView::from).collect(),
    }))
}

impl From<JoinTurn> for TurnView {
    fn from(turn: JoinTurn) -> Self {
        let JoinTurn { host, name, since, trouble } = turn;
        Self { host: host.to_string(), hostname: name.to_string(), since, trouble }
    }
}

impl From<&JoinPlace> for PlaceView {
    fn from(place: &JoinPlace) -> Self {
        let (behind, until) = match &place.why {
            JoinWait::Nothing => (None, None),
            JoinWait::Behind { name } => (Some(name.to_string()), None),
            JoinWait::GivenUpJoin { name, until } => (Some(name.to_string()), Some(*until)),
        };
        Self {
            host: place.host.to_string(),
            hostname: place.name.to_string(),
            position: place.position,
            since: place.since,
            behind,
            until,
            waiting_for: waits_in_lane(place),
        }
    }
}
