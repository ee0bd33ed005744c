//! Paths that try to leave their place, and targets that are none.

use crate::lab::Lab;
use crate::raw;

#[tokio::test]
async fn no_path_leads_out_of_its_place() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", "52:54:00:00:00:01").await;
    let token = lab.armed(&host, "52:54:00:00:00:01").await;
    let boot = format!("/boot/{token}");
    let up =
        ["..", "%2e%2e", "%2E.", "..%2f", "%2e%2e%2f", "%252e%252e", "..%5c", "....//", "..;", "%c0%ae%c0%ae", "%00"];
    let mut targets: Vec<String> = vec![
        "//api/hosts".into(),
        "/api//hosts".into(),
        "/%61pi/hosts".into(),
        "/API/HOSTS".into(),
        "/api/hosts/".into(),
        "/login/../api/hosts".into(),
        "/healthz/..;/api/hosts".into(),
        "/assets/%2e%2e/api/hosts".into(),
        "/boot/x/../../api/hosts".into(),
        "http://evil.example/api/hosts".into(),
        format!("{boot}/vmlinuz/../../../etc/passwd"),
        format!("{boot}/vmlinuz%00.txt"),
        format!("{boot}/vmlinuz%2f..%2finitrd"),
        format!("{boot}//vmlinuz"),
        format!("{boot}/VMLINUZ"),
        format!("/boot/{token}%20/vmlinuz"),
        format!("/boot/%00{token}/vmlinuz"),
        format!("/boot/{}/vmlinuz", &token[..token.len() - 1]),
        format!("/boot/{token}A/vmlinuz"),
    ];
    for step in up {
        targets.push(format!("/assets/{step}/{step}/{step}/etc/passwd"));
        targets.push(format!("/assets/{step}/templates/login.html"));
        targets.push(format!("{boot}/{step}/{step}/{step}/etc/passwd"));
        targets.push(format!("{boot}/{step}"));
        targets.push(format!("/hosts/{step}/{step}"));
        targets.push(format!("/ipxe/{step}%2fetc%2fpasswd"));
    }
    for target in targets {
        let answer = raw::get(&lab, &target, "").await.unwrap_or_else(|| panic!("no answer to {target}"));
        assert!((400..500).contains(&answer.status), "{target}: {} {}", answer.status, answer.body);
        assert!(!answer.body.contains("root:") && !answer.body.contains("<form"), "{target}: {}", answer.body);
    }
    let right = raw::get(&lab, &format!("{boot}/vmlinuz"), "").await.unwrap();
    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn what_is_no_request_ends_its_connection_and_nothing_else() {
    let lab = Lab::start().await;
    let long = "a".repeat(200_000);
    let nonsense: Vec<Vec<u8>> = vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0xff; 4096],
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /login HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_vec(),
        b"POST /login HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        b"POST /login HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_vec(),
        format!("GET /{long} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\nconnection: close\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{}connection: close\r\n\r\n", "x: y\r\n".repeat(5000)).into_bytes(),
        b"GET /api/hosts HTTP/1.1\r\nhost: a\r\nx: a\0b\r\nconnection: close\r\n\r\n".to_vec(),
    ];
    for bytes in nonsense {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        if let Some(answer) = raw::send(&lab, &bytes).await {
            assert!((400..500).contains(&answer.status), "{shown:?}: {}", answer.status);
        }
        let alive = raw::get(&lab, "/healthz", "").await.unwrap();
        assert_eq!(alive.status, 200, "after {shown:?}");
    }
}

#[tokio::test]
async fn a_second_request_in_the_body_of_a_refused_one_is_not_served() {
    let lab = Lab::start().await;
    let smuggled = "DELETE /api/hosts/pve-01 HTTP/1.1\r\nhost: a\r\n\r\n";
    let request = format!(
        "POST /api/hosts HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n0\r\n\r\n{smuggled}"
    );
    if let Some(answer) = raw::send(&lab, request.as_bytes()).await {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        assert!(!answer.body.contains("HTTP/1.1"), "a second answer followed: {}", answer.body);
    }
}
