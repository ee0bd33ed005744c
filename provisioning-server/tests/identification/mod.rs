//! Who is given an answer file: every way in which token, addresses and hardware can disagree, over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::lab::{Answer, Lab, TOKEN};

const MAC_A: &str = "52:54:00:00:00:0a";
const MAC_B: &str = "52:54:00:00:00:0b";
const UUID: &str = "4C4C4544-0031-4B10-8052-B4C04F4E3532";

/// What the installer posts of a machine with these NICs.
fn facts(macs: &[&str], uuid: &str) -> Value {
    let nics: Vec<Value> = macs.iter().map(|mac| json!({ "link": "eno1", "mac": mac })).collect();
    json!({
        "$schema": { "version": "1.0" },
        "product": { "fullname": "Proxmox VE", "product": "pve" },
        "iso": { "release": "9.2", "isorelease": "1" },
        "dmi": { "system": { "uuid": uuid, "serial": "" } },
        "network_interfaces": nics,
    })
}

async fn ask(lab: &Lab, token: Option<&str>, facts: &Value) -> Answer {
    let path = token.map_or("/api/boot/answer".to_owned(), |token| format!("/api/boot/answer?token={token}"));
    lab.send(lab.request(Method::POST, &path).json(facts)).await
}

/// Two hosts, both armed: their ids and tokens.
async fn two_armed(lab: &Lab) -> [(String, String); 2] {
    let a = lab.host("pve-0a", MAC_A).await;
    let b = lab.host("pve-0b", MAC_B).await;
    let (token_a, token_b) = (lab.armed(&a, MAC_A).await, lab.armed(&b, MAC_B).await);
    [(a, token_a), (b, token_b)]
}

/// Its entries that tell why no answer was given, with where the request came from.
async fn denials(lab: &Lab, host: &str) -> Vec<String> {
    let journal = lab.get(&format!("/api/hosts/{host}/journal")).await.body;
    let denied = journal["entries"].as_array().unwrap().iter().filter(|entry| entry["what"]["kind"] == "answer_denied");
    denied.map(|entry| format!("{} {}", entry["what"]["from"].as_str().unwrap(), entry["what"]["why"])).collect()
}

