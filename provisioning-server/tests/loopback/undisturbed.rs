//! A fleet before a server that is left in peace: all ready, and nothing secret left behind.

use std::time::Duration;

use provisioning_core::machine::Phase;
use provisioning_core::model::Release;
use provisioning_sim::real::fleet::Fleet;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::history::{self, History};
use crate::journal::Journal;
use crate::logged;
use crate::server::{FleetSize, Server};
use crate::traces::{SealedKeys, search};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_comes_to_ready_and_no_secret_stays_behind() {
    let hosts = 4;
    let (mut server, options) = Server::configured(FleetSize { hosts, seed: 311, release: Release::new(9, 2) });
    let mut journal = Journal::of(&server);
    server.start();
    // Nobody listens to the machines here.
    let mut fleet = Fleet::new(options, unbounded_channel().0).unwrap();
    let (summary, ()) = tokio::join!(fleet.run(), until_quiet(&mut journal, &mut server, hosts));
    assert_eq!(summary.unwrap().to_string(), "4 ready, 0 failed");

    server.kill();
    let found = history::check(&server, journal.entries()).await;
    assert!(found.hosts.iter().all(|record| record.state.phase() == Phase::Ready));
    search(&server, &SealedKeys::default(), &found.tokens());
    logged::check(&server, &found);
    tokens_open_nothing(&mut server, &found).await;
}

async fn until_quiet(journal: &mut Journal, server: &mut Server, hosts: u16) {
    let quiet = async {
        while !journal.is_quiet(hosts) {
            journal.next(server).await;
        }
    };
    timeout(Duration::from_secs(200), quiet).await.expect("all hosts come to their end");
}

/// What was handed out in a life opens nothing after it, and what machines tell late is taken without effect.
async fn tokens_open_nothing(server: &mut Server, found: &History) {
    server.start();
    let mut journal = Journal::of(server);
    // The server answers as soon as it tells its journal.
    timeout(Duration::from_secs(60), journal.next(server)).await.expect("it starts again");
    let client = Client::builder().no_proxy().build().unwrap();
    for operation in &found.operations {
        let (token, host) = (operation.token.expose(), operation.host);
        let refused = [
            (Method::GET, format!("/boot/{token}/vmlinuz")),
            (Method::GET, format!("/boot/{token}/initrd")),
            (Method::GET, format!("/boot/{token}/proxmox-auto.iso")),
            (Method::GET, format!("/api/hosts/{host}/first-boot-script?token={token}")),
            (Method::POST, format!("/api/boot/answer?token={token}")),
            (Method::GET, format!("/api/hosts/{host}")),
        ];
        for (method, path) in refused {
            let request = client.request(method, format!("{}{path}", server.base()));
            let response = request.bearer_auth(&token).json(&json!({})).send().await.unwrap();
            let (status, body) = (response.status(), response.text().await.unwrap());
            assert!(status.is_client_error(), "{path}: {status} {body}");
            assert!(!body.contains(&token), "{path} repeats the token");
        }
        for report in ["installed", "phone-home"] {
            let url = format!("{}/api/hosts/{host}/{report}?token={token}", server.base());
            let status = client.post(url).json(&Value::Null).send().await.unwrap().status();
            assert_eq!(status, 200, "a machine is never refused");
        }
    }
    server.kill();
    search(server, &SealedKeys::default(), &found.tokens());
}
