//! A fleet before a server that speaks TLS: firmware boots over plain HTTP from a door of its own, and everything behind
//! it goes over TLS to the one certificate that the machines were told of.

use std::time::Duration;

use provisioning_core::model::Release;
use provisioning_sim::real::fleet::{Fleet, FleetOptions};
use reqwest::{Certificate, Client};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{interval, timeout};

use crate::server::{FleetSize, Server, TOKEN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_comes_to_ready_over_tls_and_trusts_one_certificate() {
    // One release that is asked for the pin in snake case, and one in kebab case.
    for (release, seed) in [(Release::new(9, 2), 411), (Release::new(8, 4), 412)] {
        let (mut server, mut options) = Server::configured(FleetSize { hosts: 2, seed, release });
        server.over_tls(&mut options);
        server.start();
        options.ca_pem = Some(certificate(&mut server).await);
        let boot = options.boot_server.clone().unwrap();
        firmwares_door_is_for_firmware(&mut server, &boot, &options).await;
        // Nobody listens to the machines here.
        let mut fleet = Fleet::new(options, unbounded_channel().0).unwrap();
        assert_eq!(fleet.run().await.unwrap().to_string(), "2 ready, 0 failed", "release {release}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_certificate_is_shown_when_its_file_changes_and_a_bad_one_is_not() {
    let (mut server, mut options) = Server::configured(FleetSize { hosts: 1, seed: 413, release: Release::new(9, 2) });
    server.over_tls(&mut options);
    server.start();
    let first = certificate(&mut server).await;
    until_served(&mut server, &first).await;
    let file = server.data().join("tls/self-signed.pem");
    std::fs::write(&file, "no certificate").unwrap();
    server.hang_up();
    until_logged(&server, "kept the certificate as it was").await;
    until_served(&mut server, &first).await;

    let host = server.base().trim_start_matches("https://").split(':').next().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed([host]).unwrap();
    std::fs::write(&file, format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem())).unwrap();
    server.hang_up();
    until_served(&mut server, &made.cert.pem()).await;
}

async fn until_logged(server: &Server, line: &str) {
    let mut looks = interval(Duration::from_millis(50));
    let said = async {
        while !tokio::fs::read_to_string(server.log()).await.is_ok_and(|log| log.contains(line)) {
            looks.tick().await;
        }
    };
    timeout(Duration::from_secs(60), said).await.expect("the server says so");
}

/// The certificate that the server has made for itself, once it is there.
async fn certificate(server: &mut Server) -> String {
    let path = server.data().join("tls/cert.pem");
    let mut looks = interval(Duration::from_millis(50));
    let found = async {
        loop {
            looks.tick().await;
            server.lives();
            if let Ok(pem) = tokio::fs::read_to_string(&path).await {
                return pem;
            }
        }
    };
    timeout(Duration::from_secs(60), found).await.expect("the server makes a certificate")
}

/// Operators' paths are not there at all, so that nobody sends a token in clear; nor does the other door speak HTTP.
async fn firmwares_door_is_for_firmware(server: &mut Server, door: &str, options: &FleetOptions) {
    let client = until_served(server, options.ca_pem.as_ref().unwrap()).await;
    for path in ["/api/hosts", "/", "/login", "/api/boot/answer", "/assets/style.css", "/events"] {
        let answer = client.get(format!("{door}{path}")).bearer_auth(TOKEN).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status == 404 && text.contains(server.base()), "{path}: {status} {text}");
    }
    let script = client.get(format!("{door}/ipxe/52:54:00:99:99:99")).send().await.unwrap();
    assert_eq!(script.status(), 404, "nothing is to be installed on a stranger");
    assert!(script.text().await.unwrap().contains("no-such-host"));
    let in_clear = client.get(server.base().replace("https:", "http:")).send().await;
    assert!(in_clear.is_err(), "{in_clear:?}");
}

/// A client that trusts this certificate alone, once it was served.
async fn until_served(server: &mut Server, pem: &str) -> Client {
    let mut looks = interval(Duration::from_millis(50));
    let answered = async {
        loop {
            looks.tick().await;
            server.lives();
            let trusted = [Certificate::from_pem(pem.as_bytes()).unwrap()];
            let client = Client::builder().no_proxy().tls_certs_only(trusted).build().unwrap();
            let request = client.get(format!("{}/api/hosts", server.base())).bearer_auth(TOKEN);
            if let Ok(answer) = request.send().await {
                assert_eq!(answer.status(), 200);
                return client;
            }
        }
    };
    timeout(Duration::from_secs(60), answered).await.expect("it is served under this certificate")
}
