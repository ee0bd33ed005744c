//! Images without scripts: import a file of the server's, choose the default, remove.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use provisioning_core::model::{Image, ImageId};

use super::super::Web;
use super::super::page::{Frame, PageError};
use super::confirm::Question;
use super::{Posted, Trouble, on_to, shown};
use crate::http::problem::Problem;

#[derive(Template)]
#[template(path = "import.html")]
struct ImportForm {
    frame: Frame,
    path: String,
    trouble: Trouble,
}

/// `GET /images/import`.
pub(super) async fn ask_import(State(web): State<Web>) -> Result<Response, PageError> {
    let form = ImportForm { frame: Frame::of(&web).await?, path: String::new(), trouble: Trouble::default() };
    Ok(shown(&form, &form.trouble))
}

/// `POST /images/import`: answered when the image is there.
pub(super) async fn import(State(web): State<Web>, posted: Posted) -> Result<Response, PageError> {
    match web.backstage.import(posted.fields(&["path"])).await {
        Ok(_) => Ok(on_to("/images?done=imported")),
        Err(problem) => {
            let path = posted.text("path").to_owned();
            let form = ImportForm { frame: Frame::of(&web).await?, path, trouble: problem.into() };
            Ok(shown(&form, &form.trouble))
        }
    }
}

/// `GET /images/{image}/remove`.
pub(super) async fn ask_remove(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let image = find(&web, &asked).await?;
    remove_question(&web, &image, Trouble::default()).await
}

/// `POST /images/{image}/remove`.
pub(super) async fn remove(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let image = find(&web, &asked).await?;
    match web.backstage.remove_image(&image).await {
        Ok(()) => Ok(on_to("/images?done=removed")),
        Err(problem) => remove_question(&web, &image, problem.into()).await,
    }
}

async fn remove_question(web: &Web, image: &Image, trouble: Trouble) -> Result<Response, PageError> {
    let question = Question {
        frame: Frame::of(web).await?,
        title: format!("Remove {}?", image.name),
        text: "Its file is deleted from the server. Hosts that were installed from it stay as they are.",
        go: "Remove",
        action: format!("/images/{}/remove", image.id),
        back: "/images".to_owned(),
        trouble,
    };
    Ok(shown(&question, &question.trouble))
}

/// `POST /images/{image}/default`.
pub(super) async fn make_default(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let image = find(&web, &asked).await?;
    match web.orchestrator.choose_default_image(image.id).await {
        Ok(_) => Ok(on_to("/images?done=default")),
        Err(error) => {
            let question = Question {
                frame: Frame::of(&web).await?,
                title: format!("{} was not made the default", image.name),
                text: "Nothing was changed.",
                go: "Try again",
                action: format!("/images/{}/default", image.id),
                back: "/images".to_owned(),
                trouble: Problem::from(error).into(),
            };
            Ok(shown(&question, &question.trouble))
        }
    }
}

async fn find(web: &Web, asked: &str) -> Result<Image, PageError> {
    let store = web.orchestrator.store();
    let found = match asked.parse::<ImageId>() {
        Ok(id) => store.image(id).await?,
        Err(_) => store.images().await?.into_iter().find(|image| image.name == asked),
    };
    found.ok_or_else(|| PageError::NoSuchImage(asked.to_owned()))
}
