//! What can be done without scripts: forms that ask, do, and come back with what was wrong.

use axum::http::StatusCode;
use provisioning_core::machine::{FailureReason, HostState, Leg, Phase};
use provisioning_core::model::HostId;
use provisioning_core::ports::HostRecord;

use super::lab::Lab;
use super::{get, part, post};

async fn lab() -> Lab {
    let lab = Lab::new();
    lab.image("proxmox-ve_9.2-1").await;
    lab.host(1, HostState::Registered).await;
    lab.host(2, lab.ready(2)).await;
    lab.host(4, lab.in_leg(4, Leg::Installing, Some(60))).await;
    lab.host(5, lab.failed(5, FailureReason::KeyLost)).await;
    lab
}

async fn record(lab: &Lab, number: u8) -> HostRecord {
    lab.orchestrator.store().host(HostId::from_bytes([number; 16])).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_rebuild_shows_what_it_wipes_installs_and_joins_before_it_is_started() {
    let lab = lab().await;
    let sheet = get(&lab, "/hosts/pve-01/rebuild").await;
    assert_eq!(sheet.status, StatusCode::OK);
    let text = part(&sheet.text, r#"<section id="sheet""#, "</section>");
    for words in ["/dev/nvme0n1", "proxmox-ve_9.2-1 (Proxmox VE 9.2, 1.6 GB)", "pve-01.lab.example", "stands alone"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(text.contains("root-password-hashed") && !text.contains("$6$"), "secrets are masked");
    assert!(!text.contains(r#"name="confirm""#), "it was never ready: nothing is lost");
    let sent = post(&lab, "/hosts/pve-01/rebuild", "image=").await;
    assert_eq!(sent.location(), "/hosts/pve-01?done=armed");
    assert_eq!(record(&lab, 1).await.state.phase(), Phase::PxeReady);
    let again = get(&lab, "/hosts/pve-01/rebuild").await.text;
    assert!(again.contains("an operation is running; cancel it first") && !again.contains("Wipe and rebuild"));
    assert!(get(&lab, sent.location()).await.text.contains("Start the machine from the network now"));
}

#[tokio::test]
async fn a_host_that_was_ready_is_wiped_only_for_its_typed_name() {
    let lab = lab().await;
    let sheet = get(&lab, "/hosts/pve-02/rebuild").await.text;
    assert!(sheet.contains(r#"data-must-be="pve-02""#), "{sheet}");
    let wrong = post(&lab, "/hosts/pve-02/rebuild", "confirm=pve-01").await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    assert!(wrong.text.contains(r#"name="confirm" value="pve-01""#));
    assert!(wrong.text.contains(r#"<span class="error" id="sheet-e-confirm">pve-01: the host&#39;s name, pve-02"#));
    assert_eq!(record(&lab, 2).await.state.phase(), Phase::Ready);
    let right = post(&lab, "/hosts/pve-02/rebuild", "confirm=pve-02").await;
    assert_eq!(right.location(), "/hosts/pve-02?done=armed");
}

#[tokio::test]
async fn a_rebuild_without_an_image_says_what_to_do() {
    let lab = Lab::new();
    lab.host(1, HostState::Registered).await;
    let text = get(&lab, "/hosts/pve-01/rebuild").await.text;
    assert!(text.contains("no image was imported yet: import a Proxmox VE ISO first"), "{text}");
    assert!(!text.contains("Wipe and rebuild"));
}

#[tokio::test]
async fn an_edit_is_saved_and_wrong_fields_come_back_with_what_is_wrong() {
    let lab = lab().await;
    let sheet = get(&lab, "/hosts/pve-01/edit").await.text;
    assert!(sheet.contains(r#"name="mac" value="52:54:00:00:01:01, 52:54:00:00:02:01""#), "{sheet}");
    let wrong = "hostname=pve_x&mac=52:54:00:00:01:01,zz&server_type=compute&address=10.0.0.7&revision=1";
    let wrong = post(&lab, "/hosts/pve-01/edit", wrong).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    for field in ["hostname", "mac", "address"] {
        assert!(wrong.text.contains(&format!(r#"id="sheet-e-{field}">"#)), "{field}: {}", wrong.text);
    }
    assert!(wrong.text.contains(r#"name="hostname" value="pve_x""#), "what was typed is kept");
    let form = "hostname=pve-11&mac=52-54-00-00-01-01&server_type=compute&address=10.0.0.7%2F24&revision=1";
    let saved = post(&lab, "/hosts/pve-01/edit", form).await;
    assert_eq!(saved.location(), "/hosts/pve-11?done=saved");
    let host = record(&lab, 1).await.host;
    assert_eq!((host.name.as_str(), host.macs.len()), ("pve-11", 1));
    assert_eq!(host.address.map(|address| address.to_string()).as_deref(), Some("10.0.0.7/24"));
}

#[tokio::test]
async fn an_edit_over_somebody_elses_shows_theirs_and_is_saved_only_when_sent_again() {
    let lab = lab().await;
    let form = |name: &str, revision: u64| {
        format!("hostname={name}&mac=52:54:00:00:01:01&server_type=compute&address=&revision={revision}")
    };
    post(&lab, "/hosts/pve-01/edit", &form("pve-theirs", 1)).await.location();
    let id = HostId::from_bytes([1; 16]);
    let late = post(&lab, &format!("/hosts/{id}/edit"), &form("pve-mine", 1)).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    let conflict = part(&late.text, r#"<div class="banner warn""#, "</div>");
    assert!(conflict.contains("Somebody else saved it meanwhile") && conflict.contains("pve-theirs"), "{conflict}");
    assert!(late.text.contains(r#"name="hostname" value="pve-mine""#));
    assert!(late.text.contains(r#"name="revision" value="2""#));
    assert_eq!(
        post(&lab, &format!("/hosts/{id}/edit"), &form("pve-mine", 2)).await.location(),
        "/hosts/pve-mine?done=saved"
    );
}

#[tokio::test]
async fn cancel_remove_and_resume_do_what_they_say_or_why_not() {
    let lab = lab().await;
    assert!(get(&lab, "/hosts/pve-04/cancel").await.text.contains("Cancel the operation on pve-04 while installing?"));
    assert_eq!(post(&lab, "/hosts/pve-04/cancel", "").await.location(), "/hosts/pve-04?done=cancelled");
    let again = post(&lab, "/hosts/pve-04/cancel", "").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("no operation is running, the host is failed"), "{}", again.text);

    // Its time ran out two minutes ago.
    assert!(get(&lab, "/hosts/pve-05/resume").await.text.contains("Resume the join of pve-05?"));
    let resume = post(&lab, "/hosts/pve-05/resume", "").await;
    assert_eq!(resume.status, StatusCode::CONFLICT);
    assert!(resume.text.contains("a join that was given up may still run"), "{}", resume.text);

    assert!(get(&lab, "/hosts/pve-01/remove").await.text.contains("Remove pve-01?"));
    assert_eq!(post(&lab, "/hosts/pve-01/remove", "").await.location(), "/");
    assert_eq!(get(&lab, "/hosts/pve-01").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn images_are_imported_made_the_default_and_removed() {
    let lab = lab().await;
    let wrong = post(&lab, "/images/import", "path=%2Fsrv%2Fno.iso").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("/srv/no.iso: an ISO"), "{}", wrong.text);
    assert_eq!(post(&lab, "/images/import", "path=%2Fsrv%2Fgood.iso").await.location(), "/images?done=imported");

    let row = |text: &str, name: &str| part(text, &format!(r#"data-name="{name}""#), "</tr>").to_owned();
    let text = get(&lab, "/images").await.text;
    assert!(row(&text, "proxmox-ve_9.2-1").contains("Default, as the latest"), "{text}");
    let path = "/images/proxmox-ve_9.3-1/default";
    assert_eq!(post(&lab, path, "").await.location(), "/images?done=default");
    let text = get(&lab, "/images").await.text;
    assert!(row(&text, "proxmox-ve_9.3-1").contains(">Default<"), "{text}");
    let sheet = get(&lab, "/hosts/pve-01/rebuild").await.text;
    assert!(
        part(&sheet, "<select", "</select>").starts_with(
            r#"<select id="sheet-image" name="image">
<option value="02020202-0202-0202-0202-020202020202" selected>proxmox-ve_9.3-1 (default)</option>"#
        ),
        "{sheet}"
    );

    assert_eq!(post(&lab, "/images/proxmox-ve_9.3-1/remove", "").await.location(), "/images?done=removed");
    let busy = post(&lab, "/images/proxmox-ve_9.2-1/remove", "").await;
    assert_eq!(busy.status, StatusCode::CONFLICT);
    assert!(busy.text.contains("wait until the operation has ended"), "{}", busy.text);
    assert_eq!(get(&lab, "/images/none/remove").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_token_is_made_shown_once_listed_and_revoked() {
    let lab = Lab::new();
    let wrong = post(&lab, "/settings/tokens", "name=a+b&scope=read").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains(r#"id="sheet-e-name">a b: "#), "{}", wrong.text);
    assert!(wrong.text.contains(r#"<option value="read" selected>"#), "what was chosen is kept");
    let made = post(&lab, "/settings/tokens", "name=ci&scope=read").await;
    assert_eq!((made.status, made.headers["cache-control"].as_bytes()), (StatusCode::OK, b"no-store".as_slice()));
    let token = part(&made.text, "prov_", "</code>").to_owned();
    assert!(made.text.contains("never shown again"));
    let list = get(&lab, "/settings").await.text;
    let row = part(&list, r#"<tr data-token="ci">"#, "</tr>");
    assert!(row.contains("in force") && row.contains("may only read") && !list.contains(&token), "{row}");
    let path = part(row, "/settings/tokens/", "\"");
    assert!(get(&lab, path).await.text.contains("Revoke the token ci?"));
    assert_eq!(post(&lab, path, "").await.location(), "/settings?done=revoked");
    let row = get(&lab, "/settings").await.text;
    assert!(part(&row, r#"<tr data-token="ci">"#, "</tr>").contains("revoked"), "{row}");
    assert_eq!(get(&lab, "/settings/tokens/none/revoke").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_host_is_registered_by_a_form_that_comes_back_with_what_was_wrong() {
    let lab = lab().await;
    let wrong = post(&lab, "/register", "hostname=pve_9&mac=&server_type=compute&address=10.0.0.1").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains(r#"name="hostname" value="pve_9""#), "what was typed is kept: {}", wrong.text);
    assert!(part(&wrong.text, r#"id="sheet-e-hostname""#, "</span>").contains("pve_9: "));
    assert!(part(&wrong.text, r#"id="sheet-e-address""#, "</span>").contains("prefix"));
    let taken = post(&lab, "/register", "hostname=pve-01&mac=52:54:00:00:00:77&server_type=compute").await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
    assert!(part(&taken.text, r#"id="sheet-e-hostname""#, "</span>").contains("a name that no other host has"));
    let none = post(&lab, "/register", "hostname=pve-40&mac=&server_type=compute").await;
    assert!(part(&none.text, r#"id="sheet-e-mac""#, "</span>").contains("at least one MAC address"), "{}", none.text);
    let right = "hostname=pve-40&mac=52:54:00:00:00:40+52:54:00:00:00:41&server_type=compute&address=";
    let sent = post(&lab, "/register", right).await;
    assert_eq!(sent.location(), "/hosts/pve-40?done=registered");
    let name = "pve-40".parse().unwrap();
    let record = lab.orchestrator.store().host_by_name(&name).await.unwrap().unwrap();
    assert_eq!(record.host.macs.len(), 2);
}

#[tokio::test]
async fn a_discovered_machine_is_adopted_or_dismissed_by_forms() {
    let lab = lab().await;
    for mac in ["52:54:00:aa:00:01", "52:54:00:aa:00:02"] {
        lab.orchestrator.boot_script(mac.parse().unwrap()).await;
    }
    let strip = get(&lab, "/fragments/discovered").await.text;
    assert!(strip.contains("2 machines that belong to no host"), "{strip}");
    let adopt = "/register?mac=52:54:00:aa:00:01&amp;hostname=pve-06";
    assert!(strip.contains(&format!(r#"href="{adopt}""#)), "the next name is suggested: {strip}");
    let form = get(&lab, &adopt.replace("&amp;", "&")).await.text;
    assert!(form.contains(r#"name="adopts" value="52:54:00:aa:00:01""#) && form.contains(r#"value="pve-06""#));
    let right = "adopts=52:54:00:aa:00:01&hostname=pve-06&mac=52:54:00:aa:00:01&server_type=compute";
    assert_eq!(post(&lab, "/register", right).await.location(), "/hosts/pve-06?done=registered");
    assert_eq!(post(&lab, "/discovered/52:54:00:aa:00:02/dismiss", "").await.location(), "/");
    let strip = get(&lab, "/fragments/discovered").await.text;
    assert!(part(&strip, r#"<section id="discovered""#, ">").ends_with(" hidden"), "{strip}");
}
