//! Images, for operators: list, import by path or upload, remove.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use futures_util::TryStreamExt as _;
use provisioning_core::model::Image;
use provisioning_core::orchestrator::OperatorError;
use provisioning_core::ports::StoreError;
use serde_json::{Value, json};

use super::App;
use super::audit::Subject;
use super::body::{self, Fields};
use super::problem::{Kind, Problem};
use super::view::ImageView;
use crate::images::import::Imported;

/// The largest upload in bytes: well above any Proxmox ISO.
const UPLOAD_BYTES_MAX: u64 = 8 << 30;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/images", get(list).post(import))
        .route("/api/images/{id}", get(show).delete(remove))
        .route("/api/images/{id}/default", put(make_default))
}

async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let images = app.orchestrator.store().images().await?;
    let views: Vec<ImageView<'_>> = images.iter().map(ImageView::new).collect();
    let default = app.orchestrator.default_image().await?.map(|image| image.id.to_string());
    Ok(Json(json!({ "images": views, "default": default })))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(Json(ImageView::new(&app.image(&id).await?)).into_response())
}

/// `{"path": …}` names a file of the server's; anything else is the file itself.
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

async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.remove_image(&app.image(&id).await?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// From now on rebuilds take it when they name none.
async fn make_default(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
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
