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
    part(text, &row_start(number), "</tr>")
}

fn row_start(number: u8) -> String {
    format!(r#"<tr role="row" id="host-{}""#, HostId::from_bytes([number; 16]))
}

fn count(text: &str, group: &str) -> usize {
    let counter = part(text, &format!(r#"data-show="{group}" data-phases"#), "</a>");
    part(counter, "<b>", "</b>")[3..].parse().unwrap()
}

#[tokio::test]
async fn an_empty_fleet_says_in_three_steps_how_it_begins() {
    let lab = Lab::new();
    let text = get(&lab, "/").await.text;
    let steps = [
        "provisioning dhcp-snippet dnsmasq",
        "provisioning image import FILE",
        "provisioning host add NAME --mac MAC --server-type compute",
        "provisioning-sim fleet --server http://10.0.0.2:8080 --hosts 5",
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
    for path in ["/", "/?show=failed", "/?q=nothing-like-this"] {
        let text = get(&lab, path).await.text;
        let counts = ["needs-you", "waiting", "active", "failed", "ready", "all"].map(|group| count(&text, group));
        assert_eq!(counts, [2, 2, 2, 1, 1, 6], "{path}");
    }
}

#[tokio::test]
async fn filter_search_and_order_work_without_scripts() {
    let lab = lab().await;
    let shown = async |path: &str| {
        let text = get(&lab, path).await.text;
        let mut found: Vec<(usize, u8)> =
            (1..=6).filter_map(|number| Some((text.find(&row_start(number))?, number))).collect();
        found.sort_unstable();
        let page: Vec<u8> = found.into_iter().map(|(_, number)| number).collect();
        let index = get(&lab, &path.replacen('/', "/fragments/fleet", 1)).await.text;
        let index: serde_json::Value = serde_json::from_str(&index).unwrap();
        let listed = index["hosts"].as_array().unwrap().iter().map(|host| host[1].as_str().unwrap().to_owned());
        let names: Vec<String> = page.iter().map(|number| format!("pve-{number:02}")).collect();
        assert_eq!(listed.collect::<Vec<_>>(), names, "the page and the list of {path} are the same");
        page
    };
    assert_eq!(shown("/?show=needs-you").await, [2, 5]);
    assert_eq!(shown("/?show=active").await, [3, 4]);
    assert_eq!(shown("/?show=nonsense").await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(shown("/?q=PVE-03").await, [3]);
    assert_eq!(shown("/?q=02:06").await, [6]);
    assert_eq!(shown("/?q=%26%20co").await, [1, 2, 3, 4, 5, 6], "the type's name is searched too");
    assert_eq!(shown("/?show=failed&q=pve-06").await, [] as [u8; 0]);
    assert_eq!(shown("/?sort=urgency").await, [5, 2, 4, 3, 1, 6]);
    assert_eq!(shown("/?sort=longest").await[0], 1);
}

#[tokio::test]
async fn a_long_fleet_comes_page_by_page_without_scripts_and_as_a_list_with_them() {
    let lab = Lab::new();
    for number in 1..=61 {
        lab.host(number, HostState::Registered).await;
    }
    let first = get(&lab, "/").await.text;
    assert_eq!(first.matches("<tr role=\"row\" id=").count(), 60);
    assert!(first.contains("Page 1 of 2") && first.contains(r#"href="/?page=2""#), "{first}");
    assert!(first.contains(r#"data-matching="61""#));
    let second = get(&lab, "/?page=2&view=table").await.text;
    assert_eq!(second.matches("<tr role=\"row\" id=").count(), 1);
    assert!(second.contains(r#"data-view="table""#) && second.contains("pve-61"));
    let index: serde_json::Value = serde_json::from_str(&get(&lab, "/fragments/fleet").await.text).unwrap();
    assert_eq!(index["hosts"].as_array().unwrap().len(), 61);
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
    assert_eq!(fragments.matches("<tr role").count(), 2, "unknown hosts have no row: {fragments}");
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
