//! Sessions for browsers: a token or password becomes a cookie. The page that asks for it is the dashboard's.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use provisioning_core::model::Secret;
use serde::Deserialize;

use super::App;
use super::audit::Asked;
use super::auth::Peer;
use super::body::{OPERATOR_BYTES_MAX, read_limited};
use super::metrics::Door;
use super::problem::{Kind, Problem};
use crate::web::login_page;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/login", get(page).post(log_in)).route("/logout", post(log_out))
}

async fn page(Query(query): Query<BTreeMap<String, String>>) -> impl IntoResponse {
    let error = match query.get("error").map(String::as_str) {
        None if query.contains_key("wrong") => {
            Some("This is not known here. A token begins with prov_; a password works only if one is configured.")
        }
        None => None,
        Some("expired") => Some("This token has expired. Make another one: provisioning token create NAME."),
        Some("revoked") => Some("This token was revoked. Make another one: provisioning token create NAME."),
        Some("later") => Some("Too many failed tries. Wait a minute, then try again."),
        Some(_) => Some("That did not work. Try again."),
    };
    login_page(error)
}

/// A token or the password; which of the two is seen by trying.
#[derive(Deserialize)]
struct Login {
    #[serde(alias = "password")]
    token: String,
}

/// A form is sent on to the dashboard, or back to the login page; JSON gets 204 or a problem.
async fn log_in(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    app.operators.check_page(&parts.headers)?;
    let bytes = read_limited(&parts.headers, body, OPERATOR_BYTES_MAX).await?;
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let login: Login = if is_form {
        let uri = format!("/?{}", String::from_utf8_lossy(&bytes)).parse().unwrap_or_default();
        let form = Query::<Login>::try_from_uri(&uri);
        form.map_err(|_| Problem::new(Kind::MalformedRequest, "the form has no token"))?.0
    } else {
        // The parser's own words would repeat what was sent.
        serde_json::from_slice(&bytes).map_err(|_| {
            Problem::new(Kind::MalformedJson, "the body is no JSON object with a token").advise("send {\"token\": …}")
        })?
    };
    let credential = Secret::new(login.token);
    let outcome = app.operators.log_in(&credential, &parts.headers, peer.ip()).await;
    let (status, actor) = match &outcome {
        Ok((_, actor)) => (StatusCode::NO_CONTENT, Some(actor)),
        Err(problem) => {
            app.metrics.refused(Door::Login, problem.kind());
            (problem.status(), None)
        }
    };
    if actor.is_some() || app.operators.notes_refusal(peer.ip()) {
        Asked::at_the_door("log in", peer.ip(), actor).came_to(&app, status, None).await;
    }
    match (outcome, is_form) {
        (Ok((cookie, _)), true) => Ok(with_cookie(Redirect::to("/").into_response(), &cookie)),
        (Ok((cookie, _)), false) => Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), &cookie)),
        (Err(problem), true) => Ok(Redirect::to(back(problem.kind())).into_response()),
        (Err(problem), false) => Err(problem),
    }
}

/// Back to the page, with what to say there.
fn back(why: Kind) -> &'static str {
    match why {
        Kind::ExpiredToken => "/login?error=expired",
        Kind::RevokedToken => "/login?error=revoked",
        Kind::TooManyTries => "/login?error=later",
        _ => "/login?wrong=1",
    }
}

async fn log_out(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.operators.check_page(&headers)?;
    let (actor, cookie) = app.operators.log_out(&headers);
    if actor.is_some() {
        Asked::at_the_door("log out", peer.ip(), actor.as_ref()).came_to(&app, StatusCode::NO_CONTENT, None).await;
    }
    Ok(with_cookie(Redirect::to("/login").into_response(), &cookie))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
