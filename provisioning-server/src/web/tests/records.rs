//! Images and settings.

use axum::http::StatusCode;
use provisioning_core::machine::Leg;

use super::lab::Lab;
use super::{get, part, post};

#[tokio::test]
async fn an_image_is_listed_with_what_identifies_it_and_what_uses_it() {
    let lab = Lab::new();
    assert!(get(&lab, "/images").await.text.contains("No image yet"));
    let id = lab.image("<b>proxmox</b>").await;
    for number in 1..=5 {
        lab.host(number, lab.ready(number)).await;
    }
    let list = get(&lab, "/fragments/images").await.text;
    assert!(list.contains(&format!(r#"data-image="{id}""#)));
    assert!(list.contains("1.6 GB") && list.contains("9.2-1"), "{list}");
    assert!(list.contains(&format!(r#"<code title="{}">abababababab…</code>"#, "ab".repeat(32))), "{list}");
    assert!(list.contains(r#"<a href="/hosts/pve-03">pve-03</a> and 2 more"#), "{list}");
    assert!(list.contains(&format!(r#"href="/images/{id}/remove""#)));
    assert!(!list.contains("<b>proxmox"), "{list}");
    assert!(get(&lab, "/images").await.text.contains(list.trim()));
}

#[tokio::test]
async fn an_image_that_is_being_installed_says_why_it_cannot_be_removed() {
    let lab = Lab::new();
    lab.image("proxmox-ve_9.2-1").await;
    lab.host(4, lab.in_leg(4, Leg::Installing, Some(60))).await;
    let list = get(&lab, "/fragments/images").await.text;
    assert!(part(&list, r#"<td class="do">"#, "</td>").contains("pve-04 is being installed from it"), "{list}");
    assert!(!list.contains("/remove"));
}

#[tokio::test]
async fn settings_are_told_with_their_origin_and_faults_of_the_server_types_stand_first() {
    let lab = Lab::new();
    let page = get(&lab, "/settings").await.text;
    let config = part(&page, r#"<section id="s-config""#, "</section>");
    assert!(config.contains("<code>127.0.0.1:8080</code>") && config.contains("provisioning.yaml, line 3"), "{config}");
    assert!(config.contains("auth.admin_token") && config.contains("set, not shown"));
    let types = part(&page, r#"<section id="s-types""#, "</section>");
    assert!(types.contains("is not a known key") && !types.contains("<b>disk"), "{types}");
    assert!(types.contains("/dev/nvme0n1") && types.contains("ext4"));
    let dhcp = part(&page, r#"<section id="s-dhcp""#, "</section>");
    assert!(dhcp.contains("http://10.0.0.2:8080/ipxe/${mac") && dhcp.matches("<pre").count() == 5, "{dhcp}");
    assert!(page.contains(env!("CARGO_PKG_VERSION")));
    assert!(page.contains(get(&lab, "/fragments/settings").await.text.trim()));
}

#[tokio::test]
async fn a_webhook_is_listed_with_its_trouble_and_tried_by_a_button() {
    let lab = Lab::new();
    let page = get(&lab, "/settings").await.text;
    let row = part(&page, r#"<tr data-target="chat">"#, "</tr>");
    for words in ["does not take events", "https://chat.lab.example", "it answered", "never"] {
        assert!(row.contains(words), "{words} is not in {row}");
    }
    assert!(!row.contains("<b>500"), "{row}");
    assert!(row.contains(r#"action="/settings/notify/chat/test""#));
    let tested = post(&lab, "/settings/notify/chat/test", "").await;
    assert!(tested.text.contains("It was not taken:") && tested.text.contains("it answered 500"), "{}", tested.text);
    assert_eq!(post(&lab, "/settings/notify/none/test", "").await.status, StatusCode::NOT_FOUND);
}
