//! Connections that say nothing, or say it slowly.

use std::time::Duration;

use provisioning_server::http::auth::Access;
use provisioning_server::http::auth::TokenDigest;
use provisioning_server::http::census::ConnectionLimits;
use reqwest::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::lab::{Lab, TOKEN};
use crate::raw;

/// Heads that are never finished, and bodies that never come.
async fn opened(lab: &Lab, heads: usize, bodies: usize) -> Vec<TcpStream> {
    let mut open = vec![];
    for number in 0..heads + bodies {
        let mut stream = raw::connect(lab).await;
        let begin: &[u8] = if number < heads {
            b"GET /api/hosts HTTP/1.1\r\nhost: a\r\nx-slow: "
        } else {
            b"POST /login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{"
        };
        // With few places the first ones may be sent away meanwhile.
        stream.write_all(begin).await.ok();
        open.push(stream);
    }
    open
}

/// Every request of a client that opens a connection for each is answered.
async fn is_served(lab: &Lab) {
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    for _ in 0..50 {
        let request = client.get(format!("{}/api/hosts", lab.base)).bearer_auth(TOKEN);
        let answer = timeout(Duration::from_secs(60), request.send()).await.expect("it is answered").unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn hundreds_of_slow_connections_leave_the_service_unharmed() {
    let lab = Lab::start().await;
    let mut open = opened(&lab, 250, 50).await;
    is_served(&lab).await;
    // They are slow, and not refused: a head may take its time.
    let mut slow = open.swap_remove(0);
    slow.write_all(b"1\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut said = String::new();
    slow.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
    is_served(&lab).await;
}

#[tokio::test]
async fn when_all_places_are_taken_those_who_say_nothing_give_way() {
    let limits = ConnectionLimits::of_total(64);
    let lab = Lab::start_limited(Access::Token(TokenDigest::of(TOKEN)), limits).await;
    let open = opened(&lab, 230, 10).await;
    is_served(&lab).await;
    let mut sent_away = 0;
    for mut stream in open {
        // Whoever was sent away sees the end; the others see nothing yet.
        let ended = timeout(Duration::from_millis(1), stream.read(&mut [0; 1])).await;
        sent_away += usize::from(matches!(ended, Ok(Ok(0) | Err(_))));
    }
    assert!(sent_away >= 230 - 64, "{sent_away} gave way");
}
