//! Webhooks: a test message, and what became of it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::super::Web;
use super::super::page::{Frame, PageError};
use super::{Trouble, shown};

#[derive(Template)]
#[template(path = "notify_tested.html")]
struct Tested {
    frame: Frame,
    target: String,
    outcome: Result<u16, String>,
}

/// `POST /settings/notify/{target}/test`.
pub(super) async fn test(State(web): State<Web>, Path(target): Path<String>) -> Result<Response, PageError> {
    let outcome = web.backstage.notify_test(&target).await.ok_or(PageError::NoSuchTarget)?;
    let page = Tested { frame: Frame::of(&web).await?, target, outcome };
    Ok(shown(&page, &Trouble::default()))
}
