//! The HTTP surface over a real loopback server: what is let in, what is refused and how, what machines are told.

#![expect(clippy::unwrap_used, reason = "a test whose server does not answer shall fail")]

mod identification;
#[expect(dead_code, reason = "the lab serves several test programs, and this one needs a part of it")]
mod lab;

use lab::{Lab, TOKEN, small_iso};
use provisioning_server::http::auth::Access;
use provisioning_sim::real::iso::{IsoOptions, Product, build};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const MAC: &str = "52:54:00:00:00:01";

#[tokio::test]
async fn nothing_is_open_to_whoever_has_no_token() {
    let lab = Lab::start().await;
    for path in [
        "/api/hosts",
        "/api/images",
        "/events",
        "/api/server-types",
        "/api/operations/x",
        "/api/hosts/x",
        "/api/discovered",
        "/api/doctor/x",
    ] {
        lab.send(lab.request(Method::GET, path)).await.is_problem(401, "not-authenticated", None);
        lab.send(lab.request(Method::GET, path).bearer_auth("prov_wrong")).await.is_problem(401, "wrong-token", None);
    }
    lab.send(lab.request(Method::POST, "/api/hosts").json(&json!({}))).await.is_problem(401, "not-authenticated", None);
    assert_eq!(lab.send(lab.request(Method::GET, "/healthz")).await.status, StatusCode::OK);
    // There is no image yet, and everybody may know that.
    assert_eq!(lab.send(lab.request(Method::GET, "/readyz")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let page = lab.send(lab.request(Method::GET, "/api/hosts").header("accept", "text/html")).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_serves_a_browser_but_not_another_sites_page() {
    let lab = Lab::start().await;
    let wrong = lab.request(Method::POST, "/login").json(&json!({ "token": "prov_wrong" }));
    lab.send(wrong).await.is_problem(401, "wrong-token", None);
    let answer = lab.request(Method::POST, "/login").body(format!("token={TOKEN}"));
    let answer = answer.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let with = |method, path: &str| lab.request(method, path).header("cookie", &cookie);
    assert_eq!(lab.send(with(Method::GET, "/api/hosts")).await.status, StatusCode::OK);
    let foreign = with(Method::POST, "/api/hosts").header("sec-fetch-site", "cross-site").json(&json!({}));
    lab.send(foreign).await.is_problem(403, "foreign-origin", None);
    let own = with(Method::POST, "/api/hosts").header("sec-fetch-site", "same-origin").json(&json!({}));
    lab.send(own).await.is_problem(422, "invalid-fields", Some("hostname"));
    assert_eq!(lab.send(with(Method::POST, "/logout")).await.status, StatusCode::SEE_OTHER);
    lab.send(with(Method::GET, "/api/hosts")).await.is_problem(401, "not-authenticated", None);
}

#[tokio::test]
async fn an_open_server_needs_no_token() {
    let lab = Lab::start_with(Access::Open).await;
    assert_eq!(lab.send(lab.request(Method::GET, "/api/hosts")).await.status, StatusCode::OK);
    let rebound = lab.request(Method::GET, "/api/hosts").header("host", "rebound.example");
    lab.send(rebound).await.is_problem(403, "foreign-origin", None);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems_too() {
    let lab = Lab::start().await;
    lab.get("/nowhere").await.is_problem(404, "no-such-path", None);
    lab.send(lab.request(Method::PUT, "/api/hosts").bearer_auth(TOKEN)).await.is_problem(
        405,
        "method-not-allowed",
        None,
    );
    lab.get("/api/hosts?fase=ready").await.is_problem(422, "invalid-fields", Some("fase"));
    lab.get("/api/hosts?phase=done").await.is_problem(422, "invalid-fields", Some("phase"));
    lab.get("/api/hosts/nobody").await.is_problem(404, "no-such-host", None);
    lab.get("/api/operations/nothing").await.is_problem(404, "no-such-operation", None);
    lab.get("/api/images/nothing").await.is_problem(404, "no-such-image", Some("image"));
}

#[tokio::test]
async fn a_host_that_makes_no_sense_is_refused_with_every_field_at_fault() {
    let lab = Lab::start().await;
    let refused = |body: Value| {
        let lab = &lab;
        async move { lab.post("/api/hosts", &body).await }
    };
    let bad_mac = json!({ "hostname": "pve-01", "mac": "52:54:00:00:00", "server_type": "lab" });
    refused(bad_mac).await.is_problem(422, "invalid-fields", Some("mac"));
    let bad_name = json!({ "hostname": "pve_01", "mac": MAC, "server_type": "lab" });
    refused(bad_name).await.is_problem(422, "invalid-fields", Some("hostname"));
    let bad_type = json!({ "hostname": "pve-01", "mac": MAC, "server_type": "none" });
    refused(bad_type).await.is_problem(422, "no-such-server-type", Some("server_type"));
    let bad_address = json!({ "hostname": "pve-01", "mac": MAC, "server_type": "lab", "address": "10.0.0.7" });
    refused(bad_address).await.is_problem(422, "invalid-fields", Some("address"));
    let twice = json!({ "hostname": "pve-01", "macs": [MAC, MAC], "server_type": "lab" });
    refused(twice).await.is_problem(422, "invalid-fields", Some("macs"));
    let all = refused(json!({ "hostname": "-", "mac": 7, "colour": "red" })).await;
    let fields: Vec<&str> =
        all.body["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["hostname", "mac", "server_type", "colour"]);
    assert_eq!(lab.get("/api/hosts").await.body["hosts"], json!([]), "nothing was registered");
}

#[tokio::test]
async fn a_second_host_of_the_same_name_or_address_is_refused() {
    let lab = Lab::start().await;
    lab.host("pve-01", MAC).await;
    let name = json!({ "hostname": "PVE-01", "mac": "52:54:00:00:00:02", "server_type": "lab" });
    lab.post("/api/hosts", &name).await.is_problem(409, "name-taken", Some("hostname"));
    let mac = json!({ "hostname": "pve-02", "mac": "525400000001", "server_type": "lab" });
    lab.post("/api/hosts", &mac).await.is_problem(409, "mac-taken", Some("mac"));
    assert_eq!(lab.get("/api/hosts").await.body["hosts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large_are_refused_in_words() {
    let lab = Lab::start().await;
    let post = || lab.request(Method::POST, "/api/hosts").bearer_auth(TOKEN);
    let json = |body: Vec<u8>| post().header("content-type", "application/json").body(body);
    lab.send(json(b"{\"hostname\": ".to_vec())).await.is_problem(400, "malformed-json", None);
    lab.send(json(b"[1]".to_vec())).await.is_problem(400, "malformed-json", None);
    lab.send(post().header("content-type", "text/plain").body("{}")).await.is_problem(415, "wrong-content-type", None);
    lab.send(json(vec![b' '; 10 << 20])).await.is_problem(413, "body-too-large", None);
    let unknown = lab.request(Method::POST, "/api/hosts").body(vec![0; 10 << 20]);
    lab.send(unknown).await.is_problem(401, "not-authenticated", None);
    let answer = lab.request(Method::POST, "/api/boot/answer").body(vec![b' '; 10 << 20]);
    lab.send(answer).await.is_problem(413, "body-too-large", None);
}

#[tokio::test]
async fn hosts_are_listed_page_by_page_edited_and_removed() {
    let lab = Lab::start().await;
    for n in 1..=3 {
        lab.host(&format!("pve-{n:02}"), &format!("52:54:00:00:00:{n:02x}")).await;
    }
    let first = lab.get("/api/hosts?limit=2").await.body;
    let cursor = first["next"].as_str().unwrap();
    let second = lab.get(&format!("/api/hosts?limit=2&cursor={cursor}")).await.body;
    assert_eq!((&second["hosts"][0]["hostname"], &second["next"]), (&json!("pve-03"), &Value::Null));

    let patch = |revision: &str, body: Value| {
        lab.request(Method::PATCH, "/api/hosts/pve-03").bearer_auth(TOKEN).header("if-match", revision).json(&body)
    };
    let edited = lab.send(patch("\"1\"", json!({ "hostname": "pve-3", "address": "10.0.0.3/24" }))).await;
    assert_eq!((edited.status, &edited.body["address"]), (StatusCode::OK, &json!("10.0.0.3/24")));
    let stale = lab.request(Method::PATCH, "/api/hosts/pve-3").bearer_auth(TOKEN).header("if-match", "\"1\"");
    lab.send(stale.json(&json!({ "address": null }))).await.is_problem(412, "precondition-failed", None);
    let remove = || lab.request(Method::DELETE, "/api/hosts/pve-3").bearer_auth(TOKEN);
    assert_eq!(lab.send(remove()).await.status, StatusCode::NO_CONTENT);
    lab.send(remove()).await.is_problem(404, "no-such-host", None);
}

#[tokio::test]
async fn only_a_whole_proxmox_ve_iso_becomes_an_image_and_only_once() {
    let lab = Lab::start().await;
    let iso = small_iso();
    lab.upload(iso[..iso.len() / 2].to_vec()).await.is_problem(422, "image-refused", None);
    lab.upload(b"no iso at all".to_vec()).await.is_problem(422, "image-refused", None);
    let backup = build(&IsoOptions { product: Product::Pbs, filler_bytes: 4096, ..IsoOptions::default() });
    lab.upload(backup).await.is_problem(422, "image-refused", None);
    lab.post("/api/images", &json!({ "path": "/nowhere/x.iso" })).await.is_problem(
        422,
        "image-unreadable",
        Some("path"),
    );
    lab.post("/api/images", &json!({ "path": "x.iso" })).await.is_problem(422, "invalid-fields", Some("path"));
    assert_eq!(lab.get("/api/images").await.body["images"], json!([]));

    let first = lab.upload(iso.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    assert_eq!(first.body["release"], "9.2");
    let again = lab.upload(iso).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::OK, &first.body["id"]));
}

#[tokio::test]
async fn a_rebuild_is_looked_at_first_and_started_once() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MAC).await;
    let path = format!("/api/hosts/{host}/rebuild");
    lab.post(&path, &json!({})).await.is_problem(404, "no-such-image", None);
    lab.upload(small_iso()).await;
    let preflight = lab.post(&format!("{path}?dry_run=true"), &json!({})).await;
    assert_eq!((preflight.status, &preflight.body["wipes"]), (StatusCode::OK, &json!("/dev/sda")));
    assert_eq!(lab.phase(&host).await, "registered");
    lab.post(&path, &json!({ "image": "none" })).await.is_problem(404, "no-such-image", Some("image"));
    let started = lab.post(&path, &json!({})).await;
    assert_eq!((started.status, &started.body["host"]["phase"]), (StatusCode::ACCEPTED, &json!("pxe_ready")));
    lab.post(&path, &json!({})).await.is_problem(409, "host-busy", None);
    let image = lab.get("/api/images").await.body["images"][0]["id"].as_str().unwrap().to_owned();
    let remove = lab.request(Method::DELETE, &format!("/api/images/{image}")).bearer_auth(TOKEN);
    lab.send(remove).await.is_problem(409, "image-in-use", None);
    let remove = lab.request(Method::DELETE, &format!("/api/hosts/{host}")).bearer_auth(TOKEN);
    lab.send(remove).await.is_problem(409, "host-busy", None);
    let cancelled = lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    assert_eq!(cancelled.body["failure"]["reason"], "cancelled");
    lab.post(&format!("/api/hosts/{host}/resume"), &json!({})).await.is_problem(409, "not-possible-now", None);
}

#[tokio::test]
async fn a_machine_is_told_what_to_boot_by_any_spelling_of_its_address() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MAC).await;
    for unknown in [MAC, "52:54:00:00:00:99"] {
        lab.send(lab.request(Method::GET, &format!("/ipxe/{unknown}"))).await.is_problem(404, "no-such-host", None);
    }
    lab.send(lab.request(Method::GET, "/ipxe/${mac}")).await.is_problem(400, "malformed-request", Some("mac"));
    lab.armed(&host, MAC).await;
    for spelling in ["52%3A54%3a00:00:00:01", "52-54-00-00-00-01", "525400000001"] {
        let answer = lab.send(lab.request(Method::GET, &format!("/ipxe/{spelling}"))).await;
        assert!(answer.body.as_str().unwrap().starts_with("#!ipxe\n"), "{spelling}: {answer:?}");
    }
    assert_eq!(lab.phase(&host).await, "pxe_booted");
}

#[tokio::test]
async fn artifacts_are_whole_in_ranges_and_gone_with_their_operation() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MAC).await;
    let token = lab.armed(&host, MAC).await;
    let get = |file: &str| lab.request(Method::GET, &format!("/boot/{token}/{file}"));
    for file in ["vmlinuz", "initrd", "proxmox-auto.iso"] {
        let whole = get(file).send().await.unwrap();
        let (length, etag) = (whole.content_length().unwrap(), whole.headers()["etag"].clone());
        let whole = whole.bytes().await.unwrap();
        assert_eq!(whole.len() as u64, length);
        let head = lab.request(Method::HEAD, &format!("/boot/{token}/{file}")).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], length.to_string());
        let part = get(file).header("range", "bytes=100-299").send().await.unwrap();
        assert_eq!(
            (part.status(), part.headers()["content-range"].clone()),
            (StatusCode::PARTIAL_CONTENT, format!("bytes 100-299/{length}").parse().unwrap())
        );
        assert_eq!(part.bytes().await.unwrap(), whole[100..300]);
        assert_eq!(get(file).header("if-none-match", etag).send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
        lab.send(get(file).header("range", "bytes=99999999999-")).await.is_problem(416, "range-not-satisfiable", None);
    }
    let download = lab.get(&format!("/api/hosts/{host}")).await.body["download"].clone();
    assert!(download["bytes"].as_u64().unwrap() > 0, "{download}");
    lab.send(get("passwd")).await.is_problem(404, "no-such-path", None);
    let unknown = lab.request(Method::GET, &format!("/boot/{}/vmlinuz", "A".repeat(43)));
    lab.send(unknown).await.is_problem(404, "unknown-token", None);
    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    lab.send(get("vmlinuz")).await.is_problem(410, "operation-ended", None);
}

