//! What machines ask and tell. They never retry where it matters, so nothing here is refused that could wait.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use provisioning_core::model::{HostId, MacAddr};
use provisioning_core::orchestrator::{AnswerRequest, BootReply, BootRequest, Report};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Peer, bearer};
use super::body::{MACHINE_BYTES_MAX, read_limited, read_prefix};
use super::problem::{Kind, Problem, shortened};
use super::request_span::is_of_machine;
use super::segment::Segment;
use super::slots::Turn;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    boot_routes()
        .routes(routes!(answer))
        .routes(routes!(installed))
        .routes(routes!(first_boot_script))
        .routes(routes!(phone_home))
}

/// What firmware asks, which cannot speak TLS.
pub(super) fn boot_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(boot_script))
}

/// `?token=…`: neither webhook nor first boot can send a header of ours. Whatever else stands there is no matter.
struct InUrl {
    token: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for InUrl {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|Query(pairs)| pairs);
        let mut pairs = pairs.unwrap_or_default().into_iter();
        Ok(Self { token: pairs.find(|(name, _)| name == "token").map(|(_, token)| token) })
    }
}

impl InUrl {
    fn token_or<'a>(&'a self, headers: &'a HeaderMap) -> Option<&'a str> {
        bearer(headers).or(self.token.as_deref())
    }
}

/// The boot script of a machine.
///
/// 404 sends it on to its next boot device, 503 makes iPXE ask again.
#[utoipa::path(
    get, path = "/ipxe/{mac}", tag = "machines", operation_id = "boot_script",
    params(("mac" = String, Path, description = "The address of the NIC it boots from, in any spelling")),
    responses((status = 200, description = "An iPXE script", body = String, content_type = "text/plain; charset=utf-8")),
    extensions(("x-problems" = json!(["malformed-request", "no-such-host", "try-later"]))),
)]
async fn boot_script(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Segment(mac): Segment,
    headers: HeaderMap,
) -> Response {
    let parsed: MacAddr = match mac.parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            return Problem::new(Kind::MalformedRequest, format!("{:?}: {error}", shortened(&mac)))
                .at("mac", mac, error.to_string())
                .advise("point machines at /ipxe/${mac}")
                .into_response();
        }
    };
    is_of_machine(parsed);
    // A store that does not answer now will be told of by the script's own request.
    if app.downloads.has_slots()
        && let Ok(Some(operation)) = app.orchestrator.armed_operation(parsed).await
        && let Turn::Wait { place, pause } = app.downloads.admit(operation, app.orchestrator.now())
    {
        let problem = Problem::new(Kind::TryLater, format!("{parsed} waits for a download slot, at place {place}"));
        return problem.retry_after(u32::try_from(pause.as_secs()).unwrap_or(u32::MAX)).into_response();
    }
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    match app.orchestrator.boot_script_for(BootRequest { mac: parsed, from: peer.ip(), agent }).await {
        BootReply::Script(script) => text(script.expose().clone(), "text/plain; charset=utf-8"),
        BootReply::NextDevice => {
            Problem::new(Kind::NoSuchHost, format!("nothing is to be installed on {parsed}")).into_response()
        }
        BootReply::Wait(pause) => {
            let seconds = u32::try_from(pause.as_secs().max(1)).unwrap_or(u32::MAX);
            Problem::new(Kind::TryLater, "the server is busy").retry_after(seconds).into_response()
        }
    }
}

/// The answer file of a machine, for the Proxmox installer.
#[utoipa::path(
    post, path = "/api/boot/answer", tag = "machines", operation_id = "answer_file",
    params(("token" = Option<String>, Query, description = "The operation's token; may also be sent as a bearer token"),),
    request_body(content = String, content_type = "application/json", description = "What the installer says of the machine"),
    responses((status = 200, description = "The answer file", content((String = "application/toml"), (String = "application/json")))),
    extensions(("x-problems" = json!(["malformed-json", "body-too-large", "body-broke-off", "no-such-host",
        "mac-taken", "not-possible-now", "preflight-failed", "unknown-token", "operation-ended", "try-later",
        "not-writable", "internal", "store-corrupt"]))),
)]
async fn answer(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    url: InUrl,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = read_limited(&parts.headers, body, MACHINE_BYTES_MAX).await?;
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let token = url.token_or(&parts.headers);
    let request = AnswerRequest { token, body: &body, accept, from: peer.ip() };
    let answer = app.orchestrator.answer_file(&request).await?;
    Ok(text(answer.text.expose().clone(), answer.content_type))
}

