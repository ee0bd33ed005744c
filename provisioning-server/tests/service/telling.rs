//! What the service manager is told, and when.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use provisioning_core::ports::{BootPlan, BootServer, BootServerError};
use provisioning_server::systemd::{Notifier, attend};
use reqwest::{Method, StatusCode};
use tokio::time::timeout;

use crate::lab::Lab;
use crate::site::{PATIENCE, Site, one_shot};

/// Reads what was told, message by message, until one begins like this; all until then.
async fn until(manager: &tokio::net::UnixDatagram, begins: &str) -> Vec<String> {
    let mut said: Vec<String> = vec![];
    let reading = async {
        loop {
            let mut bytes = [0; 2048];
            let read = manager.recv(&mut bytes).await.unwrap();
            said.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
            if said.last().is_some_and(|last| last.starts_with(begins)) {
                return;
            }
        }
    };
    let heard = timeout(PATIENCE, reading).await;
    assert!(heard.is_ok(), "{begins:?} is not said: {said:?}");
    said
}

#[tokio::test]
async fn the_manager_hears_of_readiness_life_reload_and_stop() {
    let mut site = Site::on_a_free_port();
    let path = site.path().join("notify");
    let manager = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut command = site.serve();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
    site.run(command);
    let before = until(&manager, "READY=1").await;
    assert!(!before.iter().any(|said| said.starts_with("WATCHDOG")), "{before:?}");
    // Ready means that it serves.
    assert_eq!(one_shot().get(site.url("/healthz")).send().await.unwrap().status(), StatusCode::OK);
    until(&manager, "WATCHDOG=1").await;
    let status = until(&manager, "STATUS=").await.pop().unwrap();
    assert_eq!(
        status,
        "STATUS=serving, not ready: no image was imported: no host can be installed; hosts: no host was asked for"
    );
    until(&manager, "WATCHDOG=1").await;
    site.signal(Signal::SIGHUP);
    let reload = until(&manager, "RELOADING=1").await.pop().unwrap();
    assert!(reload.contains("\nMONOTONIC_USEC="), "{reload}");
    until(&manager, "READY=1").await;
    site.signal(Signal::SIGTERM);
    until(&manager, "STOPPING=1").await;
    assert!(site.ended().await.success());
}

/// A boot server that never takes a plan, nor refuses it.
#[derive(Debug)]
struct Hung;

#[async_trait]
impl BootServer for Hung {
    async fn apply(&self, _: &BootPlan) -> Result<(), BootServerError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_server_that_has_just_begun_is_alive_before_its_first_turn_has_ended() {
    let lab = Lab::start_with_boot_server(Arc::new(Hung)).await;
    assert_eq!(lab.send(lab.request(Method::GET, "/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_loop_that_hangs_gives_no_sign_of_life() {
    let lab = Lab::start_with_boot_server(Arc::new(Hung)).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let manager = tokio::net::UnixDatagram::from_std(manager).unwrap();
    let notifier = Notifier::to(path.as_os_str()).unwrap();
    let attending = tokio::spawn(attend(notifier, Some(Duration::from_millis(200)), Arc::clone(lab.server.app())));
    let said = until(&manager, "STATUS=stuck").await;
    assert!(!said.iter().any(|said| said.starts_with("WATCHDOG")), "{said:?}");
    attending.abort();
    let ready = lab.get("/readyz").await;
    let checks = ready.body["checks"].as_array().unwrap();
    let stuck = checks.iter().find(|check| check["name"] == "loop").unwrap();
    assert_eq!((stuck["state"].as_str(), ready.status), (Some("failed"), StatusCode::SERVICE_UNAVAILABLE));
    let alive = lab.send(lab.request(Method::GET, "/healthz")).await;
    alive.is_problem(503, "try-later", None);
}