#[tokio::test]
async fn reports_are_taken_twice_late_and_out_of_order() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MAC).await;
    let token = lab.armed(&host, MAC).await;
    let report = |what: &str, token: &str, body: String| {
        lab.request(Method::POST, &format!("/api/hosts/{host}/{what}?token={token}"))
            .header("content-type", "application/json")
            .body(body)
    };
    let home = json!({ "ip": "127.0.0.9", "hardware_id": "x-1", "ssh_host_keys": {} }).to_string();

    lab.send(report("installed", &"A".repeat(43), "{}".into())).await.is_problem(404, "unknown-token", None);
    lab.send(report("installed", "", "{}".into())).await.is_problem(404, "unknown-token", None);
    let nobody = lab.request(Method::POST, "/api/hosts/nobody/installed").body("{}");
    lab.send(nobody).await.is_problem(404, "no-such-host", None);

    // Before its time, unreadable, far too long: 200, a journal entry, and no other phase.
    for body in [home.clone(), "no json".to_owned(), " ".repeat(10 << 20)] {
        assert_eq!(lab.send(report("phone-home", &token, body)).await.status, StatusCode::OK);
        assert_eq!(lab.phase(&host).await, "pxe_booted");
    }
    let journal = lab.journal(&host).await;
    assert!(journal.contains("event_refused") && journal.contains("report_unusable"), "{journal}");

    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    for _ in 0..2 {
        assert_eq!(lab.send(report("phone-home", &token, home.clone())).await.status, StatusCode::OK);
    }
    assert_eq!(lab.phase(&host).await, "failed");
    let script = lab.request(Method::GET, &format!("/api/hosts/{host}/first-boot-script?token={token}"));
    lab.send(script).await.is_problem(410, "operation-ended", None);
}