/// The script that a host runs at its first boot.
#[utoipa::path(
    get, path = "/api/hosts/{id}/first-boot-script", tag = "machines", operation_id = "first_boot_script",
    params(
        ("id" = String, Path, description = "The host's id"),
        ("token" = Option<String>, Query, description = "The operation's token; may also be sent as a bearer token"),
    ),
    responses((status = 200, description = "A shell script", body = String, content_type = "text/x-shellscript; charset=utf-8")),
    extensions(("x-problems" = json!(["no-such-host", "unknown-token", "operation-ended", "try-later", "not-writable",
        "internal", "store-corrupt"]))),
)]
async fn first_boot_script(
    State(app): State<Arc<App>>,
    Segment(host): Segment,
    url: InUrl,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let host = host_id(&host)?;
    let token = url.token_or(&headers).unwrap_or_default();
    let script = app.orchestrator.first_boot_script(host, token).await?;
    Ok(text(script.expose().clone(), "text/x-shellscript; charset=utf-8"))
}

/// The installer's report that it is done.
#[utoipa::path(
    post, path = "/api/hosts/{id}/installed", tag = "machines", operation_id = "report_installed",
    params(
        ("id" = String, Path, description = "The host's id"),
        ("token" = Option<String>, Query, description = "The operation's token; may also be sent as a bearer token"),
    ),
    request_body(content = String, content_type = "application/json", description = "The report; unreadable ones are journalled"),
    responses((status = 200, description = "Taken, also when it comes twice, late or unreadable")),
    extensions(("x-problems" = json!(["no-such-host", "unknown-token", "body-broke-off", "try-later", "not-writable",
        "internal", "store-corrupt"]))),
)]
async fn installed(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Segment(host): Segment,
    url: InUrl,
    request: Request,
) -> Result<StatusCode, Problem> {
    report(&app, Report::Installed, peer, &host, &url, request).await
}

/// A host's report of its address and hardware id.
#[utoipa::path(
    post, path = "/api/hosts/{id}/phone-home", tag = "machines", operation_id = "report_phone_home",
    params(
        ("id" = String, Path, description = "The host's id"),
        ("token" = Option<String>, Query, description = "The operation's token; may also be sent as a bearer token"),
    ),
    request_body(content = String, content_type = "application/json", description = "The report; unreadable ones are journalled"),
    responses((status = 200, description = "Taken, also when it comes twice, late or unreadable")),
    extensions(("x-problems" = json!(["no-such-host", "unknown-token", "body-broke-off", "try-later", "not-writable",
        "internal", "store-corrupt"]))),
)]
async fn phone_home(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Segment(host): Segment,
    url: InUrl,
    request: Request,
) -> Result<StatusCode, Problem> {
    report(&app, Report::PhoneHome, peer, &host, &url, request).await
}

/// A report that is too long is cut, found unusable and journalled, rather than refused.
async fn report(
    app: &App,
    which: Report,
    peer: Peer,
    host: &str,
    url: &InUrl,
    request: Request,
) -> Result<StatusCode, Problem> {
    let host = host_id(host)?;
    let (parts, body) = request.into_parts();
    let body: Bytes = read_prefix(body, MACHINE_BYTES_MAX).await?;
    let token = url.token_or(&parts.headers).unwrap_or_default();
    app.orchestrator.report(which, host, token, &body, peer.ip()).await?;
    Ok(StatusCode::OK)
}

fn host_id(text: &str) -> Result<HostId, Problem> {
    text.parse().map_err(|_| Problem::new(Kind::NoSuchHost, format!("no host has the id {}", shortened(text))))
}

/// A text that may hold a token: no cache keeps it.
fn text(text: String, content_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
