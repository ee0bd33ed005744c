//! The images page: what was imported, what uses it, and two ways to import more.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use provisioning_core::model::{Image, ImageId};
use provisioning_core::ports::{HostFilter, StoreError};
use serde::Deserialize;

use super::Web;
use super::moment::Moment;
use super::page::{Frame, PageError, html};
use super::words::size;

/// So many hosts are looked at for what they were installed from.
const HOSTS_MAX: usize = 2000;

/// So many hosts that use an image are named.
const NAMED_MAX: usize = 3;

#[derive(Template)]
#[template(path = "images.html")]
struct ImagesPage {
    frame: Frame,
    notice: Option<&'static str>,
    list: ImageList,
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
    iso_release: String,
    size: String,
    sha256: String,
    imported_at: Moment,
    is_default: bool,
    /// Whether it is the default only for being the latest.
    is_latest_by_chance: bool,
    users: Users,
}

/// The hosts whose latest operation installs or installed an image.
#[derive(Debug, Default, PartialEq, Eq)]
struct Users {
    /// Their number; the last one may stand for more.
    count: usize,
    /// The first of them.
    named: Vec<String>,
    /// One that is being installed from it now, for which it cannot be removed.
    busy: Option<String>,
}

impl Users {
    /// How many are not named.
    fn others(&self) -> usize {
        self.count.saturating_sub(self.named.len())
    }
}

impl ImageView {
    fn of(image: &Image, default: Option<ImageId>, chosen: Option<ImageId>, users: Users) -> Self {
        Self {
            id: image.id.to_string(),
            name: image.name.clone(),
            release: image.release.to_string(),
            iso_release: image.iso_release.clone(),
            size: size(image.size_bytes),
            sha256: image.sha256.to_string(),
            imported_at: Moment(image.imported_at),
            is_default: default == Some(image.id),
            is_latest_by_chance: default == Some(image.id) && chosen != Some(image.id),
            users,
        }
    }

    /// Enough of the checksum to tell it from others.
    fn short_digest(&self) -> &str {
        self.sha256.get(..12).unwrap_or(&self.sha256)
    }
}

/// An image to choose for a rebuild.
pub(super) struct ImageChoice {
    pub(super) id: String,
    pub(super) label: String,
}

impl ImageChoice {
    /// All images, the one first that a rebuild takes when none is chosen, then the latest imported.
    pub(super) async fn all(web: &Web) -> Result<Vec<Self>, StoreError> {
        let mut images = web.orchestrator.store().images().await?;
        let default = web.orchestrator.default_image().await?.map(|image| image.id);
        images.sort_by_key(|image| Some(image.id) != default);
        let choice = |image: &Image| {
            let note = if images.len() > 1 && Some(image.id) == default { " (default)" } else { "" };
            Self { id: image.id.to_string(), label: format!("{}{note}", image.name) }
        };
        Ok(images.iter().map(choice).collect())
    }
}

/// What was done on the way here, by a form.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    done: String,
}

/// `GET /images`.
pub(super) async fn page(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let notice = match wanted.done.as_str() {
        "imported" => Some("The image was imported."),
        "removed" => Some("The image was removed."),
        "default" => Some("Rebuilds take this image from now on when none is named."),
        _ => None,
    };
    Ok(html(&ImagesPage { frame, notice, list: list(&web).await? }))
}

/// `GET /fragments/images`: the list alone.
pub(super) async fn fragment(State(web): State<Web>) -> Result<Response, PageError> {
    Ok(html(&list(&web).await?))
}

async fn list(web: &Web) -> Result<ImageList, StoreError> {
    let store = web.orchestrator.store();
    let images = store.images().await?;
    let default = web.orchestrator.default_image().await?.map(|image| image.id);
    let chosen = store.default_image().await?;
    let mut used = users(web).await?;
    let view = |image: &Image| ImageView::of(image, default, chosen, used.remove(&image.id).unwrap_or_default());
    Ok(ImageList { images: images.iter().map(view).collect() })
}

async fn users(web: &Web) -> Result<std::collections::BTreeMap<ImageId, Users>, StoreError> {
    let store = web.orchestrator.store();
    let mut used = std::collections::BTreeMap::<ImageId, Users>::new();
    for record in store.hosts(&HostFilter { limit: Some(HOSTS_MAX), ..HostFilter::default() }).await? {
        let Some(operation) = record.state.operation() else { continue };
        let Some(operation) = store.operation(operation).await? else { continue };
        let users = used.entry(operation.image).or_default();
        let name = record.host.name.to_string();
        if record.state.running().is_some() {
            users.busy.get_or_insert_with(|| name.clone());
        }
        users.count += 1;
        if users.named.len() < NAMED_MAX {
            users.named.push(name);
        }
    }
    Ok(used)
}