async fn artefact(lab: &Lab, host: &str, kind: &str) -> Option<String> {
    let operation = lab.get(&format!("/api/hosts/{host}")).await.body["operation"].as_str().unwrap().to_owned();
    let operation = lab.get(&format!("/api/operations/{operation}")).await.body;
    let found = operation["artefacts"].as_array().unwrap().iter().find(|artefact| artefact["kind"] == kind)?;
    Some(found["text"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_token_of_one_host_with_the_addresses_of_another_gets_nothing() {
    let lab = Lab::start().await;
    let [(a, token_a), (b, _)] = two_armed(&lab).await;
    let refused = ask(&lab, Some(&token_a), &facts(&[MAC_B], UUID)).await;
    refused.is_problem(409, "mac-taken", None);
    assert!(!refused.body.to_string().contains(&token_a));
    for host in [&a, &b] {
        assert_eq!(lab.phase(host).await, "pxe_booted", "nothing changed");
    }
    let denied = denials(&lab, &a).await;
    assert_eq!(denied.len(), 1);
    assert!(denied[0].starts_with("127.0.0.1 ") && denied[0].contains(MAC_B), "{denied:?}");
    let kept = artefact(&lab, &a, "refused_request").await.expect("the request is kept");
    assert!(kept.contains(MAC_B) && kept.contains(UUID), "{kept}");
    // The host itself is none the worse for it.
    assert_eq!(ask(&lab, Some(&token_a), &facts(&[MAC_A], UUID)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_address_belongs_to_one_host_so_that_two_armed_hosts_cannot_share_it() {
    let lab = Lab::start().await;
    let [(a, _), (b, _)] = two_armed(&lab).await;
    let third = json!({ "hostname": "pve-0c", "mac": MAC_A, "server_type": "lab" });
    lab.post("/api/hosts", &third).await.is_problem(409, "mac-taken", Some("mac"));
    lab.post(&format!("/api/hosts/{b}/cancel"), &json!({})).await;
    let edit = lab.request(Method::PATCH, &format!("/api/hosts/{b}")).bearer_auth(TOKEN);
    let shared = edit.json(&json!({ "macs": [MAC_B, "52-54-00-00-00-0A"] }));
    lab.send(shared).await.is_problem(409, "mac-taken", Some("mac"));
    // A machine that shows the addresses of two armed hosts is neither of them.
    lab.armed(&b, MAC_B).await;
    ask(&lab, None, &facts(&[MAC_A, MAC_B], UUID)).await.is_problem(409, "mac-taken", None);
    assert!(denials(&lab, &a).await[0].contains("several hosts"), "{:?}", denials(&lab, &a).await);
}

#[tokio::test]
async fn a_machine_that_nobody_armed_gets_nothing_with_and_without_a_token() {
    let lab = Lab::start().await;
    ask(&lab, None, &facts(&[MAC_A], UUID)).await.is_problem(404, "no-such-host", None);
    let host = lab.host("pve-0a", MAC_A).await;
    ask(&lab, None, &facts(&[MAC_A], UUID)).await.is_problem(404, "no-such-host", None);
    for token in ["x", "", &"A".repeat(43), "../../etc/passwd", "%00"] {
        let refused = ask(&lab, Some(token), &facts(&[MAC_A], UUID)).await;
        refused.is_problem(404, "unknown-token", None);
    }
    assert_eq!(lab.phase(&host).await, "registered");
}

#[tokio::test]
async fn a_token_is_dead_with_its_operation() {
    let lab = Lab::start().await;
    let host = lab.host("pve-0a", MAC_A).await;
    let old = lab.armed(&host, MAC_A).await;
    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    ask(&lab, Some(&old), &facts(&[MAC_A], UUID)).await.is_problem(409, "not-possible-now", None);
    lab.armed(&host, MAC_A).await;
    ask(&lab, Some(&old), &facts(&[MAC_A], UUID)).await.is_problem(410, "operation-ended", None);
    assert_eq!(lab.phase(&host).await, "pxe_booted");
}

/// Brings a host through an installation that told this uuid, and arms it again; its new token.
async fn reinstalled(lab: &Lab, host: &str, uuid: &str) -> String {
    let token = lab.armed(host, MAC_A).await;
    assert_eq!(ask(lab, Some(&token), &facts(&[MAC_A], uuid)).await.status, StatusCode::OK);
    let report = json!({ "dmi": { "system": { "uuid": uuid } }, "ssh-public-host-keys": {} });
    let path = format!("/api/hosts/{host}/installed?token={token}");
    assert_eq!(lab.send(lab.request(Method::POST, &path).json(&report)).await.status, StatusCode::OK);
    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    lab.armed(host, MAC_A).await
}

#[tokio::test]
async fn another_machine_behind_the_same_address_waits_for_an_operator() {
    let lab = Lab::start().await;
    let host = lab.host("pve-0a", MAC_A).await;
    let token = reinstalled(&lab, &host, UUID).await;
    let other = facts(&[MAC_A], "99999999-1111-2222-3333-444455556666");
    for token in [Some(token.as_str()), None] {
        let refused = ask(&lab, token, &other).await;
        refused.is_problem(409, "hardware-changed", None);
        assert!(refused.body.to_string().contains("/api/hosts/pve-0a/accept-hardware"), "{refused:?}");
    }
    assert_eq!(lab.phase(&host).await, "pxe_booted");
    assert!(denials(&lab, &host).await[0].contains("99999999-1111"), "{:?}", denials(&lab, &host).await);

    let accept = format!("/api/hosts/{host}/accept-hardware");
    lab.send(lab.request(Method::POST, &accept).json(&json!({}))).await.is_problem(401, "not-authenticated", None);
    let junk = json!({ "hardware_id": "Default string" });
    lab.post(&accept, &junk).await.is_problem(422, "invalid-fields", Some("hardware_id"));
    let accepted = lab.post(&accept, &json!({ "hardware_id": "99999999-1111-2222-3333-444455556666" })).await;
    assert_eq!(accepted.body["hardware_id"], "99999999-1111-2222-3333-444455556666", "{accepted:?}");
    assert!(lab.journal(&host).await.contains("hardware_accepted"));
    let third = facts(&[MAC_A], "aaaaaaaa-1111-2222-3333-444455556666");
    ask(&lab, Some(&token), &third).await.is_problem(409, "hardware-changed", None);
    assert_eq!(ask(&lab, Some(&token), &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_mainboard_can_be_accepted_beforehand_with_the_rebuild() {
    let lab = Lab::start().await;
    let host = lab.host("pve-0a", MAC_A).await;
    reinstalled(&lab, &host, UUID).await;
    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    let rebuild = format!("/api/hosts/{host}/rebuild");
    let wrong = lab.post(&rebuild, &json!({ "accept_new_hardware": "yes" })).await;
    wrong.is_problem(422, "invalid-fields", Some("accept_new_hardware"));
    let started = lab.post(&rebuild, &json!({ "accept_new_hardware": true })).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
    let other = facts(&[MAC_A], "99999999-1111-2222-3333-444455556666");
    assert_eq!(ask(&lab, None, &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_machine_asked_and_told_is_kept_with_where_it_came_from() {
    let lab = Lab::start().await;
    let host = lab.host("pve-0a", MAC_A).await;
    let token = lab.armed(&host, MAC_A).await;
    assert_eq!(ask(&lab, Some(&token), &facts(&[MAC_A], UUID)).await.status, StatusCode::OK);
    let path = format!("/api/hosts/{host}/phone-home?token={token}");
    let home = json!({ "ip": "127.0.0.9", "hardware_id": UUID, "ssh_host_keys": {} });
    assert_eq!(lab.send(lab.request(Method::POST, &path).json(&home)).await.status, StatusCode::OK);
    let journal = lab.get(&format!("/api/hosts/{host}/journal")).await.body;
    let from: Vec<&Value> = journal["entries"].as_array().unwrap().iter().map(|entry| &entry["what"]).collect();
    for request in ["answer", "phone_home"] {
        let told = json!({ "kind": "request_from", "request": request, "from": "127.0.0.1" });
        assert!(from.contains(&&told), "{request}: {journal}");
    }
    assert!(artefact(&lab, &host, "system_info").await.unwrap().contains(UUID));
    assert!(artefact(&lab, &host, "phone_home").await.unwrap().contains("127.0.0.9"));
    assert!(!journal.to_string().contains(&token));
}

#[tokio::test]
async fn the_join_queue_of_a_server_at_rest_is_empty() {
    let lab = Lab::start().await;
    let queue = lab.get("/api/join-queue").await;
    assert_eq!((queue.status, queue.body), (StatusCode::OK, json!({ "joining": null, "waiting": [] })));
    let stranger = lab.request(Method::GET, "/api/join-queue");
    lab.send(stranger).await.is_problem(401, "not-authenticated", None);
}
