//! Surroundings that are not as they should be: each has one clear message, and what can be done is done.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::Value;

use crate::site::{Site, TOKEN, one_shot};

/// The line that the program ended with, after a start that must fail.
async fn refusal(site: &mut Site) -> String {
    site.start();
    assert!(!site.ended().await.success());
    let log = site.log();
    let ends = log.lines().filter(|line| line.starts_with("provisioning: ")).count();
    assert_eq!(ends, 1, "one message: {log}");
    log.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_who_has_it_and_what_to_do() {
    let mut site = Site::on_a_free_port();
    let holder = TcpListener::bind(site.address).unwrap();
    let said = refusal(&mut site).await;
    let process = format!("is taken by process {} (", std::process::id());
    assert!(said.contains("server.listen: port") && said.contains(&process), "{said}");
    assert!(said.contains("or choose another port in server.listen"), "{said}");
    drop(holder);
    // Nothing of the failed start is in the way.
    site.start();
    site.says("serving").await;
    assert!(site.end(Signal::SIGTERM).await.success());
}

#[tokio::test]
async fn data_of_another_server_are_left_alone() {
    let mut first = Site::on_a_free_port();
    first.start();
    first.says("serving").await;
    let mut second = Site::on_a_free_port();
    let data = first.path().join("data");
    second.configure("", "");
    let config = std::fs::read_to_string(second.path().join("provisioning.yaml")).unwrap();
    let config = config.replace("data_dir: data", &format!("data_dir: {}", data.display()));
    second.write("provisioning.yaml", &config);
    let said = refusal(&mut second).await;
    assert!(said.contains("another provisioning server uses") && said.contains("stop it first"), "{said}");
    assert_eq!(one_shot().get(first.url("/healthz")).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_is_named_and_left_as_it_is() {
    let mut site = Site::on_a_free_port();
    let data = site.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let key = data.join("vault.key");
    // Root reads everything: a folder in its place is what not even root can read.
    std::fs::create_dir(&key).unwrap();
    let said = refusal(&mut site).await;
    assert!(said.contains("vault.key"), "{said}");
    assert!(key.is_dir(), "nothing took its place");
    std::fs::remove_dir(&key).unwrap();
    std::fs::write(&key, "half a key").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    site.write("log", "");
    let said = refusal(&mut site).await;
    assert!(said.contains("vault.key"), "{said}");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "half a key");
}

/// What `/readyz` tells operators of the boot server.
async fn boot_server(site: &Site) -> Value {
    let answer = one_shot().get(site.url("/readyz")).bearer_auth(TOKEN).send().await.unwrap();
    let report: Value = answer.json().await.unwrap();
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "boot_server").unwrap().clone()
}

#[tokio::test]
async fn without_dnsmasq_everything_else_is_done_and_it_is_told() {
    let mut site = Site::on_a_free_port();
    site.configure("", "pxe:\n  enabled: true\n  interface: lo\n  dnsmasq: /nowhere/dnsmasq\n");
    site.start();
    site.says("serving").await;
    let told = boot_server(&site).await;
    assert_eq!(told["state"], "failed");
    assert!(told["detail"].as_str().unwrap().contains("there is no program /nowhere/dnsmasq: install it"), "{told}");
    // Hosts that have booted already go on: their doors are open.
    let script = one_shot().get(site.url("/ipxe/52:54:00:00:00:01")).send().await.unwrap();
    assert_eq!(script.status(), StatusCode::NOT_FOUND, "an unknown machine is sent on");
    let said = site.log();
    assert_eq!(said.matches("netbooting machines are not answered").count(), 1, "{said}");
    assert!(site.end(Signal::SIGTERM).await.success());
}

#[tokio::test]
async fn a_wrong_interface_is_told_beside_those_that_are_there() {
    let mut site = Site::on_a_free_port();
    site.configure("", "pxe:\n  enabled: true\n  interface: nosuch0\n");
    site.start();
    site.says("no network interface nosuch0; this machine has").await;
    let told = boot_server(&site).await;
    assert!(told["detail"].as_str().unwrap().contains("nosuch0; this machine has "), "{told}");
    assert!(site.end(Signal::SIGTERM).await.success());
}
