//! Bodies that are too large, never end, or are made to be expensive.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Method};
use serde_json::json;

use crate::lab::{Lab, TOKEN};

/// Where bodies go, and whether an operator's token opens the door.
fn doors(host: &str, token: &str) -> Vec<(String, bool)> {
    vec![
        ("/api/hosts".to_owned(), true),
        ("/api/hosts".to_owned(), false),
        (format!("/api/hosts/{host}/rebuild"), true),
        ("/api/tokens".to_owned(), true),
        ("/login".to_owned(), false),
        (format!("/api/boot/answer?token={token}"), false),
        ("/api/boot/answer".to_owned(), false),
        (format!("/api/hosts/{host}/installed?token={token}"), false),
        (format!("/api/hosts/{host}/phone-home?token={token}"), false),
    ]
}

async fn armed() -> (Lab, String, String) {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", "52:54:00:00:00:01").await;
    let token = lab.armed(&host, "52:54:00:00:00:01").await;
    (lab, host, token)
}

/// The status, unless the server hung up.
async fn sent(lab: &Lab, path: &str, with_token: bool, body: impl Into<Body>) -> Option<u16> {
    let mut request = lab.request(Method::POST, path).header("content-type", "application/json").body(body);
    if with_token {
        request = request.bearer_auth(TOKEN);
    }
    request.send().await.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn bombs_are_refused_or_taken_for_useless_reports() {
    let (lab, host, token) = armed().await;
    let deep = 100_000;
    let bombs = [
        "[".repeat(deep),
        "{\"a\":".repeat(deep / 4),
        format!("{}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{{\"hostname\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("{{\"hostname\":\"{}\"}}", "a".repeat(60_000)),
        format!("{{{}\"z\":1}}", "\"a\":1,".repeat(9_000)),
        "{\"hostname\":1e999999}".to_owned(),
        "{\"hostname\":\"\\ud800\"}".to_owned(),
        format!("{{\"macs\":[{}\"x\"]}}", "\"52:54:00:00:00:01\",".repeat(2_900)),
        "\u{feff}{}".to_owned(),
        "a = [".repeat(10_000),
    ];
    for (path, with_token) in doors(&host, &token) {
        for bomb in &bombs {
            let status = sent(&lab, &path, with_token, bomb.clone()).await.expect("it is answered");
            assert!(status < 500, "{path}: {status} to {bomb:.40}");
            let is_report = path.contains("/installed") || path.contains("/phone-home");
            assert!(status >= 400 || is_report, "{path}: {status} to {bomb:.40}");
        }
    }
    assert_eq!(lab.phase(&host).await, "pxe_booted");
    assert_eq!(lab.get("/api/hosts").await.body["hosts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn endless_bodies_are_cut_off_and_the_server_goes_on() {
    let (lab, host, token) = armed().await;
    for (path, with_token) in doors(&host, &token) {
        let spaces = Bytes::from(vec![b' '; 64 << 10]);
        let endless = stream::repeat_with(move || Ok::<_, Infallible>(spaces.clone()));
        let status = sent(&lab, &path, with_token, Body::wrap_stream(endless)).await;
        // A report is taken although it is no use; everything else is refused, or the connection ends.
        let is_report = path.contains("/installed") || path.contains("/phone-home");
        assert!(status.is_none_or(|status| (400..500).contains(&status) || is_report), "{path}: {status:?}");
        assert_eq!(lab.get("/api/hosts").await.status, 200, "after {path}");
    }
}

#[tokio::test]
async fn an_upload_that_announces_more_than_an_image_has_is_not_waited_for() {
    let lab = Lab::start().await;
    let head = format!(
        "POST /api/images HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/octet-stream\r\ncontent-length: 99999999999999\r\nexpect: 100-continue\r\n\
         connection: close\r\n\r\n"
    );
    let answer = crate::raw::send(&lab, head.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 413, "{}", answer.body);
    lab.post("/api/images", &json!({ "path": "/dev/zero" })).await.is_problem(422, "image-unreadable", Some("path"));
    lab.post("/api/images", &json!({ "path": "/proc/self/environ" })).await;
    assert_eq!(lab.get("/api/images").await.body["images"], json!([]));
}
