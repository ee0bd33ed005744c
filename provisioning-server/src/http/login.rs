//! Sessions for browsers: a token becomes a cookie. The page that asks for it is the dashboard's.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::App;
use super::body::{OPERATOR_BYTES_MAX, read_limited};
use super::problem::{Kind, Problem};
use crate::web::login_page;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/login", get(page).post(log_in)).route("/logout", post(log_out))
}

async fn page(Query(query): Query<BTreeMap<String, String>>) -> impl IntoResponse {
    login_page(query.contains_key("wrong").then_some("This token is not known. Look for one that begins with prov_."))
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

/// A form is sent on to the dashboard, or back to `/login?wrong=1`; JSON gets 204 or a problem.
async fn log_in(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    app.operators.check_page(&parts.headers)?;
    let bytes = read_limited(&parts.headers, body, OPERATOR_BYTES_MAX).await?;
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let login: Login = if is_form {
        let uri = format!("/?{}", String::from_utf8_lossy(&bytes)).parse().unwrap_or_default();
        let form = axum::extract::Query::<Login>::try_from_uri(&uri);
        form.map_err(|error| Problem::new(Kind::MalformedRequest, error.to_string()))?.0
    } else {
        serde_json::from_slice(&bytes)
            .map_err(|error| Problem::new(Kind::MalformedJson, error.to_string()).advise("send {\"token\": …}"))?
    };
    match (app.operators.log_in(&login.token), is_form) {
        (Ok(cookie), true) => Ok(with_cookie(Redirect::to("/").into_response(), &cookie)),
        (Ok(cookie), false) => Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), &cookie)),
        (Err(_), true) => Ok(Redirect::to("/login?wrong=1").into_response()),
        (Err(problem), false) => Err(problem),
    }
}

async fn log_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    app.operators.check_page(&headers)?;
    Ok(with_cookie(Redirect::to("/login").into_response(), &app.operators.log_out(&headers)))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
