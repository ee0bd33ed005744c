//! `GET /api/events`: the journal as JSON, held until there is news.

use std::time::{Duration, Instant};

use provisioning_core::ports::{Happening, NewEntry, Prune, Source};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::lab::{Lab, TOKEN};

#[tokio::test]
async fn the_journal_is_read_on_without_gap_or_repeat() {
    let lab = Lab::start().await;
    for n in 1..=5 {
        lab.host(&format!("pve-{n:02}"), &format!("52:54:00:00:00:{n:02x}")).await;
    }
    let (mut after, mut seen) = (json!(0), vec![]);
    loop {
        let page = lab.get(&format!("/api/events?after={after}&limit=2")).await.body;
        let entries = page["entries"].as_array().unwrap();
        if entries.is_empty() {
            assert_eq!(page["next"], after);
            break;
        }
        seen.extend(entries.iter().map(|entry| entry["seq"].as_u64().unwrap()));
        after = page["next"].clone();
    }
    // Each registration is an entry, and so is who asked for it.
    assert_eq!(seen, (1..=10).collect::<Vec<u64>>());
    let one = lab.get("/api/events?host=pve-03").await.body;
    assert_eq!((&one["entries"][0]["seq"], &one["next"]), (&json!(5), &json!(10)), "all ten were looked at");
    assert_eq!(lab.journal("pve-03").await, one["entries"].to_string());
}

#[tokio::test]
async fn a_held_request_is_answered_by_the_next_entry() {
    let lab = Lab::start().await;
    lab.host("pve-01", "52:54:00:00:00:01").await;
    let held = lab.get("/api/events?after=2&wait=30");
    let (answer, _) = tokio::join!(held, lab.host("pve-02", "52:54:00:00:00:02"));
    assert_eq!(answer.body["entries"][0]["what"], json!({ "kind": "host_registered", "name": "pve-02" }));
}

#[tokio::test]
async fn a_held_request_without_news_is_answered_in_time_and_one_about_another_host_sleeps_on() {
    let lab = Lab::start().await;
    lab.host("pve-01", "52:54:00:00:00:01").await;
    let begun = Instant::now();
    let held = lab.get("/api/events?after=2&host=pve-01&wait=1");
    let (answer, _) = tokio::join!(held, lab.host("pve-02", "52:54:00:00:00:02"));
    assert_eq!((&answer.body["entries"], &answer.body["next"]), (&json!([]), &json!(4)));
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waited");
}

#[tokio::test]
async fn a_held_request_ends_when_the_server_stops() {
    let lab = Lab::start().await;
    let open = lab.request(Method::GET, "/api/events?wait=30").bearer_auth(TOKEN).send();
    let stop = lab.server.until(async {
        let mut probe = lab.client.get(format!("{}/readyz", lab.base)).send().await;
        while probe.is_err() {
            probe = lab.client.get(format!("{}/readyz", lab.base)).send().await;
        }
    });
    let begun = Instant::now();
    let (answer, stopped) = tokio::join!(open, stop);
    stopped.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    if let Ok(answer) = answer {
        assert_eq!(answer.json::<Value>().await.unwrap()["entries"], json!([]));
    }
}

#[tokio::test]
async fn a_reader_of_another_database_is_told_to_load_anew() {
    let lab = Lab::start().await;
    lab.host("pve-01", "52:54:00:00:00:01").await;
    let page = lab.get("/api/events?after=99&wait=30").await.body;
    assert_eq!((&page["reset"], &page["next"]), (&json!(true), &json!(2)));
    lab.get("/api/events?wait=31").await.is_problem(422, "invalid-fields", Some("wait"));
    lab.get("/api/events?host=nobody").await.is_problem(404, "no-such-host", None);
    lab.get("/api/events?operation=nothing").await.is_problem(404, "no-such-operation", None);
}

#[tokio::test]
async fn a_reader_that_was_away_for_too_long_is_told_to_load_anew() {
    let lab = Lab::start().await;
    for n in 1..=3 {
        lab.host(&format!("pve-{n:02}"), &format!("52:54:00:00:00:{n:02x}")).await;
    }
    let orchestrator = &lab.server.app().orchestrator;
    let later = orchestrator.now() + Duration::from_secs(60);
    let prune = Prune { journal_before: Some(later), artefacts_before: None, at_most: 4 };
    assert_eq!(orchestrator.store().prune(&prune).await.unwrap().entries, 4);
    let page = lab.get("/api/events?after=2").await.body;
    assert_eq!((&page["reset"], &page["next"], &page["entries"]), (&json!(true), &json!(6), &json!([])));
    for (after, expected) in [(0, 2), (4, 2), (5, 1)] {
        let page = lab.get(&format!("/api/events?after={after}")).await.body;
        assert_eq!((&page["reset"], page["entries"].as_array().unwrap().len()), (&json!(false), expected), "{after}");
    }
    let behind = lab.request(Method::GET, "/events").bearer_auth(TOKEN).header("last-event-id", "2");
    let hello = behind.send().await.unwrap().chunk().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&hello).unwrap().contains("event: reset"), "{hello:?}");
}

