//! Changes under conditions: `If-Match` and `Idempotency-Key`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::lab::{Answer, Lab, TOKEN, small_iso};

const MAC: &str = "52:54:00:00:00:01";

async fn edit(lab: &Lab, tag: Option<&str>, body: &Value) -> Answer {
    let mut request = lab.request(Method::PATCH, "/api/hosts/pve-01").bearer_auth(TOKEN).json(body);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    lab.send(request).await
}

#[tokio::test]
async fn a_change_is_made_only_on_the_revision_that_was_seen() {
    let lab = Lab::start().await;
    lab.host("pve-01", MAC).await;
    let seen = lab.request(Method::GET, "/api/hosts/pve-01").bearer_auth(TOKEN).send().await.unwrap();
    let tag = seen.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(edit(&lab, Some(&tag), &json!({ "address": "10.0.0.3/24" })).await.status, StatusCode::OK);
    let stale = edit(&lab, Some(&tag), &json!({ "address": null })).await;
    stale.is_problem(412, "precondition-failed", None);
    let weak = format!("W/{tag}");
    edit(&lab, Some(&weak), &json!({ "address": null })).await.is_problem(412, "precondition-failed", None);
    edit(&lab, Some("2"), &json!({ "address": null })).await.is_problem(400, "malformed-request", Some("if-match"));
    assert_eq!(lab.get("/api/hosts/pve-01").await.body["address"], "10.0.0.3/24", "nothing of that was done");
    for any in [Some("*"), Some("\"7\", \"3\""), None] {
        assert_eq!(edit(&lab, any, &json!({ "address": null })).await.status, StatusCode::OK, "{any:?}");
    }
    let remove =
        |tag: &str| lab.request(Method::DELETE, "/api/hosts/pve-01").bearer_auth(TOKEN).header("if-match", tag);
    lab.send(remove(&tag)).await.is_problem(412, "precondition-failed", None);
    assert_eq!(lab.send(remove("*")).await.status, StatusCode::NO_CONTENT);
}

async fn rebuild(lab: &Lab, key: &str, body: &Value) -> Answer {
    let request = lab.request(Method::POST, "/api/hosts/pve-01/rebuild").bearer_auth(TOKEN);
    lab.send(request.header("idempotency-key", key).json(body)).await
}

#[tokio::test]
async fn a_repeated_rebuild_starts_nothing_new() {
    let lab = Lab::start().await;
    lab.host("pve-01", MAC).await;
    lab.upload(small_iso()).await;
    let dry = lab.request(Method::POST, "/api/hosts/pve-01/rebuild?dry_run=true").bearer_auth(TOKEN);
    assert_eq!(lab.send(dry.header("idempotency-key", "one")).await.status, StatusCode::OK);
    let first = rebuild(&lab, "one", &json!({})).await;
    assert_eq!((first.status, &first.body["power"]), (StatusCode::ACCEPTED, &json!("ask_a_person")));
    lab.post("/api/hosts/pve-01/cancel", &json!({})).await;
    let again = rebuild(&lab, "one", &json!({})).await;
    assert_eq!((again.status, &again.body["power"]), (StatusCode::ACCEPTED, &json!("asked_before")));
    assert_eq!(again.body["operation"], first.body["operation"]);
    assert_eq!(lab.phase("pve-01").await, "failed", "nothing was started");
    let other = rebuild(&lab, "one", &json!({ "confirm": "pve-01" })).await;
    other.is_problem(422, "idempotency-key-reused", Some("idempotency-key"));
    let second = rebuild(&lab, "two", &json!({})).await;
    assert_eq!(second.status, StatusCode::ACCEPTED);
    assert_ne!(second.body["operation"], first.body["operation"]);
    rebuild(&lab, "a key with spaces", &json!({})).await.is_problem(400, "malformed-request", Some("idempotency-key"));
}

#[tokio::test]
async fn repeats_that_are_sent_at_once_start_one_operation() {
    let lab = Lab::start().await;
    lab.host("pve-01", MAC).await;
    lab.upload(small_iso()).await;
    let body = json!({});
    let (a, b, c) = tokio::join!(rebuild(&lab, "k", &body), rebuild(&lab, "k", &body), rebuild(&lab, "k", &body));
    for answer in [&a, &b, &c] {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(answer.body["operation"], a.body["operation"]);
    }
    let operations = lab.get("/api/hosts/pve-01/operations").await.body;
    assert_eq!(operations["operations"].as_array().unwrap().len(), 1);
}