#[tokio::test]
async fn an_installer_without_a_host_is_refused_and_an_operator_sees_why() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MAC).await;
    let token = lab.armed(&host, MAC).await;
    let ask = |path: &str, body: &'static str| lab.request(Method::POST, path).body(body);
    lab.send(ask("/api/boot/answer", "no json")).await.is_problem(404, "no-such-host", None);
    let url = format!("/api/boot/answer?token={token}");
    lab.send(ask(&url, "no json")).await.is_problem(400, "malformed-json", None);
    lab.send(ask("/api/boot/answer?token=x", "{}")).await;
    assert!(lab.journal(&host).await.contains("answer_denied"));
    assert_eq!(lab.phase(&host).await, "pxe_booted");
}

#[tokio::test]
async fn events_resume_behind_the_last_one_that_was_seen() {
    let lab = Lab::start().await;
    for n in 1..=3 {
        lab.host(&format!("pve-{n:02}"), &format!("52:54:00:00:00:{n:02x}")).await;
    }
    let open = lab.request(Method::GET, "/events").bearer_auth(TOKEN).header("last-event-id", "1");
    let mut stream = open.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    lab.host("pve-04", "52:54:00:00:00:04").await;
    let mut text = String::new();
    while !text.contains("pve-04") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    // Each registration is two entries: the host's, and who asked for it.
    let expected: Vec<String> = (2..2 + ids.len()).map(|id| id.to_string()).collect();
    assert!(ids == expected && ids.len() >= 6, "{ids:?}");

    let beyond = lab.request(Method::GET, "/events?after=99").bearer_auth(TOKEN);
    let first = beyond.send().await.unwrap().chunk().await.unwrap().unwrap();
    assert!(first.windows(12).any(|w| w == b"event: reset"), "{first:?}");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_endless_streams() {
    let lab = Lab::start().await;
    let mut stream = lab.request(Method::GET, "/events").bearer_auth(TOKEN).send().await.unwrap();
    lab.server.until(async {}).await.unwrap();
    while stream.chunk().await.unwrap().is_some() {}
    assert!(lab.client.get(&lab.base).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_metrics_count_hosts_operations_and_requests() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MAC).await;
    lab.armed(&host, MAC).await;
    lab.get("/no/such/path").await;
    let text = lab.get("/metrics").await.body;
    let text = text.as_str().unwrap();
    for line in [
        "provisioning_hosts{phase=\"pxe_booted\"} 1",
        "provisioning_hosts{phase=\"ready\"} 0",
        "provisioning_legs_overdue 0",
        "provisioning_outbox_depth{work=\"join\"} 0",
        "provisioning_images 1",
        "provisioning_operations_total{outcome=\"ready\",reason=\"\"} 0",
        "provisioning_event_subscribers 0",
        "provisioning_http_request_duration_seconds_count{method=\"POST\",route=\"/api/hosts\",status=\"201\"} 1",
        "provisioning_http_request_duration_seconds_count{method=\"GET\",route=\"none\",status=\"404\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not among\n{text}");
    }
    let answer = lab.send(lab.request(Method::GET, "/metrics")).await;
    answer.is_problem(401, "not-authenticated", None);
}

