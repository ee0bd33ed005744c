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
    assert!(text.contains(r#"<a class="button" href="/hosts/pve-04/cancel" data-do="cancel" data-sheet>"#), "{text}");
    let failed = get(&lab().await, "/hosts/pve-05").await.text;
    let resume = part(&failed, r#"<form method="post" action="/hosts/pve-05/resume""#, "</form>");
    assert!(resume.contains(r#"data-do="resume">Resume join<"#), "{resume}");
    assert!(failed.contains(r#"<span class="countdown" data-until="1795438680000">58 min</span> left"#), "{failed}");
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
    let fetched = r#"<span class="source from-firmware">firmware</span> <span class="text">Fetched its boot script"#;
    assert!(timeline.contains(fetched));
    assert!(timeline.contains(r#"<li class="bad">"#) && timeline.contains("Failed: its time ran out"));
    // Installing took 400 s, which is the longest; the bars are to its measure.
    let bar = |phase: &str| part(timeline, &format!(r#"<tr class="{phase}">"#), "</tr>");
    assert!(bar("installing").contains(r#"<rect class="fill" width="1000" height="10"/>"#), "{timeline}");
    assert!(bar("first_boot").contains(r#"<rect class="fill" width="50" height="10"/>"#));
    assert!(bar("installing").contains("<td>6 min 40 s</td>"));
    assert!(!timeline.contains("median of"), "two runs are too few");
}

#[tokio::test]
async fn a_stage_is_compared_with_what_it_usually_takes_on_the_server_type() {
    let lab = lab().await;
    for number in 6..9 {
        lab.host(number, lab.ready(number)).await;
    }
    let text = get(&lab, "/hosts/pve-04").await.text;
    let installing = part(&text, r#"<tr class="installing">"#, "</tr>");
    assert!(installing.contains(r#"<span title="median of 4 runs">6 min 40 s</span>"#), "{installing}");
    assert!(installing.contains("slower than usual") && installing.contains(r#"<rect class="mark" x="444""#));
}

#[tokio::test]
async fn a_run_is_compared_with_the_one_before_it() {
    let lab = lab().await;
    assert!(!get(&lab, "/hosts/pve-05").await.text.contains("run before"), "there is none");
    lab.earlier_run(5).await;
    let text = get(&lab, "/hosts/pve-05").await.text;
    let answer = part(&text, r#"<details id="artefact-answer""#, "</pre></details>");
    assert!(answer.contains("changed: +1 −1"), "{answer}");
    assert!(answer.contains(r#"<span class="gone">- keyboard = &#34;us&#34;</span>"#), "{answer}");
    assert!(answer.contains(r#"<span class="added">+ keyboard = &#34;de&#34;</span>"#));
    assert!(part(&text, r#"<details id="artefact-boot_script""#, "</summary>").contains("not in the run before"));
    let history = part(&text, r#"<section id="s-history""#, "</section>");
    assert!(history.contains("Compare with the run before") && history.contains("Cancelled"), "{history}");
    let earlier = get(&lab, &format!("/hosts/pve-05?operation={}", operation_id(0))).await.text;
    assert!(earlier.contains("An earlier operation") && earlier.contains("Back to the latest operation"));
}

#[tokio::test]
async fn an_artefact_is_downloaded_as_a_file_and_all_of_them_as_an_archive() {
    let lab = lab().await;
    let path = format!("/hosts/pve-05/operations/{}", operation_id(5));
    let answer = get(&lab, &format!("{path}/answer.toml")).await;
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"pve-05-answer.toml\"");
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert!(answer.text.starts_with("[global]"));
    let archive = get(&lab, &format!("{path}/bundle.tar")).await;
    assert_eq!(archive.headers["content-type"], "application/x-tar");
    for name in ["journal.txt", "answer.toml", "boot.ipxe", "webhook.json", "join.txt"] {
        assert!(archive.text.contains(&format!("pve-05/{name}\0")), "{name}");
    }
    let foreign = format!("/hosts/pve-04/operations/{}/answer.toml", operation_id(5));
    for path in [format!("{path}/first-boot.sh"), format!("{path}/none"), foreign] {
        assert_eq!(get(&lab, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_machines_said_is_shown_as_text_and_laid_out() {
    let text = get(&lab().await, "/hosts/pve-05").await.text;
    let artefacts = part(&text, r#"<section id="s-artefacts""#, "</section>");
    for key in ["boot_script", "answer", "install_report", "join_transcript"] {
        assert!(artefacts.contains(&format!(r#"<details id="artefact-{key}" class="artefact">"#)), "{key}");
    }
    assert!(!artefacts.contains("<script>") && !artefacts.contains("<img"), "{artefacts}");
    assert!(artefacts.contains("alert(1)"));
    assert!(artefacts.contains("{\n  &#34;note&#34;"), "{artefacts}");
    assert!(artefacts.contains("<tr><th scope=\"row\">product</th><td>pve</td></tr>"), "{artefacts}");
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
