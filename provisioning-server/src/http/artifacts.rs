//! What firmware downloads: kernel, initrd and ISO of an operation, as byte ranges of the stock image.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use provisioning_core::model::{Image, ImageId, Operation, Secret};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::downloads::Part;
use super::problem::{Kind, Problem};
use super::segment::Segments;
use crate::bandwidth::{Throttle, Throttled};
use crate::images::artifact::{Artifact, StoredImage};
use crate::images::import::{ImageStore, OpenError};
use crate::images::mode::ModeFile;
use crate::images::range::{Wanted, content_range, is_unchanged, unsatisfied_range, wanted};

/// Open images: each is inspected once, not on every request.
#[derive(Debug)]
pub struct LoadedImages {
    store: ImageStore,
    loaded: Mutex<BTreeMap<ImageId, StoredImage>>,
}

impl LoadedImages {
    /// Over the folder of images.
    pub fn new(store: ImageStore) -> Self {
        Self { store, loaded: Mutex::default() }
    }

    /// The folder of images.
    pub fn store(&self) -> &ImageStore {
        &self.store
    }

    /// An image, opened now or before.
    ///
    /// # Errors
    /// As [`ImageStore::load`].
    pub async fn load(&self, image: &Image) -> Result<StoredImage, OpenError> {
        if let Some(loaded) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&image.id) {
            return Ok(loaded.clone());
        }
        let stored = self.store.load(image).await?;
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(image.id, stored.clone());
        Ok(stored)
    }

    /// Closes an image that was removed.
    pub fn forget(&self, image: ImageId) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).remove(&image);
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(serve))
}

/// What firmware downloads: kernel, initrd or ISO of an operation.
#[utoipa::path(
    get, path = "/boot/{token}/{file}", tag = "machines", operation_id = "boot_file",
    params(
        ("token" = String, Path, description = "The operation's token"),
        ("file" = String, Path, description = "`vmlinuz`, `initrd` or `proxmox-auto.iso`"),
        ("range" = Option<String>, Header, description = "A range of bytes"),
        ("if-none-match" = Option<String>, Header, description = "The ETag of what is there already"),
    ),
    responses(
        (status = 200, description = "All of it", body = Vec<u8>, content_type = "application/octet-stream",
            headers(("ETag" = String), ("Accept-Ranges" = String))),
        (status = 206, description = "The range", body = Vec<u8>, content_type = "application/octet-stream",
            headers(("ETag" = String), ("Content-Range" = String))),
        (status = 304, description = "It is unchanged"),
    ),
    extensions(("x-problems" = json!(["no-such-path", "unknown-token", "operation-ended", "image-gone",
        "image-refused", "range-not-satisfiable", "try-later", "internal", "store-corrupt"]))),
)]
async fn serve(
    State(app): State<Arc<App>>,
    Segments(token, file): Segments,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Reply { head, download } = reply(&app, &token, &file, &method, &headers).await?;
    let body = download.map_or_else(Body::empty, |Download { artifact, counter, throttle }| {
        let body = artifact.into_body(counter);
        match throttle {
            Some(throttle) => Body::new(Throttled::new(body, throttle)),
            None => Body::new(body),
        }
    });
    Ok((head.status, head.headers, body).into_response())
}

/// The answer to a request for a boot artifact; whoever serves it decides how the bytes go out.
pub struct Reply {
    /// Status and headers, `Content-Length` among them.
    pub head: ReplyHead,
    /// What to send; `None` for HEAD and for what has no body.
    pub download: Option<Download>,
}

/// Status and headers of a [`Reply`].
pub struct ReplyHead {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// Why there is nothing to send.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
    /// How many bytes there are, for those who asked for others.
    content_range: Option<String>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, content_range: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(range) = &self.content_range {
            insert(response.headers_mut(), header::CONTENT_RANGE, range);
        }
        response
    }
}

