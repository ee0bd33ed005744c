//! Webhooks out, to a real receiver on loopback: signed, in order, not lost while it is down or the server restarts.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::memory::{MemoryBookmarks, MemoryStore};
use provisioning_core::model::Secret;
use provisioning_server::http::auth::{Access, TokenDigest};
use provisioning_server::notify::{EventName, Notify, Patience, Target, signature};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::lab::{Lab, TOKEN};
use crate::receiver::{Manner, Received, Receiver};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Tries follow each other fast, so that tests do.
const IMPATIENT: Patience = Patience { first: Duration::from_millis(5), longest: Duration::from_millis(20) };

fn target(receiver: &Receiver, events: &[EventName]) -> Target {
    Target {
        name: "chat".to_owned(),
        url: Secret::new(receiver.url("/hook/t0ken")),
        events: events.to_vec(),
        secret: Secret::new(SECRET.to_owned()),
        give_up_after: Duration::from_secs(3600),
        ca_pem: None,
    }
}

/// What outlives a server.
#[derive(Clone, Default)]
struct Disk {
    store: MemoryStore,
    bookmarks: MemoryBookmarks,
}

impl Disk {
    async fn start(&self, targets: Vec<Target>) -> Lab {
        let notify = Notify::new(targets, Arc::new(self.bookmarks.clone()), IMPATIENT).unwrap();
        let access = Access::Token(TokenDigest::of(TOKEN));
        let lab = Lab::start_telling(access, self.store.clone(), notify).await;
        // A target is told of what happens after its bookmark was made.
        while self.bookmarked().await.is_none() {
            tokio::task::yield_now().await;
        }
        lab
    }

    async fn bookmarked(&self) -> Option<u64> {
        use provisioning_core::ports::Bookmarks as _;

        self.bookmarks.place("chat").await.unwrap()
    }
}

async fn register(lab: &Lab, n: u8) -> String {
    lab.host(&format!("pve-{n:02}"), &format!("52:54:00:00:00:{n:02x}")).await
}

fn names(told: &[Received]) -> Vec<&str> {
    told.iter().map(|message| message.body["host"]["hostname"].as_str().unwrap()).collect()
}

async fn status(lab: &Lab) -> Value {
    lab.get("/api/notify").await.body["targets"][0].clone()
}

