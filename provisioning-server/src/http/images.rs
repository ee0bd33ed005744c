//! Images, for operators: list, import by path or upload, remove.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt as _;
use provisioning_core::model::{Image, ImageId};
use provisioning_core::orchestrator::OperatorError;
use provisioning_core::ports::StoreError;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::audit::Subject;
use super::body::{self, Fields, Params};
use super::cursor::{Cursor, PAGE, PAGE_MAX, cut, page};
use super::problem::{Kind, Problem};
use super::segment::Segment;
use super::view::ImageView;
use crate::images::import::Imported;

/// The largest upload in bytes: well above any Proxmox ISO.
const UPLOAD_BYTES_MAX: u64 = 8 << 30;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, import)).routes(routes!(show, remove)).routes(routes!(make_default))
}

/// A page of images.
#[derive(Serialize, ToSchema)]
struct ImagePage<'a> {
    /// The latest imported first.
    images: Vec<ImageView<'a>>,
    /// The id of the image that rebuilds take when they name none; null when there is no image.
    default: Option<String>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// A file on the server to import.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
struct ImportBody {
    /// The absolute path of an ISO on the server.
    #[schema(example = "/var/lib/isos/proxmox-ve_9.2-1.iso")]
    path: String,
}

/// List images, the latest imported first.
#[utoipa::path(
    get, path = "/api/images", tag = "images", operation_id = "list_images",
    params(
        ("text" = Option<String>, Query, description = "Only images whose name or release holds this text"),
        ("limit" = Option<u64>, Query, description = "Images on a page, 100 when absent", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, as it is"),
    ),
    responses((status = 200, description = "A page of images", body = ImagePage<'static>,
        headers(("Link" = Option<String>, description = "The next page, `rel=\"next\"`")))),
    security(("operator" = [])),
)]
async fn list(State(app): State<Arc<App>>, uri: Uri, mut params: Params) -> Result<Response, Problem> {
    let text = params.text("text").map(|text| text.to_ascii_lowercase());
    let after = params.parsed::<Cursor<ImageId>>("cursor").map(|Cursor(id)| id);
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    params.finish()?;
    let mut images = app.orchestrator.store().images().await?;
    // Ids hold the time they were made at: the same order, and one that a removal in between does not disturb.
    images.sort_by_key(|image| std::cmp::Reverse(image.id));
    images.retain(|image| {
        let holds =
            |text: &String| image.name.to_ascii_lowercase().contains(text) || image.release.to_string().contains(text);
        after.is_none_or(|after| image.id < after) && text.as_ref().is_none_or(holds)
    });
    let next = cut(&mut images, limit, |image| image.id);
    let default = app.orchestrator.default_image().await?.map(|image| image.id.to_string());
    let views = images.iter().map(ImageView::new).collect();
    Ok(page(&uri, next.clone().as_deref(), &ImagePage { images: views, default, next }))
}

/// Read an image.
#[utoipa::path(
    get, path = "/api/images/{id}", tag = "images", operation_id = "show_image",
    params(("id" = String, Path, description = "The image's id or name")),
    responses((status = 200, description = "The image", body = ImageView<'static>)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-image"]))),
)]
async fn show(State(app): State<Arc<App>>, Segment(id): Segment) -> Result<Response, Problem> {
    Ok(Json(ImageView::new(&app.image(&id).await?)).into_response())
}

/// Import a stock Proxmox VE ISO, 8.2 or newer.
///
/// JSON names a file of the server's; any other body is the ISO itself, at most 8 GiB. Importing the same ISO twice
/// is importing it once: the second time the answer is 200.
#[utoipa::path(
    post, path = "/api/images", tag = "images", operation_id = "import_image",
    request_body(content((ImportBody = "application/json"), (Vec<u8> = "application/octet-stream"),
        (Vec<u8> = "application/x-iso9660-image")), description = "The ISO, or where it is"),
    responses(
        (status = 200, description = "Imported before", body = ImageView<'static>),
        (status = 201, description = "Imported", body = ImageView<'static>),
    ),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["image-refused", "image-unreadable", "image-in-use", "disk-trouble"]))),
)]
async fn import(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let imported = match content_type.and_then(|value| value.split(';').next()).map(str::trim) {
        Some("application/json") => import_path(&app, request).await?,
        Some("application/octet-stream" | "application/x-iso9660-image" | "application/vnd.efi.iso") => {
            let (parts, body) = request.into_parts();
            upload(&app, &parts.headers, body).await?
        }
        other => {
            let problem =
                Problem::new(Kind::WrongContentType, format!("the content type is {}", other.unwrap_or("none")))
                    .advise("send application/json with a path, or application/octet-stream with the ISO's bytes");
            body::drain(request.into_body()).await;
            return Err(problem);
        }
    };
    let (is_new, image) = keep(&app, imported).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(ImageView::new(&image))).into_response();
    response.extensions_mut().insert(Subject(image.name.clone()));
    Ok(response)
}

