//! What machines ask and tell. They never retry where it matters, so nothing here is refused that could wait.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use provisioning_core::model::{HostId, MacAddr};
use provisioning_core::orchestrator::{AnswerRequest, BootReply, BootRequest, Report};
use serde::Deserialize;

use super::App;
use super::auth::{Peer, bearer};
use super::body::{MACHINE_BYTES_MAX, read_limited, read_prefix};
use super::problem::{Kind, Problem, shortened};

pub(super) fn routes() -> Router<Arc<App>> {
    boot_routes()
        .route("/api/boot/answer", post(answer))
        .route("/api/hosts/{id}/installed", post(installed))
        .route("/api/hosts/{id}/first-boot-script", get(first_boot_script))
        .route("/api/hosts/{id}/phone-home", post(phone_home))
}

/// What firmware asks, which cannot speak TLS.
pub(super) fn boot_routes() -> Router<Arc<App>> {
    Router::new().route("/ipxe/{mac}", get(boot_script))
}

/// `?token=…`: neither webhook nor first boot can send a header of ours.
#[derive(Deserialize)]
struct InUrl {
    token: Option<String>,
}

impl InUrl {
    fn token_or<'a>(&'a self, headers: &'a HeaderMap) -> Option<&'a str> {
        bearer(headers).or(self.token.as_deref())
    }
}

/// The path comes percent-decoded: firmware sends `%3A`. A machine that is sent on goes to its next boot device.
async fn boot_script(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Path(mac): Path<String>,
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

async fn answer(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Query(url): Query<InUrl>,
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

async fn first_boot_script(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    Query(url): Query<InUrl>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let host = host_id(&host)?;
    let token = url.token_or(&headers).unwrap_or_default();
    let script = app.orchestrator.first_boot_script(host, token).await?;
    Ok(text(script.expose().clone(), "text/x-shellscript; charset=utf-8"))
}

async fn installed(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Path(host): Path<String>,
    Query(url): Query<InUrl>,
    request: Request,
) -> Result<StatusCode, Problem> {
    report(&app, Report::Installed, peer, &host, &url, request).await
}

async fn phone_home(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Path(host): Path<String>,
    Query(url): Query<InUrl>,
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
