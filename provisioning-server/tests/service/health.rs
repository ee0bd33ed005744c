//! `/readyz` and `/healthz`: what keeps the server from its work, told to operators, and in names to strangers.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::time::{interval, timeout};

use crate::lab::{Lab, small_iso};
use crate::site::PATIENCE;

#[tokio::test]
async fn what_is_missing_is_told_to_operators_with_what_to_do_and_to_strangers_by_name() {
    let lab = Lab::start().await;
    let stranger = lab.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(
        (stranger.status(), &stranger.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"5".parse().unwrap())
    );
    let told: serde_json::Value = stranger.json().await.unwrap();
    assert_eq!(told["ready"], false);
    let checks = told["checks"].as_array().unwrap();
    let image = checks.iter().find(|check| check["name"] == "image").unwrap();
    assert_eq!(*image, serde_json::json!({ "name": "image", "state": "failed" }));
    assert!(checks.iter().all(|check| check.as_object().unwrap().len() == 2), "{told}");

    let operator = lab.get("/readyz").await.body;
    let image = operator["checks"].as_array().unwrap().iter().find(|check| check["name"] == "image").unwrap();
    assert!(image["detail"].as_str().unwrap().starts_with("no image was imported"), "{image}");
    assert!(image["what_to_do"].as_str().unwrap().contains("provisioning image import"), "{image}");
    // Not being ready is not being dead.
    assert_eq!(lab.send(lab.request(Method::GET, "/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_server_with_an_image_is_ready() {
    let lab = Lab::start().await;
    assert_eq!(lab.upload(small_iso()).await.status, StatusCode::CREATED);
    // A report is good for a moment.
    let mut looks = interval(Duration::from_millis(100));
    let newer = async {
        loop {
            looks.tick().await;
            let ready = lab.get("/readyz").await;
            if ready.status == StatusCode::OK {
                return ready;
            }
        }
    };
    let ready = timeout(PATIENCE, newer).await.unwrap();
    assert_eq!((ready.status, &ready.body["ready"]), (StatusCode::OK, &true.into()), "{ready:?}");
    let states: Vec<_> = ready.body["checks"].as_array().unwrap().iter().map(|check| check["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "ok"), "{ready:?}");
    let head = lab.request(Method::HEAD, "/readyz").send().await.unwrap();
    assert_eq!((head.status(), head.headers()["content-type"].to_str().unwrap()), (StatusCode::OK, "application/json"));
    assert_eq!(head.text().await.unwrap(), "");
}
