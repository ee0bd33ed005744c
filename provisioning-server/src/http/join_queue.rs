//! Who joins the cluster now and who waits for that, for operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use provisioning_core::model::Timestamp;
use provisioning_core::orchestrator::{JoinPlace, JoinQueue, JoinTurn, JoinWait};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::Problem;
use super::schema::Time;
use crate::web::waits_in_lane;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The queue.
#[derive(Serialize, ToSchema)]
#[schema(as = JoinQueue)]
struct JoinQueueView {
    /// The host that joins now.
    joining: Option<TurnView>,
    /// Those that wait, the next one first.
    waiting: Vec<PlaceView>,
}

/// The host that has the slot.
#[derive(Serialize, ToSchema)]
#[schema(as = JoinTurn)]
struct TurnView {
    /// Its id.
    host: String,
    /// Its name.
    hostname: String,
    /// Since when it has the slot.
    #[schema(value_type = Time)]
    since: Timestamp,
    /// What holds it up.
    trouble: Option<String>,
}

/// A host that waits; position 1 is the next.
#[derive(Serialize, ToSchema)]
#[schema(as = JoinPlace)]
struct PlaceView {
    /// Its id.
    host: String,
    /// Its name.
    hostname: String,
    /// Its place; 1 is the next.
    position: usize,
    /// Since when it waits.
    #[schema(value_type = Time)]
    since: Timestamp,
    /// The host that it waits for.
    behind: Option<String>,
    /// Until when it waits at most, where that is known.
    #[schema(value_type = Option<Time>)]
    until: Option<Timestamp>,
    /// The same in words.
    waiting_for: String,
}

/// Show who joins the cluster now, and who waits for that.
#[utoipa::path(
    get, path = "/api/join-queue", tag = "operations", operation_id = "show_join_queue",
    responses((status = 200, description = "The queue", body = JoinQueueView)),
    security(("operator" = [])),
)]
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