/// A machine that is nobody's asks for its boot script.
async fn stranger(lab: &Lab, mac: &str) {
    let request = lab.request(Method::GET, &format!("/ipxe/{mac}")).header("user-agent", "iPXE/1.0.0+git-20190125");
    lab.send(request).await.is_problem(404, "no-such-host", None);
}

#[tokio::test]
async fn a_machine_that_is_nobodys_is_listed_and_adopted() {
    let lab = Lab::start().await;
    stranger(&lab, MAC).await;
    stranger(&lab, "52:54:00:00:00:02").await;
    let listed = lab.get("/api/discovered").await.body;
    let machines = listed["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 2, "{listed}");
    let machine = machines.iter().find(|machine| machine["mac"] == MAC).unwrap();
    assert_eq!((&machine["last_step"], &machine["address"]), (&json!("script_fetched"), &json!("127.0.0.1")));
    assert_eq!((&machine["ipxe"], &machine["agent"]), (&json!(true), &json!("iPXE/1.0.0+git-20190125")));

    let adopt = |mac: &str| format!("/api/discovered/{mac}/adopt");
    lab.post(&adopt(MAC), &json!({ "mac": MAC })).await.is_problem(422, "invalid-fields", Some("hostname"));
    let form = json!({ "hostname": "pve-01", "server_type": "lab", "address": "10.0.0.7/24" });
    let unknown = json!({ "hostname": "pve-01", "server_type": "none" });
    lab.post(&adopt(MAC), &unknown).await.is_problem(422, "no-such-server-type", Some("server_type"));
    lab.post(&adopt("52:54:00:00:00:99"), &form).await.is_problem(404, "not-discovered", Some("mac"));
    lab.post(&adopt("nonsense"), &form).await.is_problem(400, "malformed-request", Some("mac"));
    let adopted = lab.post(&adopt("52-54-00-00-00-01"), &form).await;
    assert_eq!((adopted.status, &adopted.body["macs"]), (StatusCode::CREATED, &json!([MAC])), "{adopted:?}");
    assert!(lab.journal("pve-01").await.contains("machine_adopted"));
    lab.post(&adopt(MAC), &form).await.is_problem(404, "not-discovered", Some("mac"));
    assert_eq!(lab.get("/api/discovered").await.body["machines"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_dismissed_machine_is_hidden_and_counted() {
    let lab = Lab::start().await;
    stranger(&lab, MAC).await;
    let dismiss = |mac: &str| lab.request(Method::DELETE, &format!("/api/discovered/{mac}")).bearer_auth(TOKEN);
    lab.send(dismiss("52:54:00:00:00:99")).await.is_problem(404, "not-discovered", Some("mac"));
    for _ in 0..2 {
        assert_eq!(lab.send(dismiss(MAC)).await.status, StatusCode::NO_CONTENT);
    }
    stranger(&lab, MAC).await;
    let listed = lab.get("/api/discovered").await.body;
    assert_eq!((&listed["machines"], &listed["hidden"]), (&json!([]), &json!(1)));
    let all = lab.get("/api/discovered?dismissed=true").await.body;
    assert!(all["machines"][0]["dismissed_until"].is_string(), "{all}");
    lab.get("/api/discovered?dismissed=perhaps").await.is_problem(422, "invalid-fields", Some("dismissed"));
}

#[tokio::test]
async fn the_doctor_always_has_an_answer() {
    let lab = Lab::start().await;
    let doctor = |mac: &'static str| {
        let lab = &lab;
        async move { lab.get(&format!("/api/doctor/{mac}")).await.body }
    };
    lab.get("/api/doctor/pve-01").await.is_problem(400, "malformed-request", Some("mac"));
    let never = doctor(MAC).await;
    assert_eq!((&never["finding"], &never["host"], &never["mac"]), (&json!("never_seen"), &Value::Null, &json!(MAC)));
    stranger(&lab, MAC).await;
    let stranger = doctor(MAC).await;
    assert_eq!((&stranger["finding"], &stranger["reached"]), (&json!("not_registered"), &json!("script_fetched")));
    assert!(stranger["notes"][0].as_str().unwrap().contains("older than 2021"), "{stranger}");

    let host = lab.host("pve-01", MAC).await;
    let token = lab.armed(&host, MAC).await;
    let armed = doctor(MAC).await;
    assert_eq!((&armed["host"], &armed["phase"]), (&json!("pve-01"), &json!("pxe_booted")));
    for file in ["vmlinuz", "initrd"] {
        lab.request(Method::GET, &format!("/boot/{token}/{file}")).send().await.unwrap().bytes().await.unwrap();
    }
    let loaded = doctor(MAC).await;
    assert_eq!((&loaded["reached"], &loaded["severity"]), (&json!("initrd_fetched"), &json!("waiting")), "{loaded}");
    let steps = loaded["steps"].as_array().unwrap();
    let marks: Vec<_> =
        steps.iter().map(|step| (step["step"].as_str().unwrap(), step["mark"].as_str().unwrap())).collect();
    assert!(marks.contains(&("initrd_fetched", "done")) && marks.contains(&("answer_fetched", "next")), "{marks:?}");
}

#[tokio::test]
async fn firmware_loads_boot_programs_by_http_and_nothing_else_of_their_folder() {
    let lab = Lab::start().await;
    std::fs::write(lab.folder().join("ipxe.efi"), b"MZ iPXE").unwrap();
    std::fs::write(lab.folder().join("secret"), b"x").unwrap();
    for method in [Method::HEAD, Method::GET] {
        let answer = lab.request(method.clone(), "/netboot/ipxe.efi").send().await.unwrap();
        assert_eq!((answer.status(), &answer.headers()["content-length"]), (StatusCode::OK, &"7".parse().unwrap()));
        let expected: &[u8] = if method == Method::GET { b"MZ iPXE" } else { b"" };
        assert_eq!(answer.bytes().await.unwrap(), expected);
    }
    for path in ["/netboot/snponly.efi", "/netboot/secret", "/netboot/..%2fsecret"] {
        lab.send(lab.request(Method::GET, path)).await.is_problem(404, "no-such-path", None);
    }
}

#[tokio::test]
async fn a_machine_beyond_the_download_slots_is_told_to_ask_again() {
    let lab = Lab::start_with_slots(1).await;
    let (first, second) = (lab.host("pve-01", MAC).await, lab.host("pve-02", "52:54:00:00:00:02").await);
    let token = lab.armed(&first, MAC).await;
    assert_eq!(lab.post(&format!("/api/hosts/{second}/rebuild"), &json!({})).await.status, StatusCode::ACCEPTED);
    let script = || lab.request(Method::GET, "/ipxe/52:54:00:00:00:02");
    let held = script().send().await.unwrap();
    assert_eq!(
        (held.status(), &held.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
    let shown = lab.get(&format!("/api/hosts/{second}")).await.body;
    assert_eq!(shown["phase"], "pxe_ready", "it was given nothing: {shown}");
    let words = shown["waiting_for"].as_str().unwrap();
    assert!(words.starts_with("waits for a download slot, 1st in line"), "{words}");

    let initrd = lab.request(Method::GET, &format!("/boot/{token}/initrd")).send().await.unwrap();
    initrd.bytes().await.unwrap();
    assert_eq!(script().send().await.unwrap().status(), StatusCode::OK, "the first has all it needs");
    let shown = lab.get(&format!("/api/hosts/{second}")).await.body;
    assert!(!shown["waiting_for"].as_str().unwrap().contains("slot"), "{shown}");
}
