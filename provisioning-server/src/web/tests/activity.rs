//! The activity page.

use axum::http::StatusCode;
use provisioning_core::machine::{FailureReason, HostState, Leg};
use provisioning_core::model::HostId;

use super::lab::Lab;
use super::{get, part};

async fn lab() -> Lab {
    let lab = Lab::new();
    lab.image("proxmox-ve_9.2-1").await;
    lab.host(1, HostState::Registered).await;
    lab.host(4, lab.in_leg(4, Leg::Installing, Some(60))).await;
    lab.host(5, lab.failed(5, FailureReason::KeyLost)).await;
    lab
}

/// The words of the lines that are shown, the first one first.
fn shown(text: &str) -> Vec<String> {
    let words = text.split(r#"<span class="text">"#).skip(1);
    words.map(|rest| rest.split("</span>").next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn the_journal_is_told_with_the_latest_first_and_each_line_leads_to_its_host() {
    let text = get(&lab().await, "/activity").await.text;
    let found = shown(&text);
    assert_eq!(found.first().map(String::as_str), Some("Failed: its time ran out"));
    assert_eq!(found.last().map(String::as_str), Some("Image proxmox-ve_9.2-1 (Proxmox VE 9.2) was imported"));
    assert!(text.contains(r#"<a href="/hosts/pve-05?operation=05050505-"#), "{text}");
    assert!(text.contains(r#"<time datetime="2026-11-23T11:58:00.000Z" title="2026-11-23T11:58:00.000Z">"#));
    assert!(text.contains(r#"<span class="source from-firmware">firmware</span>"#));
}

#[tokio::test]
async fn a_filter_leaves_what_fits_and_stands_in_its_form_again() {
    let lab = lab().await;
    let of_host = get(&lab, "/activity?host=pve-04").await.text;
    assert!(shown(&of_host).contains(&"pve-04 was registered".to_owned()));
    assert!(!of_host.contains("/hosts/pve-05"));
    assert!(of_host.contains(r#"name="host" value="pve-04""#));
    let failures = get(&lab, "/activity?kind=failures").await.text;
    assert_eq!(shown(&failures), ["Failed: its time ran out"]);
    assert!(failures.contains(r#"<option value="failures" selected>"#));
    let installer = get(&lab, "/activity?source=installer&text=ANSWER&host=pve-04").await.text;
    assert_eq!(shown(&installer), ["The installer fetched its answer file"]);
    let none = get(&lab, "/activity?text=%3Cb%3Enothing%3C/b%3E").await.text;
    assert!(none.contains("Nothing that fits") && !none.contains("<b>nothing"), "{none}");
}

#[tokio::test]
async fn times_leave_out_what_was_before_and_after_them() {
    let lab = lab().await;
    let hour = get(&lab, "/activity?host=pve-05&from=2026-11-23T11:40&to=2026-11-23T11:45").await.text;
    let expected = [
        "The installer fetched its answer file",
        "Fetched its boot script",
        "Rebuild started: the host is armed for its next netboot",
    ];
    assert_eq!(shown(&hour), expected);
    assert!(!hour.contains("data-is-live"), "what ends in the past has no news");
    assert!(get(&lab, "/activity").await.text.contains("data-is-live"));
}

#[tokio::test]
async fn a_host_that_is_not_there_is_said_to_be_so() {
    let answer = get(&lab().await, "/activity?host=pve-99").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("No host with the id or name “pve-99” is registered"));
    assert_eq!(shown(&answer.text), [""; 0]);
}

#[tokio::test]
async fn a_removed_hosts_past_is_found_by_its_id() {
    let lab = lab().await;
    let id = HostId::from_bytes([1; 16]);
    lab.orchestrator.remove(id, None).await.unwrap();
    let text = get(&lab, &format!("/activity?host={id}")).await.text;
    assert_eq!(shown(&text), ["pve-01 was removed", "pve-01 was registered"]);
    assert!(!text.contains(r#"href="/hosts/pve-01"#) && text.contains("removed host 010101010101"), "{text}");
}

#[tokio::test]
async fn pages_go_back_to_the_first_entry_and_forward_to_the_last() {
    let lab = lab().await;
    lab.warnings(1, (0..450).map(|n| format!("line {n}"))).await;
    let mut path = "/activity?kind=warnings".to_owned();
    let mut seen = vec![];
    let mut last = String::new();
    for page in 0.. {
        assert!(page < 10, "the pages have no end");
        let text = get(&lab, &path).await.text;
        seen.extend(shown(&text));
        last.clone_from(&path);
        match text.split_once(r#"" rel="next">"#) {
            Some((before, _)) => path = before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..450).rev().map(|n| format!("Warning: line {n}")).collect();
    assert_eq!(seen, expected);
    let oldest = get(&lab, &last).await.text;
    let newer =
        oldest.split_once(r#"" rel="prev">"#).unwrap().0.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&");
    let back = shown(&get(&lab, &newer).await.text);
    assert_eq!(back.len(), 100);
    assert_eq!(back.last().map(String::as_str), Some("Warning: line 50"));
}

#[tokio::test]
async fn the_fragment_tells_what_came_since() {
    let lab = lab().await;
    let seq = lab.orchestrator.store().last_seq().await.unwrap();
    lab.warnings(1, ["late".to_owned()].into_iter()).await;
    let news = get(&lab, &format!("/fragments/activity?after={seq}")).await.text;
    assert_eq!(shown(&news), ["Warning: late"]);
    assert!(part(&news, "<li ", ">").contains(&format!(r#"data-seq="{}""#, seq + 1)));
    assert_eq!(shown(&get(&lab, &format!("/fragments/activity?kind=images&after={seq}")).await.text), [""; 0]);
}
