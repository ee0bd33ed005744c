//! Tokens over the API: shown once, refused in words of their own, and every change noted with who made it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::lab::{Lab, TOKEN};

#[tokio::test]
async fn a_token_is_shown_once_and_dead_when_it_is_revoked() {
    let lab = Lab::start().await;
    lab.post("/api/tokens", &json!({ "name": "a b", "scope": "all", "expires_in": "soon" })).await.is_problem(
        422,
        "invalid-fields",
        Some("name"),
    );
    let made = lab.post("/api/tokens", &json!({ "name": "ci", "expires_in": "90d" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let token = made.body["token"].as_str().unwrap().to_owned();
    lab.post("/api/tokens", &json!({ "name": "ci" })).await.is_problem(409, "token-name-taken", Some("name"));
    let use_it = || lab.request(Method::GET, "/api/tokens").bearer_auth(&token);
    let listed = lab.send(use_it()).await;
    assert_eq!((listed.status, &listed.body["tokens"][0]["state"]), (StatusCode::OK, &json!("in_force")));
    assert!(!listed.body["tokens"][0]["last_used"].is_null());
    let text = listed.body.to_string();
    assert!(!text.contains(&token) && !text.contains("digest"), "{text}");

    let revoke = |name: &str| lab.request(Method::DELETE, &format!("/api/tokens/{name}")).bearer_auth(TOKEN);
    assert_eq!(lab.send(revoke("ci")).await.status, StatusCode::NO_CONTENT);
    lab.send(revoke("ci")).await.is_problem(404, "no-such-token", None);
    lab.send(use_it()).await.is_problem(401, "revoked-token", None);
}

#[tokio::test]
async fn every_change_is_noted_with_who_asked_from_where_and_how_it_went() {
    let lab = Lab::start().await;
    let made = lab.post("/api/tokens", &json!({ "name": "anna@laptop" })).await;
    let token = made.body["token"].as_str().unwrap();
    let body = json!({ "hostname": "pve-01", "mac": "52:54:00:00:00:01", "server_type": "lab" });
    let register = lab.request(Method::POST, "/api/hosts").bearer_auth(token).json(&body);
    let host = lab.send(register).await.body["id"].clone();
    let rebuild = lab.request(Method::POST, "/api/hosts/pve-01/rebuild").bearer_auth(token).json(&json!({}));
    lab.send(rebuild).await.is_problem(404, "no-such-image", None);
    let trial = lab.request(Method::POST, "/api/hosts/pve-01/rebuild?dry_run=true").bearer_auth(token).json(&json!({}));
    lab.send(trial).await;
    lab.send(lab.request(Method::DELETE, "/api/hosts/pve-01").json(&json!({}))).await;
    let wrong = lab.request(Method::POST, "/login").json(&json!({ "token": "prov_wrong" }));
    lab.send(wrong).await;

    let audit = lab.get("/api/audit").await.body;
    let shown: Vec<(&Value, &Value, &Value, &Value, &Value)> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (&e["by"], &e["via"], &e["action"], &e["subject"], &e["status"]))
        .collect();
    let expected = [
        (Value::Null, json!("nothing"), json!("log in"), json!(""), json!(401)),
        (Value::Null, json!("nothing"), json!("remove a host"), json!("pve-01"), json!(401)),
        (json!("anna@laptop"), json!("token"), json!("rebuild a host"), json!("pve-01"), json!(404)),
        (json!("anna@laptop"), json!("token"), json!("register a host"), json!("pve-01"), json!(201)),
        (json!("configured token"), json!("token"), json!("create a token"), json!("anna@laptop"), json!(201)),
    ];
    let expected: Vec<_> = expected.iter().map(|(a, b, c, d, e)| (a, b, c, d, e)).collect();
    assert_eq!(shown, expected);
    assert_eq!(audit["entries"][2]["from"], "127.0.0.1");
    assert_eq!(audit["entries"][2]["host"], host);
    assert!(!audit.to_string().contains("prov_"), "{audit}");

    let page = lab.get("/api/audit?limit=2&by=anna@laptop").await.body;
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["next"]), (2, &Value::Null));
    let first = lab.get("/api/audit?limit=2").await.body;
    let next = lab.get(&format!("/api/audit?before={}", first["next"])).await.body;
    assert_eq!(next["entries"].as_array().unwrap().len(), 3);
    let of_host = lab.get("/api/audit?host=pve-01&failed=true").await.body;
    assert_eq!(of_host["entries"].as_array().unwrap().len(), 1, "{of_host}");
    lab.get("/api/audit?limit=0").await.is_problem(422, "invalid-fields", Some("limit"));
}
