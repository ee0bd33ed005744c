//! A host's own page.

use axum::http::StatusCode;
use provisioning_core::machine::{FailureReason, HostState, Leg};
use provisioning_core::model::HostId;

use super::lab::{Lab, operation_id};
use super::{get, part};

async fn lab() -> Lab {
    let lab = Lab::new();
    lab.image("proxmox-ve_9.2-1").await;
    lab.host(1, HostState::Registered).await;
    lab.host(4, lab.in_leg(4, Leg::Installing, Some(60))).await;
    lab.host(5, lab.failed(5, FailureReason::NameTaken { node: "pve-05".to_owned() })).await;
    lab
}

#[tokio::test]
async fn a_host_is_found_by_id_and_by_name() {
    let lab = lab().await;
    let by_name = get(&lab, "/hosts/pve-04").await;
    let by_id = get(&lab, &format!("/hosts/{}", HostId::from_bytes([4; 16]))).await;
    assert_eq!(by_name.status, StatusCode::OK);
    assert_eq!(by_name.text, by_id.text);
}

#[tokio::test]
async fn the_head_says_what_it_waits_for_until_when_and_what_then() {
    let text = get(&lab().await, "/hosts/pve-04").await.text;
    let head = part(&text, r#"<section id="s-state""#, "</section>");
    assert!(head.contains("It waits for the installer to write the disks and to report."));
    assert!(head.contains(r#"<dt>Since</dt><dd><time datetime="2026-11-23T11:58:00.000Z""#), "{head}");
    assert!(head.contains(r#"<dt>Until</dt><dd><time datetime="2026-11-23T12:58:00.000Z""#));
    assert!(head.contains("<dt>Then</dt><dd>the operation fails and the disks stay"));
}

#[tokio::test]
async fn a_button_that_cannot_be_pressed_says_why() {
    let text = get(&lab().await, "/hosts/pve-04").await.text;
    let rebuild = part(&text, r#"<li><button type="button" data-do="rebuild""#, "</li>");
    assert!(rebuild.contains(r#"disabled aria-describedby="why-rebuild""#), "{rebuild}");
    assert!(rebuild.contains(r#"<small id="why-rebuild">an operation is running; cancel it first</small>"#));
    let cancel = part(&text, r#"<li><button type="button" data-do="cancel""#, "</li>");
    assert!(!cancel.contains("disabled"), "{cancel}");
}

#[tokio::test]
async fn a_failure_is_told_with_what_can_be_done_about_it() {
    let text = get(&lab().await, "/hosts/pve-05").await.text;
    let failure = part(&text, r#"<section id="s-failure""#, "</section>");
    assert!(failure.contains("Name taken in the cluster"));
    assert!(failure.contains("the cluster has another member named pve-05"));
    assert!(failure.contains("pvecm delnode pve-05"));
    assert!(failure.contains(r#"until <time datetime="2026-11-23T12:58:00.000Z""#));
    assert!(!get(&lab().await, "/hosts/pve-04").await.text.contains("s-failure"));
}

#[tokio::test]
async fn the_timeline_tells_each_entry_with_its_source_and_the_stages_with_their_lengths() {
    let text = get(&lab().await, "/hosts/pve-05").await.text;
    let timeline = part(&text, r#"<section id="s-timeline""#, "</section>");
    assert!(timeline.contains(r#"<span class="source">firmware</span> <span class="text">Fetched its boot script"#));
    assert!(timeline.contains(r#"<li class="bad">"#) && timeline.contains("Failed: its time ran out"));
    // Installing took 400 s, which is the longest; the bars are to its measure.
    assert!(timeline.contains(r#"<progress max="400000" value="400000" aria-label="Installing">"#), "{timeline}");
    assert!(timeline.contains(r#"<progress max="400000" value="20000" aria-label="First boot">"#));
    assert!(timeline.contains("<td>6 min 40 s</td>"));
}

#[tokio::test]
async fn what_machines_said_is_shown_as_text_and_laid_out() {
    let text = get(&lab().await, "/hosts/pve-05").await.text;
    let artefacts = part(&text, r#"<section id="s-artefacts""#, "</section>");
    for key in ["boot_script", "answer", "install_report", "join_transcript"] {
        assert!(artefacts.contains(&format!(r#"<details id="artefact-{key}">"#)), "{key}");
    }
    assert!(!artefacts.contains("<script>") && !artefacts.contains("<img"), "{artefacts}");
    assert!(artefacts.contains("alert(1)"));
    assert!(artefacts.contains("{\n  &#34;note&#34;"), "{artefacts}");
}

#[tokio::test]
async fn a_host_that_was_only_registered_has_its_journal_and_no_operation() {
    let text = get(&lab().await, "/hosts/pve-01").await.text;
    assert!(part(&text, r#"<section id="s-timeline""#, "</section>").contains("pve-01 was registered"));
    assert!(part(&text, r#"<section id="s-history""#, "</section>").contains("None yet."));
    assert!(part(&text, r#"<section id="s-facts""#, "</section>").contains("/dev/nvme0n1"));
}

#[tokio::test]
async fn an_operation_that_is_not_the_hosts_is_not_shown() {
    let lab = lab().await;
    let foreign = get(&lab, &format!("/hosts/pve-04?operation={}", operation_id(5))).await.text;
    assert_eq!(foreign, get(&lab, "/hosts/pve-04").await.text);
}

#[tokio::test]
async fn the_fragment_is_the_page_without_its_frame() {
    let lab = lab().await;
    let page = get(&lab, "/hosts/pve-05").await.text;
    let fragment = get(&lab, "/fragments/hosts/pve-05/page").await;
    assert!(page.contains(fragment.text.trim()));
    assert!(!fragment.text.contains("<html"));
    assert_eq!(get(&lab, "/fragments/hosts/pve-99/page").await.status, StatusCode::NOT_FOUND);
}