#[tokio::test]
async fn whoever_asks_for_a_stream_gets_one() {
    let lab = Lab::start().await;
    lab.host("pve-01", "52:54:00:00:00:01").await;
    let request = lab.request(Method::GET, "/api/events?after=0").bearer_auth(TOKEN);
    let mut stream = request.header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while !text.contains("id: 1\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn a_stream_that_asks_for_the_fleet_is_told_each_change_of_it_also_without_an_entry() {
    let lab = Lab::start().await;
    let mut stream = lab.request(Method::GET, "/events?fleet=true").bearer_auth(TOKEN).send().await.unwrap();
    let mut text = String::new();
    let mut until = async |wanted: &str| {
        while !text.contains(wanted) {
            text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        }
    };
    until("event: fleet").await;
    let app = lab.server.app();
    for fault in ["the first fault", "the second fault", "the third fault"] {
        *app.server_type_faults.write().unwrap() = vec![fault.to_owned()];
        app.board.recount(app.orchestrator.store()).await;
        tokio::time::timeout(Duration::from_secs(20), until(fault)).await.expect(fault);
    }
    lab.host("pve-01", "52:54:00:00:00:01").await;
    tokio::time::timeout(Duration::from_secs(20), until("\"registered\":1")).await.unwrap();
}

/// Reads a stream until an entry of this place has come; the places of all entries in the order in which they came.
async fn ids_until(mut stream: reqwest::Response, last: u64) -> Vec<u64> {
    let (mut text, end) = (String::new(), format!("id: {last}\n"));
    while !text.contains(&end) {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("the stream goes on")).unwrap());
    }
    text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
}

#[tokio::test]
async fn every_subscriber_gets_every_entry_once_and_in_order_wherever_it_began() {
    const HOSTS: u64 = 60;
    let lab = Lab::start().await;
    let open = |after: u64| lab.request(Method::GET, &format!("/events?after={after}")).bearer_auth(TOKEN).send();
    let mut readers = tokio::task::JoinSet::new();
    for n in 1..=HOSTS {
        lab.host(&format!("pve-{n:02}"), &format!("52:54:00:00:00:{n:02x}")).await;
        // One from the start, one from here on, one from somewhere between: while entries come and pieces are made.
        for after in [0, 2 * n, n] {
            let stream = open(after).await.unwrap();
            readers.spawn(async move { (after, ids_until(stream, 2 * HOSTS + 2).await) });
        }
    }
    lab.host("pve-last", "52:54:00:00:01:00").await;
    for (after, ids) in readers.join_all().await {
        assert_eq!(ids, (after + 1..=2 * HOSTS + 2).collect::<Vec<u64>>(), "behind {after}");
    }
}

#[tokio::test]
async fn a_subscriber_that_is_slow_to_read_misses_nothing() {
    const BURST: usize = 20_000;
    let lab = Lab::start().await;
    // A connection that buffers little, so that the server soon has to wait for its reader.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(lab.server.address()).await.unwrap();
    let request =
        format!("GET /events?after=0&fleet=true HTTP/1.1\r\nhost: lab\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    let what = Happening::HostRegistered { name: "pve-01".parse().unwrap() };
    let at = lab.server.app().orchestrator.now();
    let entry = NewEntry { at, host: None, operation: None, source: Source::Operator, what };
    // Far more than is kept for those who are slow.
    lab.server.app().orchestrator.store().append(vec![entry; BURST]).await.unwrap();
    lab.host("pve-02", "52:54:00:00:00:02").await;
    let last = BURST as u64 + 2;
    let (mut text, end) = (String::new(), format!("id: {last}\n"));
    let mut chunk = vec![0; 64 << 10];
    while !text[text.len().saturating_sub(2 * chunk.len())..].contains(&end) {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the stream ended");
        text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
    }
    let ids: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert_eq!(ids, (1..=last).collect::<Vec<u64>>());
    assert!(text.contains("event: fleet"));
}
