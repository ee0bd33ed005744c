//! The images page: what was imported, and two ways to import more.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use provisioning_core::model::Image;
use provisioning_core::ports::StoreError;

use super::Web;
use super::moment::Moment;
use super::page::{Frame, PageError, html};
use super::words::size;

#[derive(Template)]
#[template(path = "images.html")]
struct ImagesPage {
    frame: Frame,
    images: Vec<ImageView>,
}

#[derive(Template)]
#[template(path = "image_list.html")]
struct ImageList {
    images: Vec<ImageView>,
}

/// An image in words.
struct ImageView {
    id: String,
    name: String,
    release: String,
    size: String,
    sha256: String,
    imported_at: Moment,
}

impl ImageView {
    fn of(image: &Image) -> Self {
        Self {
            id: image.id.to_string(),
            name: image.name.clone(),
            release: image.release.to_string(),
            size: size(image.size_bytes),
            sha256: image.sha256.to_string(),
            imported_at: Moment(image.imported_at),
        }
    }
}

/// An image to choose for a rebuild.
pub(super) struct ImageChoice {
    pub(super) id: String,
    pub(super) label: String,
}

impl ImageChoice {
    /// All images, the latest imported first: the one that a rebuild takes when none is chosen.
    pub(super) async fn all(web: &Web) -> Result<Vec<Self>, StoreError> {
        let images = web.orchestrator.store().images().await?;
        let choice = |image: &Image| Self { id: image.id.to_string(), label: image.name.clone() };
        Ok(images.iter().map(choice).collect())
    }
}

/// `GET /images`.
pub(super) async fn page(State(web): State<Web>) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let images = views(&web).await?;
    Ok(html(&ImagesPage { frame, images }))
}

/// `GET /fragments/images`: the list alone.
pub(super) async fn fragment(State(web): State<Web>) -> Result<Response, PageError> {
    Ok(html(&ImageList { images: views(&web).await? }))
}

async fn views(web: &Web) -> Result<Vec<ImageView>, StoreError> {
    let images = web.orchestrator.store().images().await?;
    Ok(images.iter().map(ImageView::of).collect())
}