/// Writes down an image whose file is in the store; whether it is new there.
async fn keep(app: &App, imported: Imported) -> Result<(bool, Image), Problem> {
    let sha256 = imported.sha256;
    let image = imported.into_image(app.orchestrator.new_image_id(), app.orchestrator.now());
    match app.orchestrator.add_image(&image).await {
        Ok(()) => Ok((true, image)),
        // Importing twice is importing once.
        Err(OperatorError::Store(StoreError::ImageExists(id))) => Ok((false, app.image(&id.to_string()).await?)),
        Err(error) => {
            tracing::warn!(%sha256, "an image was taken in, but not its row: the next import of it mends that");
            Err(error.into())
        }
    }
}

async fn import_path(app: &App, request: Request) -> Result<Imported, Problem> {
    let fields = Fields::from_request(request, &()).await?;
    import_named(app, fields).await
}

async fn import_named(app: &App, mut fields: Fields) -> Result<Imported, Problem> {
    let path = fields.required::<std::path::PathBuf>("path", "the absolute path of an ISO on the server");
    if let Some(path) = path.as_ref().filter(|path| !path.is_absolute()) {
        fields.fault("path", Some(path.display().to_string()), "must be absolute: it is a path on the server");
    }
    fields.finish()?;
    Ok(app.images.store().import_file(path.unwrap_or_default(), |_| ()).await?)
}

async fn upload(app: &App, headers: &HeaderMap, body: Body) -> Result<Imported, Problem> {
    let too_large = || {
        Problem::new(Kind::BodyTooLarge, format!("an image has at most {UPLOAD_BYTES_MAX} bytes"))
            .advise("send a Proxmox VE ISO as Proxmox publishes it")
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > UPLOAD_BYTES_MAX) {
        return Err(too_large());
    }
    let mut stream = body::paced(body);
    let mut taken: u64 = 0;
    let limited = (&mut stream).and_then(|bytes| {
        taken += bytes.len() as u64;
        let within = taken <= UPLOAD_BYTES_MAX;
        async move { if within { Ok(bytes) } else { Err("more bytes than an image may have".into()) } }
    });
    let outcome = app.images.store().import_stream(limited, announced, |_| ()).await;
    if outcome.is_err() {
        // A sender that is cut off would not see why its file was refused.
        body::drain(Body::from_stream(stream)).await;
    }
    if taken > UPLOAD_BYTES_MAX { Err(too_large()) } else { Ok(outcome?) }
}

/// Remove an image that no running operation installs.
#[utoipa::path(
    delete, path = "/api/images/{id}", tag = "images", operation_id = "remove_image",
    params(("id" = String, Path, description = "The image's id or name")),
    responses((status = 204, description = "Removed")),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-image", "image-in-use", "disk-trouble", "image-unreadable"]))),
)]
async fn remove(State(app): State<Arc<App>>, Segment(id): Segment) -> Result<StatusCode, Problem> {
    app.remove_image(&app.image(&id).await?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let rebuilds take this image when they name none.
#[utoipa::path(
    put, path = "/api/images/{id}/default", tag = "images", operation_id = "choose_default_image",
    params(("id" = String, Path, description = "The image's id or name")),
    responses((status = 200, description = "The image", body = ImageView<'static>)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-image"]))),
)]
async fn make_default(State(app): State<Arc<App>>, Segment(id): Segment) -> Result<Response, Problem> {
    let image = app.orchestrator.choose_default_image(app.image(&id).await?.id).await?;
    Ok(Json(ImageView::new(&image)).into_response())
}

impl App {
    /// Imports the file of the server's that the field `path` names.
    ///
    /// # Errors
    /// `InvalidFields`, and what is wrong with the file.
    pub async fn import_image(&self, fields: Fields) -> Result<Image, Problem> {
        let imported = import_named(self, fields).await?;
        Ok(keep(self, imported).await?.1)
    }

    /// Removes an image and its file.
    ///
    /// # Errors
    /// `ImageInUse`, and what the store and the disk say.
    pub async fn remove_image(&self, image: &Image) -> Result<(), Problem> {
        self.orchestrator.remove_image(image.id).await?;
        self.images.forget(image.id);
        self.images.store().remove(image.sha256).await?;
        Ok(())
    }

    /// An image by id or name.
    ///
    /// # Errors
    /// `NoSuchImage`, and what the store says.
    pub async fn image(&self, text: &str) -> Result<Image, Problem> {
        let id = self.image_id(text).await?;
        let image = self.orchestrator.store().image(id).await?;
        image.ok_or_else(|| Problem::new(Kind::NoSuchImage, format!("no image has the id {id}")))
    }
}
