//! Two at once, and the same once more.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::lab::{Lab, small_iso};

const MACS: [&str; 2] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];

#[tokio::test]
async fn of_rebuilds_that_race_one_is_started() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MACS[0]).await;
    lab.upload(small_iso()).await;
    let path = format!("/api/hosts/{host}/rebuild");
    let body = json!({});
    let answers = futures_util::future::join_all((0..8).map(|_| lab.post(&path, &body))).await;
    let started = answers.iter().filter(|answer| answer.status == StatusCode::ACCEPTED).count();
    assert_eq!(started, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::ACCEPTED) {
        assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
    }
    let operations = lab.get(&format!("/api/hosts/{host}/operations")).await.body;
    assert_eq!(operations["operations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn one_hosts_token_opens_nothing_of_another_and_nothing_when_it_is_dead() {
    let lab = Lab::start().await;
    let (one, two) = (lab.host("pve-01", MACS[0]).await, lab.host("pve-02", MACS[1]).await);
    let (token, _) = (lab.armed(&one, MACS[0]).await, lab.armed(&two, MACS[1]).await);
    let ask = |method: Method, path: String| lab.request(method, &path).json(&json!({}));
    let foreign = ask(Method::GET, format!("/api/hosts/{two}/first-boot-script?token={token}"));
    lab.send(foreign).await.is_problem(404, "unknown-token", None);
    for report in ["installed", "phone-home"] {
        let foreign = ask(Method::POST, format!("/api/hosts/{two}/{report}?token={token}"));
        lab.send(foreign).await.is_problem(404, "unknown-token", None);
    }
    for path in ["/api/hosts", "/api/audit", "/events"] {
        let operators = lab.request(Method::GET, path).bearer_auth(&token);
        lab.send(operators).await.is_problem(401, "wrong-token", None);
    }
    lab.post(&format!("/api/hosts/{one}/cancel"), &json!({})).await;
    for file in ["vmlinuz", "initrd", "proxmox-auto.iso"] {
        lab.send(ask(Method::GET, format!("/boot/{token}/{file}"))).await.is_problem(410, "operation-ended", None);
    }
    let script = ask(Method::GET, format!("/api/hosts/{one}/first-boot-script?token={token}"));
    lab.send(script).await.is_problem(410, "operation-ended", None);
}

#[tokio::test]
async fn a_webhook_that_is_sent_again_in_another_life_changes_nothing() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MACS[0]).await;
    let old = lab.armed(&host, MACS[0]).await;
    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    let new = lab.armed(&host, MACS[0]).await;
    assert_ne!(old, new);
    let before = lab.phase(&host).await;
    let home = json!({ "ip": "127.0.0.9", "hardware_id": "x-1", "ssh_host_keys": {} });
    for report in ["installed", "phone-home"] {
        for _ in 0..5 {
            let path = format!("/api/hosts/{host}/{report}?token={old}");
            let status = lab.request(Method::POST, &path).json(&home).send().await.unwrap().status();
            assert_eq!(status, StatusCode::OK, "a machine is never refused");
        }
    }
    assert_eq!(lab.phase(&host).await, before);
}
