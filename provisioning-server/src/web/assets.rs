//! Style sheet, scripts and icon: embedded in the binary, revalidated by ETag.

use std::fmt::Write as _;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

/// Everything below `assets/`. A debug build reads it from disk at each request.
#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// `GET /assets/{path}`.
pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    serve(&path, &headers)
}

/// `GET /favicon.svg`.
pub(super) async fn favicon(headers: HeaderMap) -> Response {
    serve("favicon.svg", &headers)
}

fn serve(path: &str, request: &HeaderMap) -> Response {
    let (Some(kind), Some(file)) = (content_type(path), Assets::get(path)) else {
        return (StatusCode::NOT_FOUND, "there is no such asset\n").into_response();
    };
    let etag = etag(&file);
    // Names carry no version: the browser asks each time, and is mostly told that nothing has changed.
    let caching = [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if known.flat_map(|value| value.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, kind)], file.data).into_response()
}

fn etag(file: &EmbeddedFile) -> HeaderValue {
    let mut text = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
    }
    text.push('"');
    HeaderValue::from_str(&text).expect("hexadecimal digits may stand in a header")
}

/// Only what we have: anything else is not served, so that a stray file in the folder stays unseen.
fn content_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}
