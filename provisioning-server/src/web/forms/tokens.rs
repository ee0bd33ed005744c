//! Operators' tokens: make one, see it once, revoke it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use provisioning_core::model::Secret;

use super::super::Web;
use super::super::moment::Moment;
use super::super::page::{Frame, PageError};
use super::confirm::Question;
use super::{Posted, Trouble, on_to, shown};
use crate::http::Subject;

#[derive(Template)]
#[template(path = "token.html")]
struct TokenForm {
    frame: Frame,
    name: String,
    scope: String,
    expires_in: String,
    trouble: Trouble,
}

#[derive(Template)]
#[template(path = "token_made.html")]
struct TokenMade {
    frame: Frame,
    name: String,
    scope: &'static str,
    expires: Option<Moment>,
    token: Secret<String>,
}

/// `GET /settings/tokens`.
pub(super) async fn ask(State(web): State<Web>) -> Result<Response, PageError> {
    form(&web, &Posted::default(), Trouble::default()).await
}

/// `POST /settings/tokens`: the answer is the only page that ever shows the token.
pub(super) async fn create(State(web): State<Web>, posted: Posted) -> Result<Response, PageError> {
    match web.backstage.create_token(posted.fields(&["name", "scope", "expires_in"])).await {
        Ok((row, token)) => {
            let page = TokenMade {
                frame: Frame::of(&web).await?,
                name: row.name.to_string(),
                scope: row.scope.as_str(),
                expires: row.expires.map(Moment),
                token,
            };
            let mut response = shown(&page, &Trouble::default());
            response.extensions_mut().insert(Subject(page.name));
            Ok(response)
        }
        Err(problem) => form(&web, &posted, problem.into()).await,
    }
}

async fn form(web: &Web, posted: &Posted, trouble: Trouble) -> Result<Response, PageError> {
    let form = TokenForm {
        frame: Frame::of(web).await?,
        name: posted.text("name").to_owned(),
        scope: posted.text("scope").to_owned(),
        expires_in: posted.text("expires_in").to_owned(),
        trouble,
    };
    Ok(shown(&form, &form.trouble))
}

/// `GET /settings/tokens/{token}/revoke`.
pub(super) async fn ask_revoke(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, PageError> {
    question(&web, &id, Trouble::default()).await
}

/// `POST /settings/tokens/{token}/revoke`.
pub(super) async fn revoke(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, PageError> {
    match web.backstage.revoke_token(&id).await {
        Ok(row) => {
            let mut response = on_to("/settings?done=revoked");
            response.extensions_mut().insert(Subject(row.name.to_string()));
            Ok(response)
        }
        Err(problem) => question(&web, &id, problem.into()).await,
    }
}

async fn question(web: &Web, id: &str, trouble: Trouble) -> Result<Response, PageError> {
    let row = web.backstage.tokens().into_iter().find(|row| row.id.to_string() == id);
    let row = row.ok_or(PageError::NoSuchToken)?;
    let question = Question {
        frame: Frame::of(web).await?,
        title: format!("Revoke the token {}?", row.name),
        text: "Whoever uses it is refused from then on. It cannot be taken back; make another one if need be.",
        go: "Revoke",
        action: format!("/settings/tokens/{id}/revoke"),
        back: "/settings".to_owned(),
        trouble,
    };
    Ok(shown(&question, &question.trouble))
}
