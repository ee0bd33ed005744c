//! The pages as a browser gets them, over a site in memory.

mod fleet;
mod frame;
mod host;
mod lab;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use provisioning_core::model::OperationId;
use tower::ServiceExt as _;

use self::lab::Lab;
use super::{Download, Downloads, Web, router};

/// Two fifths of every download are done.
struct TwoFifths;

impl Downloads for TwoFifths {
    fn of(&self, _: OperationId) -> Option<Download> {
        Some(Download { bytes: 600_000_000, total: 1_500_000_000 })
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn get(lab: &Lab, path: &str) -> Answer {
    get_with(lab, path, &[]).await
}

async fn get_with(lab: &Lab, path: &str, headers: &[(&str, &str)]) -> Answer {
    let web = Web::new(Arc::clone(&lab.orchestrator), Arc::new(TwoFifths));
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    let response = router(web).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

/// The element that begins with `start`, up to the first `end` behind it.
fn part<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("{start} is not in {text}"));
    let length = text[from..].find(end).unwrap_or_else(|| panic!("{end} does not follow {start}"));
    &text[from..from + length]
}

#[test]
fn a_download_never_shows_more_than_all_of_it() {
    assert_eq!(Download { bytes: 0, total: 10 }.percent(), 0);
    assert_eq!(Download { bytes: 999, total: 1000 }.percent(), 99);
    assert_eq!(Download { bytes: 12, total: 10 }.percent(), 100);
    assert_eq!(Download { bytes: 0, total: 0 }.percent(), 100);
}
