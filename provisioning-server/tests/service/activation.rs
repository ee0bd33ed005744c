//! Sockets that somebody else has opened: taken by name and by address, over TLS, and refused where they do not fit.

use std::net::TcpListener;
use std::process::Stdio;

use nix::sys::signal::Signal;
use reqwest::{Client, StatusCode};

use crate::site::{Site, one_shot};

#[tokio::test]
async fn systemds_own_socket_starts_the_server_with_the_first_request() {
    let mut site = Site::on_a_free_port();
    let address = site.address.to_string();
    let command = site.serve_by(&["systemd-socket-activate", "--listen", &address, "--fdname", "main"]);
    site.run(command);
    site.says("Listening on").await;
    // Nothing runs yet; this request waits for all of the start.
    let answer = one_shot().get(site.url("/healthz")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(site.log().contains("took the socket that the service manager keeps open"), "{}", site.log());
    assert!(site.end(Signal::SIGTERM).await.success());
}

#[tokio::test]
async fn a_kept_socket_is_served_over_tls_too() {
    let mut site = Site::on_a_kept_socket();
    site.configure("  tls:\n    self_signed: true\n", "");
    site.start();
    let client = Client::builder().danger_accept_invalid_certs(true).build().unwrap();
    let answer = client.get(format!("https://{}/healthz", site.address)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_socket_at_another_address_than_the_configurations_is_refused_with_both() {
    let mut site = Site::on_a_kept_socket();
    let opened = site.address;
    site.address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    site.configure("", "");
    site.start();
    assert!(!site.ended().await.success());
    let said = site.log();
    let wanted = format!("server.listen is {} in the configuration", site.address);
    assert!(said.contains(&wanted) && said.contains(&format!("opened {opened} for it")), "{said}");
    // Without a name it is told by its address, and then nothing is served there.
    let mut command = site.serve();
    command.env_remove("LISTEN_FDNAMES");
    site.run(command);
    assert!(!site.ended().await.success());
    assert!(site.log().contains(&format!("opened {opened} (socket unknown), where nothing is configured")));
}

#[tokio::test]
async fn what_is_not_a_listening_socket_is_refused() {
    let mut site = Site::on_a_kept_socket();
    let mut command = site.serve();
    command.stdin(Stdio::null());
    site.run(command);
    assert!(!site.ended().await.success());
    let said = site.log();
    assert!(said.contains("the socket main of the service manager is not a TCP socket that listens"), "{said}");
}
