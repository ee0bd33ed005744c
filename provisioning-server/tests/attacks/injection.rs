//! Fields whose values try to become headers, lines of scripts, templates or markup.

use reqwest::Method;
use serde_json::json;

use crate::lab::Lab;
use crate::raw;

/// Values that break out of something, somewhere.
const HOSTILE: [&str; 16] = [
    "pve-01\nkernel http://evil/x",
    "pve-01\r\nset-cookie: a=b",
    "pve-01 && reboot",
    "${net0/mac}",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'; DROP TABLE hosts; --",
    "$(id)",
    "`id`",
    "pve-01\0",
    "../../etc/passwd",
    "\u{202e}pve",
    "pve\u{2028}01",
    "a\"\nroot-password = \"x",
];

#[tokio::test]
async fn no_field_of_a_host_takes_a_value_that_breaks_out() {
    let lab = Lab::start().await;
    for value in HOSTILE {
        for field in ["hostname", "mac", "server_type", "address"] {
            let mut body = json!({ "hostname": "pve-02", "mac": "52:54:00:00:00:02", "server_type": "lab" });
            body[field] = value.into();
            let answer = lab.post("/api/hosts", &body).await;
            assert_eq!(answer.status, 422, "{field} {value:?}: {answer:?}");
        }
    }
    assert_eq!(lab.get("/api/hosts").await.body["hosts"], json!([]));
    for field in ["name", "scope", "expires_in"] {
        for value in HOSTILE {
            let mut body = json!({ "name": "x" });
            body[field] = value.into();
            lab.post("/api/tokens", &body).await.is_problem(422, "invalid-fields", Some(field));
        }
    }
}

#[tokio::test]
async fn what_machines_tell_is_text_and_never_markup_or_script() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", "52:54:00:00:00:01").await;
    let token = lab.armed(&host, "52:54:00:00:00:01").await;
    for value in HOSTILE {
        for report in ["installed", "phone-home"] {
            let body = json!({
                "ip": value, "hardware_id": value, "fqdn": value, "cert_fingerprint": value,
                "ssh_host_keys": { "ed25519": value }, "ssh-public-host-keys": { "ed25519": value },
                "product": { "fullname": value, "short": value, "version": value }, "machine-id": value,
            });
            let path = format!("/api/hosts/{host}/{report}?token={token}");
            let status = lab.request(Method::POST, &path).json(&body).send().await.unwrap().status();
            assert_eq!(status, 200, "{report} {value:?}");
        }
        let body = json!({ "dmi": { "system": { "serial": value } }, "network_interfaces": [{ "link": value, "mac": value }] });
        let answer = lab.request(Method::POST, &format!("/api/boot/answer?token={token}")).json(&body);
        assert!(answer.send().await.unwrap().status().as_u16() < 500, "{value:?}");
    }
    for page in ["/", "/hosts/pve-01"] {
        let page = lab.get(page).await;
        let html = page.body.as_str().unwrap();
        for raw in ["<script>alert", "<img src=x", "onerror=alert(1)>"] {
            assert!(!html.contains(raw), "{raw}");
        }
    }
    assert_eq!(lab.phase(&host).await, "pxe_booted", "none of it proves an installation");
}

#[tokio::test]
async fn what_stands_in_a_request_never_becomes_a_header_or_an_address_of_ours() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", "52:54:00:00:00:01").await;
    lab.armed(&host, "52:54:00:00:00:01").await;
    let authority = lab.base.trim_start_matches("http://").to_owned();
    for name in ["host", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-original-url", "x-rewrite-url"] {
        let evil = if name == "host" { String::new() } else { format!("{name}: evil.example\r\n") };
        let host = if name == "host" { "evil.example" } else { authority.as_str() };
        let request =
            format!("GET /ipxe/52:54:00:00:00:01 HTTP/1.1\r\nhost: {host}\r\n{evil}connection: close\r\n\r\n");
        let answer = raw::send(&lab, request.as_bytes()).await.unwrap();
        assert!(answer.body.contains(&lab.base) && !answer.body.contains("evil"), "{name}: {}", answer.body);
    }
    for target in ["/api/hosts/x%0d%0aset-cookie:%20a=b", "/login?wrong=%0d%0aset-cookie:%20a=b", "/%0d%0ax:y"] {
        let answer = raw::get(&lab, target, "accept: text/html\r\n").await.unwrap();
        assert!(!answer.head.to_ascii_lowercase().contains("set-cookie"), "{target}: {}", answer.head);
    }
    let page = raw::get(&lab, "/login?error=<script>alert(1)</script>", "").await;
    assert!(page.is_none_or(|page| !page.body.contains("<script>alert")));
}
