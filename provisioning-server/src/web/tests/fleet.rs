//! The fleet page and its fragments.

use axum::http::StatusCode;
use provisioning_core::machine::{FailureReason, HostState, JoinStep, Leg};
use provisioning_core::model::HostId;

use super::lab::{Lab, operation_id};
use super::{get, part};

/// A host of each kind that the counters tell apart.
async fn lab() -> Lab {
    let lab = Lab::new();
    lab.image("proxmox-ve_9.2-1").await;
    lab.host(1, HostState::Registered).await;
    lab.host(2, lab.in_leg(2, Leg::PxeReady, None)).await;
    lab.host(3, lab.in_leg(3, Leg::PxeBooted, Some(20))).await;
    lab.host(4, lab.in_leg(4, Leg::Joining(JoinStep::Join), None)).await;
    lab.host(5, lab.failed(5, FailureReason::JoinFailed { said: "<script>alert(1)</script>".to_owned() })).await;
    lab.host(6, lab.ready(6)).await;
    lab
}

fn row(text: &str, number: u8) -> &str {
    part(text, &format!(r#"<tr id="host-{}""#, HostId::from_bytes([number; 16])), "</tr>")
}

fn count(text: &str, group: &str) -> usize {
    let counter = part(text, &format!(r#"href="/?show={group}""#), "</a>");
    part(counter, "<b>", "</b>")[3..].parse().unwrap()
}

#[tokio::test]
async fn an_empty_fleet_says_in_three_steps_how_it_begins() {
    let lab = Lab::new();
    let text = get(&lab, "/").await.text;
    let steps = [
        "provisioning image import FILE",
        "provisioning host add NAME --mac MAC --server-type compute",
        "host rebuild",
    ];
    for step in steps {
        assert!(text.contains(step), "{step} is not in {text}");
    }
    lab.host(1, HostState::Registered).await;
    assert!(!get(&lab, "/").await.text.contains("three steps"));
}

#[tokio::test]
async fn a_tile_says_what_a_host_waits_for_and_how_long() {
    let lab = lab().await;
    let text = get(&lab, "/").await.text;
    assert!(row(&text, 2).contains("waits for the machine to netboot: power it on with network boot first"));
    assert!(row(&text, 3).contains(">2 min of 20 min</span>"));
    assert!(row(&text, 3).contains("<b>40 %</b> 600.0 MB of 1.5 GB"));
    assert!(row(&text, 3).contains(r#"<span class="bar s3" role="img" aria-label="step 3 of 7: Downloading">"#));
    assert!(row(&text, 3).contains(&format!(r#"data-operation="{}""#, operation_id(3))));
    assert!(row(&text, 4).contains("its turn: hosts join the cluster one at a time (place 1)"));
    assert!(row(&text, 5).contains("mend what pvecm complains of"));
}

#[tokio::test]
async fn a_tile_offers_only_what_can_be_done_now() {
    let lab = lab().await;
    let text = get(&lab, "/").await.text;
    let offered = |number| {
        let row = row(&text, number);
        ["rebuild", "cancel", "resume"].map(|action| row.contains(&format!(r#"data-do="{action}""#)))
    };
    assert_eq!(offered(1), [true, false, false]);
    assert_eq!(offered(2), [false, true, false]);
    assert_eq!(offered(5), [true, false, true]);
}

#[tokio::test]
async fn what_others_wrote_stays_text() {
    let text = get(&lab().await, "/").await.text;
    assert!(!text.contains("<b>Compute") && !text.contains("<script>alert"), "{text}");
    assert!(row(&text, 5).contains("alert(1)"));
}

#[tokio::test]
async fn counters_count_all_hosts_whatever_is_shown() {
    let lab = lab().await;
    for path in ["/", "/?show=failed", "/?q=nothing-like-this", "/fragments/hosts?ids="] {
        let text = get(&lab, path).await.text;
        let counts =
            ["all", "needs-you", "waiting", "active", "failed", "ready", "registered"].map(|g| count(&text, g));
        assert_eq!(counts, [6, 2, 1, 2, 1, 1, 1], "{path}");
    }
}

#[tokio::test]
async fn filter_and_search_work_without_scripts() {
    let lab = lab().await;
    let shown = async |path: &str| {
        let text = get(&lab, path).await.text;
        let is_shown = |number: &u8| !row(&text, *number).lines().next().unwrap().ends_with(" hidden>");
        (1..=6).filter(is_shown).collect::<Vec<u8>>()
    };
    assert_eq!(shown("/?show=needs-you").await, [2, 5]);
    assert_eq!(shown("/?show=active").await, [3, 4]);
    assert_eq!(shown("/?show=nonsense").await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(shown("/?q=PVE-03").await, [3]);
    assert_eq!(shown("/?q=02:06").await, [6]);
    assert_eq!(shown("/?show=failed&q=pve-06").await, [] as [u8; 0]);
}

#[tokio::test]
async fn the_search_box_keeps_hostile_words_as_words() {
    let text = get(&lab().await, "/?q=%22%3E%3Cscript%3E").await.text;
    assert!(!text.contains("\"><script>"), "{text}");
}

#[tokio::test]
async fn fragments_are_the_rows_of_the_page_by_the_same_key() {
    let lab = lab().await;
    let page = get(&lab, "/").await.text;
    let ids = [3, 6, 77].map(|number| HostId::from_bytes([number; 16]).to_string()).join(",");
    let fragments = get(&lab, &format!("/fragments/hosts?ids={ids},nonsense")).await.text;
    assert_eq!(fragments.matches("<tr ").count(), 2, "unknown hosts have no row: {fragments}");
    for number in [3, 6] {
        assert_eq!(row(&fragments, number), row(&page, number));
    }
    let one = get(&lab, "/fragments/hosts/pve-06").await.text;
    assert_eq!(row(&one, 6), row(&page, 6));
    assert_eq!(get(&lab, "/fragments/hosts/pve-77").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn too_many_fragments_at_once_are_refused() {
    let lab = Lab::new();
    let ids = |count: u8| (0..count).map(|n| HostId::from_bytes([n; 16]).to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(get(&lab, &format!("/fragments/hosts?ids={}", ids(200))).await.status, StatusCode::OK);
    let answer = get(&lab, &format!("/fragments/hosts?ids={}", ids(201))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("At most 200"));
}

#[tokio::test]
async fn a_page_tells_from_where_its_feed_goes_on() {
    let lab = lab().await;
    let seq = lab.orchestrator.store().last_seq().await.unwrap();
    let text = get(&lab, "/").await.text;
    assert!(seq > 0 && text.contains(&format!(r#"data-seq="{seq}""#)), "{text}");
}