/// Bytes to send, and who wants to know how many have gone.
pub struct Download {
    /// The bytes.
    pub artifact: Artifact,
    /// Is told how many bytes were handed on, each time.
    pub counter: Box<dyn FnMut(u64) + Send>,
    /// What they have to pass.
    pub throttle: Option<Arc<Throttle>>,
}

/// Answers a GET or HEAD for a file of an operation.
///
/// # Errors
/// Unknown tokens and files, a range that is not there, an image that is gone or damaged.
pub async fn reply(app: &App, token: &str, file: &str, method: &Method, headers: &HeaderMap) -> Result<Reply, Refusal> {
    let part = match file {
        "vmlinuz" => Part::Kernel,
        "initrd" => Part::Initrd,
        "proxmox-auto.iso" => Part::Iso,
        _ => {
            let problem = Problem::new(Kind::NoSuchPath, "an operation has vmlinuz, initrd and proxmox-auto.iso");
            return Err(problem.into());
        }
    };
    let operation = app.orchestrator.authorise(token).await.map_err(Problem::from)?;
    let artifact = app.artifact(&operation, part).await?;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if is_unchanged(text(header::IF_NONE_MATCH), artifact.etag()) {
        return Ok(Reply { head: head(StatusCode::NOT_MODIFIED, &artifact, None), download: None });
    }
    let len = artifact.len();
    // A range is a matter of GET alone (RFC 9110 §14.2).
    let range = text(header::RANGE).filter(|_| *method == Method::GET);
    let (status, sent) = match wanted(range, text(header::IF_RANGE), artifact.etag(), len) {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Nothing => {
            let problem = Problem::new(Kind::RangeNotSatisfiable, format!("there are {len} bytes"));
            return Err(Refusal { problem, content_range: Some(unsatisfied_range(len)) });
        }
    };
    let head = head(status, &artifact, Some(sent.clone()));
    let download = (*method != Method::HEAD).then(|| Download {
        counter: Box::new(counter(app, &operation, part, len, sent.start)),
        artifact: artifact.slice(sent),
        throttle: app.downloads.throttle(),
    });
    Ok(Reply { head, download })
}

fn counter(app: &App, operation: &Operation, part: Part, len: u64, from: u64) -> impl FnMut(u64) + Send + use<> {
    let mut of_the_download = app.downloads.begin(operation.id, part, len, from);
    let metrics = app.metrics.clone();
    move |bytes| {
        of_the_download(bytes);
        metrics.served(part, bytes);
    }
}

fn head(status: StatusCode, artifact: &Artifact, sent: Option<Range<u64>>) -> ReplyHead {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    insert(&mut headers, header::ETAG, artifact.etag());
    if let Some(sent) = sent {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.end - sent.start));
        if status == StatusCode::PARTIAL_CONTENT {
            insert(&mut headers, header::CONTENT_RANGE, &content_range(&sent, artifact.len()));
        }
    }
    ReplyHead { status, headers }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl App {
    /// A part of the image that an operation installs, with the operation's own mode file in it.
    async fn artifact(&self, operation: &Operation, part: Part) -> Result<Artifact, Problem> {
        let image = self.orchestrator.store().image(operation.image).await?;
        let image = image.ok_or_else(|| Problem::new(Kind::ImageGone, "the operation's image was removed"))?;
        let stored = self.images.load(&image).await?;
        let site = self.orchestrator.site_now();
        // Installers before 9.2 send no header of ours, so the token stands in the URL as well.
        let path = Secret::new(format!("/api/boot/answer?token={}", operation.token.expose()));
        let url = Secret::new(site.public_url.join(path.expose()));
        let mode =
            ModeFile { url: url.expose(), token: Some(&operation.token), cert_fingerprint: site.tls_fingerprint };
        let mode = Secret::new(mode.render());
        Ok(match part {
            Part::Kernel => Artifact::kernel(&stored),
            Part::Initrd => Artifact::initrd(&stored, mode.expose().as_bytes())?,
            Part::Iso => Artifact::iso(&stored, mode.expose().as_bytes())?,
        })
    }
}
