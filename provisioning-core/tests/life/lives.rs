//! Lives that end well.

use std::collections::BTreeSet;
use std::time::Duration;

use provisioning_core::machine::{BootAnswer, EventKind, HostState, Leg, Phase};
use provisioning_core::orchestrator::BootReply;
use provisioning_core::ports::{Happening, Store};

use crate::lab::Lab;

#[tokio::test(start_paused = true)]
async fn a_host_goes_from_registered_to_ready_and_its_key_is_gone() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    assert!(matches!(lab.boots(7).await, BootReply::NextDevice), "nothing is asked of a registered host");

    let token = lab.rebuild(host).await;
    assert!(lab.holds_key(host).await);
    let BootReply::Script(script) = lab.boots(7).await else { panic!("an armed host boots the installer") };
    assert!(script.expose().contains(&format!("/boot/{token}/vmlinuz")));
    let answer = lab.fetches_answer(7, Some(&token)).await.expect("an answer");
    assert!(answer.contains("pve-07.lab.example"));
    let BootReply::Script(script) = lab.boots(7).await else { panic!("it boots its disk") };
    assert!(script.expose().contains("sanboot"), "once the answer is out, never the installer again");
    lab.reports_install(host, &token).await;
    lab.phones_home(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
    assert!(!lab.holds_key(host).await, "erased before it is ready");

    // What is owed after the end is done too.
    tokio::time::timeout(Duration::from_secs(60), async {
        let mut feed = lab.orchestrator.feed(0);
        while !lab.store.work().await.expect("memory").is_empty() {
            feed.next().await.expect("memory");
        }
    })
    .await
    .expect("all work is settled");

    let world = lab.world.lock().expect("a world");
    assert_eq!(world.members, ["pve-07"]);
    assert_eq!(world.started_joins.len(), 1);
    assert_eq!(world.secrets_seen, ["the cluster's password\n"]);
    assert_eq!(world.inventory.len(), 1);
    let plan = world.plans.last().expect("a boot plan was applied");
    assert_eq!(plan.entries[0].answer, BootAnswer::LocalDisk);
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_the_life_in_order_and_without_secrets() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
    let moves: Vec<String> = lab
        .journal(host)
        .await
        .into_iter()
        .filter_map(|what| match what {
            Happening::Moved { event, from, to } => Some(format!("{from} -> {to} by {}", event.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        moves,
        [
            "registered -> pxe_ready by started",
            "pxe_ready -> pxe_booted by boot_script_fetched",
            "pxe_booted -> installing by answer_fetched",
            "installing -> installing by installer_began",
            "installing -> installed by install_reported",
            "installed -> first_boot by first_boot_reported",
            "first_boot -> joining by shell_opened",
            "joining -> joining by join_slot_granted",
            "joining -> joining by step_done",
            "joining -> joining by step_done",
            "joining -> ready by step_done",
        ]
    );
    let operation = lab.state(host).await.operation().expect("an operation");
    let artefacts = lab.store.artefacts(operation).await.expect("memory");
    let all = format!("{:?}{artefacts:?}", lab.journal(host).await);
    assert!(artefacts.len() >= 4, "script, request, answer and webhook can be looked at");
    for secret in [token.as_str(), "the cluster's password", "$6$", "private ["] {
        assert!(!all.contains(secret), "{secret} shows");
    }
}

#[tokio::test(start_paused = true)]
async fn a_standalone_host_is_not_joined_but_all_else_is_the_same() {
    let lab = Lab::new(false).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
    let world = lab.world.lock().expect("a world");
    assert!(world.started_joins.is_empty() && world.members.is_empty());
    assert_eq!(world.inventory.len(), 1);
    assert_eq!(world.trusted.values().copied().collect::<Vec<_>>(), [false]);
}

#[tokio::test(start_paused = true)]
async fn joins_of_many_hosts_go_one_at_a_time() {
    let lab = Lab::new(true).await;
    let mut hosts = vec![];
    for n in 1..=6 {
        let host = lab.register(n).await;
        let token = lab.rebuild(host).await;
        lab.installs(host, n, &token).await;
        hosts.push(host);
    }
    let mut feed = lab.orchestrator.feed(0);
    while lab.orchestrator.join_queue().await.expect("memory").waiting.len() < 3 {
        feed.next().await.expect("others wait and can be seen waiting");
    }
    for host in hosts {
        lab.until(host, Phase::Ready).await;
    }
    let world = lab.world.lock().expect("a world");
    assert_eq!((world.members.len(), world.joins_at_once_max), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_join_slot_costs_no_time() {
    let lab = Lab::new(true).await;
    // Each join takes two minutes, so the last of ten waits longer than the fifteen that a join may take.
    lab.world.lock().expect("a world").join_takes = Duration::from_secs(120);
    let mut hosts = vec![];
    for n in 1..=10 {
        let host = lab.register(n).await;
        let token = lab.rebuild(host).await;
        lab.installs(host, n, &token).await;
        hosts.push(host);
    }
    for host in hosts {
        lab.until(host, Phase::Ready).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_webhook_costs_nothing() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.boots(7).await;
    lab.fetches_answer(7, Some(&token)).await.expect("an answer");
    lab.phones_home(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_at_any_second_goes_on_with_the_same_join() {
    for second in 0..30 {
        let mut lab = Lab::new(true).await;
        let host = lab.register(7).await;
        let token = lab.rebuild(host).await;
        lab.installs(host, 7, &token).await;
        let alive = lab.until(host, Phase::Ready);
        drop(tokio::time::timeout(Duration::from_secs(second), alive).await);
        lab.restart().await;
        lab.until(host, Phase::Ready).await;
        assert_eq!(lab.world.lock().expect("a world").started_joins.len(), 1, "died after {second} s");
        assert!(!lab.holds_key(host).await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_ready_hosts_say_changes_nothing() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
    let before = lab.record(host).await;
    lab.boots(7).await;
    lab.reports_install(host, &token).await;
    lab.phones_home(host, 7, &token).await;
    lab.fetches_answer(7, Some(&token)).await.expect_err("its operation has ended");
    lab.orchestrator.authorise(&token).await.expect_err("and its token with it");
    assert_eq!(lab.record(host).await, before);
    let ignored =
        |what: &Happening| matches!(what, Happening::EventIgnored { event: EventKind::InstallReported(_), .. });
    assert_eq!(lab.journal(host).await.iter().filter(|what| ignored(what)).count(), 1, "but it is written down");
}

#[tokio::test(start_paused = true)]
async fn a_netboot_while_installing_shortens_the_wait() {
    let lab = Lab::new(true).await;
    let (lost, wrote) = (lab.register(7).await, lab.register(8).await);
    let token = lab.rebuild(lost).await;
    lab.boots(7).await;
    lab.fetches_answer(7, Some(&token)).await.expect("an answer, which gets lost on its way");
    let token = lab.rebuild(wrote).await;
    lab.boots(8).await;
    lab.fetches_answer(8, Some(&token)).await.expect("an answer");
    lab.orchestrator.first_boot_script(wrote, &token).await.expect("the installer begins to write");

    let policy = lab.orchestrator.policy().clone();
    for (host, n, time) in [(lost, 7, policy.came_back), (wrote, 8, policy.installed)] {
        lab.boots(n).await;
        let state = lab.state(host).await;
        assert!(matches!(state, HostState::Provisioning { leg: Leg::Installing, .. }));
        assert_eq!(state.deadline(), Some(lab.orchestrator.now() + time));
    }
    lab.until(lost, Phase::Failed).await;
    assert_eq!(lab.phase(wrote).await, Phase::Installing, "its webhook may be lost, its phone-home not yet");
}

#[tokio::test(start_paused = true)]
async fn many_changes_in_a_row_share_a_boot_plan_and_the_last_one_is_in_it() {
    let lab = Lab::new(false).await;
    lab.world.lock().expect("a world").plan_takes = Duration::from_millis(50);
    for n in 0..40 {
        lab.register(n).await;
        tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.ok();
    }
    let known = || {
        let world = lab.world.lock().expect("a world");
        let plan = world.plans.last().map(|plan| plan.entries.iter().map(|entry| &entry.host).collect::<BTreeSet<_>>());
        plan.map_or(0, |hosts| hosts.len())
    };
    let all_known = async {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while known() < 40 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), all_known).await.expect("the last change is soon in force");
    let plans = lab.world.lock().expect("a world").plans.len();
    assert!((2..=6).contains(&plans), "{plans} plans for 40 changes in 400 ms, of which each took 50 ms");
}