#[tokio::test]
async fn chosen_events_arrive_once_in_order_and_signed() {
    let mut receiver = Receiver::start(Manner::Takes).await;
    let lab = Disk::default().start(vec![target(&receiver, &[EventName::Registered, EventName::Failed])]).await;
    let host = register(&lab, 1).await;
    lab.armed(&host, "52:54:00:00:00:01").await;
    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    register(&lab, 2).await;
    let told = receiver.take(3).await;
    let events: Vec<&str> = told.iter().map(|message| message.body["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["registered", "failed", "registered"], "and not that it was started");
    assert_eq!(names(&told), ["pve-01", "pve-01", "pve-02"]);
    for message in &told {
        let secret = Secret::new(SECRET.to_owned());
        let expected = signature(&secret, &message.id, message.timestamp, message.text.as_bytes());
        assert_eq!(message.signature, expected);
        assert_eq!(message.id, message.body["id"].to_string(), "the id is the journal's place");
        assert_eq!(message.body["entry"]["seq"], message.body["id"]);
    }
    assert_eq!(told[1].body["host"]["url"], format!("{}/hosts/{host}", lab.base));
}

#[tokio::test]
async fn a_target_that_was_down_gets_everything_in_order_when_it_is_back() {
    let mut receiver = Receiver::start(Manner::Fails).await;
    let lab = Disk::default().start(vec![target(&receiver, &[EventName::Registered])]).await;
    for n in 1..=3 {
        register(&lab, n).await;
    }
    receiver.tries(3).await;
    let failing = status(&lab).await;
    assert_eq!((&failing["backlog"], &failing["last_error"]), (&json!(3), &json!("it answered with status 500")));
    assert!(failing["attempts"].as_u64().unwrap() >= 2 && failing["next_try_at"].is_string(), "{failing}");
    assert!(!failing.to_string().contains("t0ken"), "the path may be a secret: {failing}");
    receiver.now(Manner::Takes);
    let told = receiver.take(3).await;
    assert_eq!(names(&told), ["pve-01", "pve-02", "pve-03"]);
    let mut healed = status(&lab).await;
    while healed["backlog"] != 0 {
        healed = status(&lab).await;
    }
    assert!(healed["last_success_at"].is_string() && healed["attempts"] == 0, "{healed}");
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped_and_tells_nothing_anew() {
    let disk = Disk::default();
    let mut receiver = Receiver::start(Manner::Takes).await;
    let targets = || vec![target(&receiver, &[EventName::Registered])];
    let lab = disk.start(targets()).await;
    register(&lab, 1).await;
    let lab_before = lab;
    let targets_after = targets();
    assert_eq!(names(&receiver.take(1).await), ["pve-01"]);
    while disk.bookmarked().await != Some(1) {
        tokio::task::yield_now().await;
    }
    receiver.now(Manner::Fails);
    register(&lab_before, 2).await;
    receiver.tries(2).await;
    lab_before.server.until(async {}).await.unwrap();
    receiver.now(Manner::Takes);
    let lab = disk.start(targets_after).await;
    register(&lab, 3).await;
    assert_eq!(names(&receiver.take(2).await), ["pve-02", "pve-03"]);
}

#[tokio::test]
async fn a_slow_target_delays_neither_the_server_nor_another_target() {
    let mut quick = Receiver::start(Manner::Takes).await;
    let slow = Receiver::start(Manner::Sleeps).await;
    let other = Target { name: "pager".to_owned(), ..target(&slow, &[EventName::Registered]) };
    let lab = Disk::default().start(vec![target(&quick, &[EventName::Registered]), other]).await;
    for n in 1..=3 {
        register(&lab, n).await;
    }
    assert_eq!(names(&quick.take(3).await), ["pve-01", "pve-02", "pve-03"]);
}

#[tokio::test]
async fn what_is_too_old_is_dropped_and_the_journal_says_so_once() {
    let receiver = Receiver::start(Manner::Fails).await;
    let impatient = Target { give_up_after: Duration::from_millis(1), ..target(&receiver, &[EventName::Registered]) };
    let lab = Disk::default().start(vec![impatient]).await;
    for n in 1..=3 {
        register(&lab, n).await;
    }
    while status(&lab).await["dropped"] != 3 {
        tokio::task::yield_now().await;
    }
    let journal = lab.get("/api/events").await.body["entries"].to_string();
    assert_eq!(journal.matches("has not taken event").count(), 1, "{journal}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mut elsewhere = Receiver::start(Manner::Takes).await;
    let receiver = Receiver::start(Manner::Redirects(elsewhere.url("/"))).await;
    let lab = Disk::default().start(vec![target(&receiver, &[EventName::Registered])]).await;
    register(&lab, 1).await;
    receiver.tries(2).await;
    assert_eq!(status(&lab).await["last_error"], "it answered with status 307");
    assert!(elsewhere.is_idle(), "nobody was sent there");
}

#[tokio::test]
async fn a_test_message_says_whether_it_arrived() {
    let mut receiver = Receiver::start(Manner::Takes).await;
    let lab = Disk::default().start(vec![target(&receiver, &[EventName::Ready])]).await;
    let sent = lab.post("/api/notify/test", &json!({ "target": "chat" })).await;
    assert_eq!(sent.body["results"], json!([{ "target": "chat", "delivered": true, "status": 200, "error": null }]));
    assert_eq!(receiver.take(1).await[0].body["event"], "test");
    receiver.now(Manner::Fails);
    let sent = lab.post("/api/notify/test", &json!({})).await;
    assert_eq!((sent.status, &sent.body["results"][0]["delivered"]), (StatusCode::OK, &json!(false)));
    assert_eq!(sent.body["results"][0]["error"], "it answered with status 500");
    let nobody = lab.post("/api/notify/test", &json!({ "target": "nobody" })).await;
    nobody.is_problem(404, "no-such-target", Some("target"));
    lab.send(lab.request(Method::POST, "/api/notify/test")).await.is_problem(401, "not-authenticated", None);
}

#[tokio::test]
async fn a_target_whose_address_is_none_is_refused_at_the_start() {
    let receiver = Receiver::start(Manner::Takes).await;
    for url in ["ftp://x/", "nowhere", "http://"] {
        let bad = Target { url: Secret::new(url.to_owned()), ..target(&receiver, &[]) };
        let refused = Notify::new(vec![bad], Arc::new(MemoryBookmarks::default()), IMPATIENT);
        assert!(refused.is_err(), "{url}");
    }
}
