//! Operators' tokens: list, make, revoke. A token is shown when it is made and never again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use provisioning_core::model::{Secret, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::audit::Subject;
use super::auth::Scope;
use super::body::Fields;
use super::problem::{Kind, Problem, shortened};
use super::schema::Time;
use super::segment::Segment;
use crate::access::{Lifetime, NewToken, TokenBookError, TokenName, TokenRow};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// A token as the API shows it: without its digest.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    /// Its id.
    id: String,
    /// What it is for.
    name: String,
    /// `full`, or `read`: it may change nothing.
    scope: &'static str,
    /// When it was made.
    #[schema(value_type = Time)]
    created: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = Option<Time>)]
    expires: Option<Timestamp>,
    /// When it was used last, about.
    #[schema(value_type = Option<Time>)]
    last_used: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<Time>)]
    revoked: Option<Timestamp>,
    /// `in_force`, `expired` or `revoked`.
    state: &'static str,
}

/// All tokens.
#[derive(Serialize, ToSchema)]
struct TokenList {
    /// The revoked and expired ones too, for a while.
    tokens: Vec<TokenView>,
}

/// A token that was made: the only time that it is shown.
#[derive(Serialize, ToSchema)]
struct NewTokenView {
    #[serde(flatten)]
    view: TokenView,
    /// The token itself.
    token: String,
}

/// A token to make.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
struct NewTokenBody {
    /// What it is for; no two tokens in force have the same name.
    #[schema(example = "ci")]
    name: String,
    /// `full`, the default, or `read`.
    scope: Option<String>,
    /// How long it is good, such as 90d; without this until it is revoked.
    #[schema(example = "90d")]
    expires_in: Option<String>,
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

/// List operators' tokens.
#[utoipa::path(
    get, path = "/api/tokens", tag = "access", operation_id = "list_tokens",
    responses((status = 200, description = "The tokens, without what would open anything", body = TokenList)),
    security(("operator" = [])),
)]
async fn list(State(app): State<Arc<App>>) -> Json<TokenList> {
    let now = app.orchestrator.now();
    Json(TokenList { tokens: app.operators.tokens().list().iter().map(|row| TokenView::new(row, now)).collect() })
}

/// Make a token; it is shown now and never again.
#[utoipa::path(
    post, path = "/api/tokens", tag = "access", operation_id = "create_token",
    request_body = NewTokenBody,
    responses((status = 201, description = "Made", body = NewTokenView)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["token-name-taken", "not-possible-now", "disk-trouble"]))),
)]
async fn create(State(app): State<Arc<App>>, fields: Fields) -> Result<Response, Problem> {
    let (row, token) = app.create_token(fields).await?;
    let view = TokenView::new(&row, app.orchestrator.now());
    let view = NewTokenView { view, token: token.expose().clone() };
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

/// Make a token worthless, at once; sessions that were opened with it end.
#[utoipa::path(
    delete, path = "/api/tokens/{id}", tag = "access", operation_id = "revoke_token",
    params(("id" = String, Path, description = "The token's id or name")),
    responses((status = 204, description = "Revoked")),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-token", "disk-trouble"]))),
)]
async fn revoke(State(app): State<Arc<App>>, Segment(token): Segment) -> Result<Response, Problem> {
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
