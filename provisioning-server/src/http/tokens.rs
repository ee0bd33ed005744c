//! Operators' tokens: list, make, revoke. A token is shown when it is made and never again.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use provisioning_core::model::{Secret, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Subject;
use super::auth::Scope;
use super::body::Fields;
use super::problem::{Kind, Problem, shortened};
use crate::access::{Lifetime, NewToken, TokenBookError, TokenName, TokenRow};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/tokens", get(list).post(create)).route("/api/tokens/{id}", delete(revoke))
}

/// A token as the API shows it: without its digest.
#[derive(Serialize)]
struct TokenView {
    id: String,
    name: String,
    scope: &'static str,
    created: Timestamp,
    expires: Option<Timestamp>,
    last_used: Option<Timestamp>,
    revoked: Option<Timestamp>,
    /// `in_force`, `expired` or `revoked`.
    state: &'static str,
}

impl TokenView {
    fn new(row: &TokenRow, now: Timestamp) -> Self {
        let state = match row.revoked {
            Some(_) => "revoked",
            None if row.is_alive(now) => "in_force",
            None => "expired",
        };
        Self {
            id: row.id.to_string(),
            name: row.name.to_string(),
            scope: row.scope.as_str(),
            created: row.created,
            expires: row.expires,
            last_used: row.last_used,
            revoked: row.revoked,
            state,
        }
    }
}

async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let now = app.orchestrator.now();
    let views: Vec<TokenView> = app.operators.tokens().list().iter().map(|row| TokenView::new(row, now)).collect();
    Json(json!({ "tokens": views }))
}

async fn create(State(app): State<Arc<App>>, fields: Fields) -> Result<Response, Problem> {
    let (row, token) = app.create_token(fields).await?;
    let mut view = serde_json::to_value(TokenView::new(&row, app.orchestrator.now()))
        .map_err(|_| Problem::new(Kind::Internal, "the token could not be shown"))?;
    view["token"] = token.expose().as_str().into();
    let mut response = (StatusCode::CREATED, Json(view)).into_response();
    response.extensions_mut().insert(Subject(row.name.to_string()));
    Ok(response)
}

impl App {
    /// Makes a token of the fields `name`, `scope` and `expires_in`; its text is shown once.
    ///
    /// # Errors
    /// `InvalidFields`, `TokenNameTaken`, and what the token book says.
    pub async fn create_token(&self, mut fields: Fields) -> Result<(TokenRow, Secret<String>), Problem> {
        let name = fields.required::<TokenName>("name", "what the token is for, such as ci or anna@laptop");
        let scope = match fields.text("scope").as_deref() {
            None | Some("full") => Scope::Full,
            Some("read") => Scope::Read,
            Some(other) => {
                fields.fault("scope", Some(other.to_owned()), "must be read or full");
                Scope::Read
            }
        };
        let lifetime = fields.parsed::<Lifetime>("expires_in");
        fields.finish()?;
        let Some(name) = name else { return Err(Problem::new(Kind::Internal, "a missing field was not reported")) };
        let now = self.orchestrator.now();
        let new = NewToken { name, scope, expires: lifetime.map(|lifetime| now + lifetime.time()) };
        Ok(self.operators.create_token(new).await?)
    }
}

async fn revoke(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Response, Problem> {
    let row = app.operators.revoke_token(token).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(Subject(row.name.to_string()));
    Ok(response)
}

impl From<TokenBookError> for Problem {
    fn from(error: TokenBookError) -> Self {
        let said = error.to_string();
        match &error {
            TokenBookError::NameTaken { name } => {
                Self::new(Kind::TokenNameTaken, said).at("name", name.as_str(), "a name that no token in force has")
            }
            TokenBookError::NoSuchToken { name } => {
                Self::new(Kind::NoSuchToken, format!("no token in force has the name or id {}", shortened(name)))
            }
            TokenBookError::Full => Self::new(Kind::NotPossibleNow, said),
            TokenBookError::Corrupt { .. } => Self::new(Kind::StoreCorrupt, said),
            TokenBookError::Io { .. } => {
                Self::new(Kind::DiskTrouble, said).advise("make room below the server's data directory")
            }
        }
    }
}
