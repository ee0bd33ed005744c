//! The artifact listener: the same answers as the main listener's, byte for byte, from the same list of segments.

#[expect(dead_code, clippy::unwrap_used, reason = "the lab serves several test programs; a test ends where it fails")]
mod lab;

use std::sync::Arc;

use lab::Lab;
use provisioning_server::artifact_http;
use provisioning_server::http::listen;
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

const MAC: &str = "52:54:00:00:00:01";

/// A server with a host that is armed, and the artifact listener beside it.
struct Downloads {
    lab: Lab,
    token: String,
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Downloads {
    async fn start() -> Self {
        let lab = Lab::start().await;
        let host = lab.host("pve-01", MAC).await;
        let token = lab.armed(&host, MAC).await;
        let tcp = listen::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = tcp.local_addr().expect("a bound port");
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(artifact_http::serve(tcp, Arc::clone(lab.server.app()), stopping));
        Self { lab, token, address, stop, serving }
    }

    fn path(&self, file: &str) -> String {
        format!("/boot/{}/{file}", self.token)
    }

    /// The same request to both listeners: status, the headers that matter, bytes.
    async fn both(&self, method: &Method, file: &str, headers: Headers<'_>) -> [(StatusCode, String, Vec<u8>); 2] {
        let bases = [self.lab.base.clone(), format!("http://{}", self.address)];
        let mut answers = Vec::new();
        for base in bases {
            let mut request = self.lab.client.request(method.clone(), format!("{base}{}", self.path(file)));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.send().await.expect("an answer");
            let status = response.status();
            let names = ["content-length", "content-range", "etag", "accept-ranges", "content-type", "cache-control"];
            let shown = names.map(|name| format!("{name}: {:?}", response.headers().get(name))).join("\n");
            answers.push((status, shown, response.bytes().await.expect("all bytes").to_vec()));
        }
        answers.try_into().expect("two answers")
    }

    async fn talk(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("a request is taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer that ends");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_listeners_give_the_same_answers() {
    let downloads = Downloads::start().await;
    let [main, _] = downloads.both(&Method::HEAD, "initrd", &[]).await;
    let tag = main.1.lines().find_map(|line| line.strip_prefix("etag: Some(")).expect("a tag").trim_end_matches(')');
    let tag: String = serde_json::from_str::<String>(tag).expect("a quoted text");
    let cases: [(Method, Headers<'_>, u16); 9] = [
        (Method::GET, &[], 200),
        (Method::HEAD, &[], 200),
        (Method::GET, &[("range", "bytes=0-0")], 206),
        (Method::GET, &[("range", "bytes=1000-70000")], 206),
        (Method::GET, &[("range", "bytes=-5000")], 206),
        (Method::GET, &[("range", "bytes=999999999999-")], 416),
        (Method::HEAD, &[("range", "bytes=0-0")], 200),
        (Method::GET, &[("range", "bytes=0-0"), ("if-range", "\"other\"")], 200),
        (Method::GET, &[("if-none-match", &tag)], 304),
    ];
    for file in ["vmlinuz", "initrd", "proxmox-auto.iso"] {
        for (method, headers, status) in &cases {
            if *status == 304 && file != "initrd" {
                continue;
            }
            let [main, ours] = downloads.both(method, file, headers).await;
            assert_eq!(main.0, *status, "{method} {file} {headers:?}");
            assert!(main == ours, "{method} {file} {headers:?}\n{} {}\n{} {}", main.0, main.1, ours.0, ours.1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_requests_share_a_connection_also_when_they_come_at_once() {
    let downloads = Downloads::start().await;
    let kernel = downloads.path("vmlinuz");
    let answer = downloads
        .talk(&format!(
            "HEAD {kernel} HTTP/1.1\r\nhost: a\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n\
             GET {kernel} HTTP/1.1\r\nrange: bytes=0-3\r\nconnection: close\r\n\r\n"
        ))
        .await;
    let statuses: Vec<&str> = answer.lines().filter(|line| line.contains("HTTP/1.1 ")).collect();
    assert_eq!(statuses.len(), 3, "{answer}");
    assert!(statuses[0].ends_with("200 OK"), "{answer}");
    assert!(statuses[1].ends_with("404 Not Found"), "{answer}");
    assert!(statuses[2].ends_with("206 Partial Content"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_nonsense_get_a_problem_and_nothing_else() {
    let downloads = Downloads::start().await;
    let cases = [
        ("GET /boot/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/initrd HTTP/1.1", "404"),
        ("GET /boot/../etc/passwd HTTP/1.1", "404"),
        ("GET /api/hosts HTTP/1.1", "404"),
        ("POST /boot/x/initrd HTTP/1.1", "405"),
        ("GET / HTTP/1.1\r\ncontent-length: 3", "400"),
        ("\u{16}\u{3}\u{1}", "400"),
    ];
    for (request, status) in cases {
        let answer = downloads.talk(&format!("{request}\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("/api/problems/"), "{answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000));
    assert!(downloads.talk(&long).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_counted_for_the_operation() {
    let downloads = Downloads::start().await;
    let [_, ours] = downloads.both(&Method::GET, "initrd", &[]).await;
    let whole = ours.2.len() as u64;
    let counted = async {
        // The last bytes reach the client a moment before they are counted.
        loop {
            let all = downloads.lab.server.app().downloads.all();
            let counted: Vec<_> = all.values().map(|download| (download.bytes, download.total)).collect();
            if counted == [(whole, whole)] {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), counted).await.expect("all of it is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_the_server_stops() {
    let downloads = Downloads::start().await;
    let idle = TcpStream::connect(downloads.address).await.expect("a connection");
    downloads.stop.send(true).expect("a listener that listens");
    downloads.serving.await.expect("a clean end");
    drop(idle);
    assert!(TcpStream::connect(downloads.address).await.is_err(), "the port is closed");
}
