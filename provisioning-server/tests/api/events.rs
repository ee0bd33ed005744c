//! `GET /api/events`: the journal as JSON, held until there is news.

use std::time::{Duration, Instant};

use provisioning_core::ports::Prune;
use reqwest::Method;
use serde_json::{Value, json};

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
