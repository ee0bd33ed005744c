//! `POST /api/hosts/{id}/rebuild`: starts an operation, once for each `Idempotency-Key`.
//!
//! The request is kept with its operation, in the commit that starts it: a repeat finds it after a crash and after a
//! restart as well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use provisioning_core::model::{ArtefactKind, OperationId};
use provisioning_core::orchestrator::{OperatorError, Rebuild};
use provisioning_core::ports::{HostRecord, PowerAnswer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::{Fields, Params};
use super::problem::{Kind, Problem};
use super::segment::Segment;
use super::view::{HostView, PreflightView};

/// The request's header that names it.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The answer's header that says that nothing new was started.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replay");
/// The longest key.
const KEY_LENGTH_MAX: usize = 255;
/// So many operations of a host are searched for a key, the latest first.
const REMEMBERED_OPERATIONS: usize = 32;

/// What to install.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
pub(super) struct RebuildBody {
    /// The image's id or name; the one imported last when absent.
    image: Option<String>,
    /// The host's name, needed when the host was ready before: its disks will be wiped.
    confirm: Option<String>,
    /// Whether it may be another machine than at the last installation, with a new mainboard for instance.
    accept_new_hardware: Option<bool>,
}

/// An operation that was started.
#[derive(Serialize, ToSchema)]
pub(super) struct StartedView {
    /// The operation's id.
    operation: String,
    /// `cycling`: the machine restarts by itself. `ask_a_person`: somebody has to start it from the network.
    /// `asked_before`: nothing new was started, this is the operation of an earlier request with the same key.
    #[schema(example = "ask_a_person")]
    power: &'static str,
    /// The host since.
    host: HostView,
}

/// A request with a key, as it is kept with its operation.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    idempotency_key: String,
    image: Option<String>,
    confirm: Option<String>,
    #[serde(default)]
    accept_new_hardware: bool,
}

/// Start an operation: the host is installed anew and joins its cluster.
///
/// Its disks are wiped. With `dry_run=true` nothing is started: the answer, 200, shows what would be. With an
/// `Idempotency-Key` a repeat of the same request gets the same operation; another request under the same key is
/// refused. A key is remembered with its operation, for the latest 32 operations of the host.
#[utoipa::path(
    post, path = "/api/hosts/{id}/rebuild", tag = "hosts", operation_id = "rebuild_host",
    params(
        ("id" = String, Path, description = "The host's id or name"),
        ("dry_run" = Option<bool>, Query, description = "Only show what would happen"),
        ("idempotency-key" = Option<String>, Header, description = "Names the request, 1 to 255 printable ASCII characters; a repeat starts nothing new",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body = Option<RebuildBody>,
    responses(
        (status = 200, description = "What would happen (dry run)", body = PreflightView<'static>),
        (status = 202, description = "Started, or started before by the same request", body = StartedView,
            headers(("Idempotent-Replay" = Option<String>, description = "`true` when an earlier request started it"))),
    ),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host", "no-such-image", "no-such-server-type", "host-busy",
        "not-possible-now", "confirmation-needed", "preflight-failed", "idempotency-key-reused"]))),
)]
pub(super) async fn rebuild(
    State(app): State<Arc<App>>,
    Segment(host): Segment,
    headers: HeaderMap,
    mut params: Params,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let key = key_of(&headers)?;
    let dry_run = params.truth("dry_run").unwrap_or(false);
    params.finish()?;
    let image = fields.text("image");
    let confirm = fields.text("confirm");
    let accept_new_hardware = fields.truth("accept_new_hardware").unwrap_or(false);
    fields.finish()?;
    let record = app.host(&host).await?;
    let asked = key.map(|idempotency_key| Asked {
        idempotency_key,
        image: image.clone(),
        confirm: confirm.clone(),
        accept_new_hardware,
    });
    if let Some(asked) = asked.as_ref().filter(|_| !dry_run)
        && let Some(operation) = app.asked_before(&record, asked).await?
    {
        return Ok(app.replayed(&record, operation));
    }
    let image = match image {
        Some(image) => Some(app.image_id(&image).await?),
        None => None,
    };
    if dry_run {
        let preflight = app.orchestrator.preflight(record.host.id, image).await?;
        return Ok(Json(PreflightView::new(&preflight)).into_response());
    }
    let text = asked.as_ref().and_then(|asked| serde_json::to_string(asked).ok());
    match app.orchestrator.start(record.host.id, Rebuild { image, confirm, accept_new_hardware, asked: text }).await {
        Ok(started) => {
            let power = match started.power {
                PowerAnswer::Cycling => "cycling",
                PowerAnswer::AskAPerson => "ask_a_person",
            };
            let host = app.host_view(&started.record, &[]);
            let view = StartedView { operation: started.operation.to_string(), power, host };
            Ok((StatusCode::ACCEPTED, Json(view)).into_response())
        }
        // Perhaps it is the other of two repeats that were sent at once.
        Err(error @ OperatorError::Busy { .. }) => match asked {
            Some(asked) => match app.asked_before(&record, &asked).await? {
                Some(operation) => Ok(app.replayed(&app.host(&host).await?, operation)),
                None => Err(error.into()),
            },
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if (1..=KEY_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(text.to_owned()));
    }
    Err(Problem::new(Kind::MalformedRequest, "the Idempotency-Key is none")
        .at("idempotency-key", text, format!("1 to {KEY_LENGTH_MAX} printable ASCII characters without spaces"))
        .advise("send a fresh UUID for each rebuild that is meant"))
}

impl App {
    /// The operation that an earlier request with the same key has started.
    async fn asked_before(&self, record: &HostRecord, asked: &Asked) -> Result<Option<OperationId>, Problem> {
        let store = self.orchestrator.store();
        for operation in store.operations_of(record.host.id).await?.iter().take(REMEMBERED_OPERATIONS) {
            let artefacts = store.artefacts(operation.id).await?;
            let kept = artefacts.iter().find(|artefact| artefact.kind == ArtefactKind::Request);
            let Some(kept) = kept.and_then(|kept| serde_json::from_str::<Asked>(&kept.text).ok()) else { continue };
            if kept == *asked {
                return Ok(Some(operation.id));
            }
            if kept.idempotency_key == asked.idempotency_key {
                let detail = format!("operation {} was started by another request with this key", operation.id);
                return Err(Problem::new(Kind::IdempotencyKeyReused, detail)
                    .at("idempotency-key", &asked.idempotency_key, "a key that no other request has had")
                    .advise(
                        "send a fresh key for a new rebuild, or the earlier request's body to learn what became of it",
                    ));
            }
        }
        Ok(None)
    }

    fn replayed(&self, record: &HostRecord, operation: OperationId) -> Response {
        let host = self.host_view(record, &[]);
        let view = StartedView { operation: operation.to_string(), power: "asked_before", host };
        let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}
