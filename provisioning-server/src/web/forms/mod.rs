//! Forms: everything that can be done from a page, as plain HTML that needs no script.
//!
//! A form is sent to the address it stands at. When it worked, the browser is sent on; when it did not, the form
//! comes back with what was wrong at the field at fault. The scripts show the same pages in a dialog.

mod confirm;
mod edit;
mod images;
mod notify;
mod rebuild;
mod register;
mod tokens;

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::{Form, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value};

use super::Web;
use super::page::html;
use crate::http::body::{Fields, OPERATOR_BYTES_MAX, read_limited};
use crate::http::problem::Problem;

/// The routes of all forms.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/register", get(register::ask).post(register::save))
        .route("/hosts/{host}/rebuild", get(rebuild::ask).post(rebuild::start))
        .route("/hosts/{host}/edit", get(edit::ask).post(edit::save))
        .route("/hosts/{host}/cancel", get(confirm::ask_cancel).post(confirm::cancel))
        .route("/hosts/{host}/remove", get(confirm::ask_remove).post(confirm::remove))
        .route("/hosts/{host}/resume", get(confirm::ask_resume).post(confirm::resume))
        .route("/images/import", get(images::ask_import).post(images::import))
        .route("/images/{image}/remove", get(images::ask_remove).post(images::remove))
        .route("/images/{image}/default", post(images::make_default))
        .route("/settings/notify/{target}/test", post(notify::test))
        .route("/settings/tokens", get(tokens::ask).post(tokens::create))
        .route("/settings/tokens/{token}/revoke", get(tokens::ask_revoke).post(tokens::revoke))
}

/// What a form sent.
#[derive(Debug, Default)]
pub(super) struct Posted(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_limited(&parts.headers, body, OPERATOR_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state)
            .await
            .map_err(|error| Problem::new(crate::http::problem::Kind::MalformedRequest, error.to_string()))?;
        Ok(Self(pairs.into_iter().collect()))
    }
}

impl Posted {
    /// What stands in a field, without the spaces around it; empty when it was not sent.
    pub(super) fn text(&self, field: &str) -> &str {
        self.0.get(field).map(String::as_str).unwrap_or_default().trim()
    }

    /// The fields that hold something, as the API reads them.
    pub(super) fn fields(&self, names: &[&str]) -> Fields {
        let filled = names.iter().filter(|name| !self.text(name).is_empty());
        let map: Map<String, Value> =
            filled.map(|name| ((*name).to_owned(), Value::String(self.text(name).to_owned()))).collect();
        Fields::of(map)
    }
}

/// What was wrong with a form that was sent.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    status: StatusCode,
    fields: BTreeMap<String, String>,
    /// What belongs to no field, and what to do.
    pub(super) general: Option<String>,
}

impl Trouble {
    /// What is wrong with a field.
    pub(super) fn at(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        let mut fields = BTreeMap::new();
        for fault in problem.faults() {
            let name = fault.field.split(['.', '[']).next().unwrap_or_default();
            let text = match &fault.value {
                Some(value) if !value.is_empty() => format!("{value}: {}", fault.allowed),
                _ => fault.allowed.clone(),
            };
            fields.insert(if name == "macs" { "mac".to_owned() } else { name.to_owned() }, text);
        }
        let advice = problem.what_to_do().map(str::to_owned);
        let general = if fields.is_empty() {
            Some(advice.map_or(problem.detail().to_owned(), |advice| format!("{}: {advice}", problem.detail())))
        } else {
            advice
        };
        Self { status: problem.status(), fields, general }
    }
}

/// A form as a page: 200 when it is asked for, the problem's status when it comes back.
fn shown(template: &impl Template, trouble: &Trouble) -> Response {
    let mut response = html(template);
    if response.status().is_success() {
        *response.status_mut() = trouble.status;
    }
    response
}

/// Sends the browser on after a change.
fn on_to(path: &str) -> Response {
    Redirect::to(path).into_response()
}
