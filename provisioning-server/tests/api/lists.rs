//! Lists: filters, pages, and what is refused.

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{Lab, TOKEN, small_iso};

/// All pages of a list, by the `Link` header alone; the names that `field` of its entries has.
async fn walk(lab: &Lab, path: &str, list: &str, field: &str) -> Vec<String> {
    let mut names = vec![];
    let mut path = path.to_owned();
    loop {
        let answer = lab.request(Method::GET, &path).bearer_auth(TOKEN).send().await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let body: Value = answer.json().await.unwrap();
        names.extend(body[list].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()));
        assert_eq!(link.is_some(), body["next"].is_string(), "header and field say the same");
        match link {
            Some(link) => link.trim_start_matches('<').split('>').next().unwrap().clone_into(&mut path),
            None => return names,
        }
    }
}

#[tokio::test]
async fn hosts_are_paged_through_once_with_their_filter() {
    let lab = Lab::start().await;
    for n in 1..=5 {
        lab.host(&format!("pve-{n:02}"), &format!("52:54:00:00:00:{n:02x}")).await;
    }
    lab.host("other", "52:54:00:00:01:01").await;
    let all = walk(&lab, "/api/hosts?text=PVE&limit=2", "hosts", "hostname").await;
    assert_eq!(all, ["pve-01", "pve-02", "pve-03", "pve-04", "pve-05"]);
    assert_eq!(lab.get("/api/hosts?phase=ready").await.body["hosts"], json!([]));
    for wrong in ["limit=0", "limit=1001", "limit=x", "limit="] {
        lab.get(&format!("/api/hosts?{wrong}")).await.is_problem(422, "invalid-fields", Some("limit"));
    }
    lab.get("/api/hosts?cursor=pve-02").await.is_problem(422, "invalid-fields", Some("cursor"));
}

#[tokio::test]
async fn operations_are_paged_through_and_found_by_their_outcome() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", "52:54:00:00:00:01").await;
    for _ in 0..3 {
        lab.armed(&host, "52:54:00:00:00:01").await;
        lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    }
    lab.armed(&host, "52:54:00:00:00:01").await;
    let path = format!("/api/hosts/{host}/operations");
    let mut ids = walk(&lab, &format!("{path}?limit=1"), "operations", "id").await;
    assert_eq!(ids.len(), 4);
    assert!(ids.is_sorted_by(|a, b| a > b), "the latest first: {ids:?}");
    let failed = walk(&lab, &format!("{path}?limit=2&outcome=failed"), "operations", "id").await;
    assert_eq!(failed, ids.split_off(1));
    lab.get(&format!("{path}?outcome=good")).await.is_problem(422, "invalid-fields", Some("outcome"));
}

#[tokio::test]
async fn images_are_found_by_name_and_release() {
    let lab = Lab::start().await;
    lab.upload(small_iso()).await;
    assert_eq!(lab.get("/api/images?text=PROXMOX&limit=1").await.body["images"].as_array().unwrap().len(), 1);
    assert_eq!(lab.get("/api/images?text=7.4").await.body["images"], json!([]));
    lab.get("/api/images?cursor=!").await.is_problem(422, "invalid-fields", Some("cursor"));
}

#[tokio::test]
async fn a_path_that_is_no_text_is_a_problem_like_any_other() {
    let lab = Lab::start().await;
    for path in ["/api/hosts/%FF", "/api/operations/%FF", "/api/images/%FF", "/ipxe/%FF", "/boot/%FF/vmlinuz"] {
        lab.get(path).await.is_problem(400, "malformed-request", None);
    }
}
