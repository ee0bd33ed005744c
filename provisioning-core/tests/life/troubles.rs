//! Lives that go wrong: each ends in a named failure, or mends itself.

use std::time::Duration;

use provisioning_core::machine::{EventKind, FailureReason, HostState, Leg, Phase};
use provisioning_core::model::HostId;
use provisioning_core::orchestrator::{
    AnswerRefusal, AnswerRequest, OperatorError, Rebuild, Report, ReportRefusal, TokenError,
};
use provisioning_core::ports::{Happening, Retry, Store, Vault};

use crate::lab::{Lab, mac, system_info};

async fn why(lab: &Lab, host: HostId) -> FailureReason {
    match lab.state(host).await {
        HostState::Failed { why, .. } => why,
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_leg_but_the_first_is_given_up_in_time() {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").unreachable = true;
    let mut hosts = vec![];
    for n in 0..5 {
        let host = lab.register(n).await;
        let token = lab.rebuild(host).await;
        if n >= 1 {
            lab.boots(n).await;
        }
        if n >= 2 {
            lab.fetches_answer(n, Some(&token)).await.expect("an answer");
        }
        if n >= 3 {
            lab.reports_install(host, &token).await;
        }
        if n >= 4 {
            lab.phones_home(host, n, &token).await;
        }
        hosts.push(host);
    }
    for (host, leg) in hosts.iter().skip(1).zip([Leg::PxeBooted, Leg::Installing, Leg::Installed, Leg::FirstBoot]) {
        lab.until(*host, Phase::Failed).await;
        let HostState::Failed { during, why, .. } = lab.state(*host).await else { panic!("failed") };
        assert_eq!(during, leg);
        assert!(matches!(why, FailureReason::DeadlinePassed { .. }));
        assert!(!lab.holds_key(*host).await || why.as_str() == "deadline_passed");
    }
    let FailureReason::DeadlinePassed { last_error: Some(last) } = why(&lab, hosts[4]).await else {
        panic!("the reason says what the last try said")
    };
    assert!(last.contains("no SSH server answers"), "{last}");
    assert_eq!(lab.phase(hosts[0]).await, Phase::PxeReady, "nobody may have pressed the button yet");
}

#[tokio::test(start_paused = true)]
async fn a_failed_join_can_be_resumed_without_reinstalling() {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").join_says = Some("401 authentication failure");
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Failed).await;
    assert_eq!(why(&lab, host).await, FailureReason::JoinFailed { said: "401 authentication failure".into() });
    assert!(lab.holds_key(host).await, "kept for the resume");

    lab.world.lock().expect("a world").join_says = None;
    lab.orchestrator.resume(host).await.expect("it can be resumed");
    lab.until(host, Phase::Ready).await;
    assert_eq!(lab.world.lock().expect("a world").started_joins.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_the_resume_window_the_key_is_erased_and_only_a_rebuild_helps() {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").join_says = Some("401 authentication failure");
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Failed).await;
    let mut feed = lab.orchestrator.feed(0);
    while lab.holds_key(host).await {
        feed.next().await.expect("memory");
    }
    assert!(matches!(lab.orchestrator.resume(host).await, Err(OperatorError::NotResumable { .. })));
    lab.orchestrator.start(host, Rebuild::default()).await.expect("a rebuild");
}

#[tokio::test(start_paused = true)]
async fn a_half_joined_host_is_reported_with_the_clean_up() {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").join_says = Some("Request addition of this node\nwaiting for quorum...");
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Failed).await;
    let why = why(&lab, host).await;
    assert!(matches!(why, FailureReason::HalfJoined { .. }));
    assert!(why.advice().contains("pvecm delnode pve-07"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_still_opens_the_host_is_never_ready() {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").revoke_does_nothing = true;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Failed).await;
    assert_eq!(why(&lab, host).await, FailureReason::KeyStillOpens);
    lab.world.lock().expect("a world").revoke_does_nothing = false;
    lab.orchestrator.resume(host).await.expect("it can be resumed");
    lab.until(host, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusing_inventory_fails_and_a_silent_one_is_tried_again() {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").inventory_refuses = Some(Retry::Later);
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    let mut feed = lab.orchestrator.feed(0);
    let postponed = |what: &Happening| matches!(what, Happening::WorkPostponed { .. });
    while !lab.journal(host).await.iter().any(postponed) {
        feed.next().await.expect("memory");
    }
    lab.world.lock().expect("a world").inventory_refuses = Some(Retry::Never);
    lab.until(host, Phase::Failed).await;
    assert_eq!(why(&lab, host).await, FailureReason::InventoryRefused { said: "no such rack".into() });
    lab.world.lock().expect("a world").inventory_refuses = None;
    lab.orchestrator.resume(host).await.expect("the key is not needed any more");
    lab.until(host, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_operation_ends_at_once_and_its_token_is_dead() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.orchestrator.cancel(host).await.expect("it runs");
    assert_eq!(why(&lab, host).await, FailureReason::Cancelled);
    assert!(matches!(lab.orchestrator.authorise(&token).await, Err(TokenError::Ended(_))));
    assert!(matches!(lab.orchestrator.cancel(host).await, Err(OperatorError::NotRunning { .. })));
    let mut feed = lab.orchestrator.feed(0);
    while lab.holds_key(host).await {
        feed.next().await.expect("memory");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_ready_is_rebuilt_only_with_its_name() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
    for confirm in [None, Some("pve-08".to_owned())] {
        let refused = lab.orchestrator.start(host, Rebuild { confirm, ..Rebuild::default() }).await;
        assert!(matches!(refused, Err(OperatorError::NotConfirmed { .. })));
    }
    let rebuild = Rebuild { confirm: Some("pve-07".into()), ..Rebuild::default() };
    lab.orchestrator.start(host, rebuild).await.expect("confirmed");
    assert_eq!(lab.phase(host).await, Phase::PxeReady);
    assert!(matches!(lab.orchestrator.authorise(&token).await, Err(TokenError::Ended(_))), "the old token is dead");
}

#[tokio::test(start_paused = true)]
async fn answers_go_to_nobody_but_the_armed_host() {
    let lab = Lab::new(true).await;
    let (a, b) = (lab.register(1).await, lab.register(2).await);
    assert!(matches!(lab.fetches_answer(1, None).await, Err(AnswerRefusal::NoHost { .. })), "not armed");
    let token_of_a = lab.rebuild(a).await;
    let token_of_b = lab.rebuild(b).await;
    assert!(matches!(lab.fetches_answer(2, Some(&token_of_a)).await, Err(AnswerRefusal::ForeignMacs { .. })));
    assert!(matches!(lab.fetches_answer(1, Some("nonsense")).await, Err(AnswerRefusal::Token(TokenError::Unknown))));
    let both = system_info(&[&mac(1), &mac(2)]);
    let request = AnswerRequest { token: None, body: both.as_bytes(), accept: None, from: None };
    assert!(matches!(lab.orchestrator.answer_file(&request).await, Err(AnswerRefusal::SeveralHosts { .. })));
    for host in [a, b] {
        assert_eq!(lab.phase(host).await, Phase::PxeReady, "nothing changed");
    }
    lab.fetches_answer(2, Some(&token_of_b)).await.expect("its own token");
    lab.fetches_answer(1, None).await.expect("its own address, in any case");
    let denied = |what: &Happening| matches!(what, Happening::AnswerDenied { .. });
    assert!(lab.journal(a).await.iter().any(denied), "an operator sees the disagreement");
}

#[tokio::test(start_paused = true)]
async fn a_second_installer_gets_no_answer() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    let first = lab.fetches_answer(7, Some(&token)).await.expect("an answer");
    let again = lab.fetches_answer(7, Some(&token)).await.expect("the same request once more");
    assert_eq!(first, again);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(matches!(lab.fetches_answer(7, Some(&token)).await, Err(AnswerRefusal::AlreadyInstalled { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_report_out_of_turn_is_written_down_and_changes_nothing() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.phones_home(host, 7, &token).await;
    assert_eq!(lab.phase(host).await, Phase::PxeReady);
    let refused =
        |what: &Happening| matches!(what, Happening::EventRefused { event: EventKind::FirstBootReported(_), .. });
    assert!(lab.journal(host).await.iter().any(refused));
    lab.orchestrator.report(Report::Installed, host, &token, b"not json", None).await.expect("never refused");
    let unusable = |what: &Happening| matches!(what, Happening::ReportUnusable { .. });
    assert!(lab.journal(host).await.iter().any(unusable));
    let stranger = lab.orchestrator.report(Report::Installed, host, "nonsense", b"{}", None).await;
    assert!(matches!(stranger, Err(ReportRefusal::UnknownToken)));
}

#[tokio::test(start_paused = true)]
async fn a_key_without_an_operation_is_swept_at_the_next_start() {
    let mut lab = Lab::new(true).await;
    let orphan = provisioning_core::model::OperationId::from_bytes([5; 16]);
    let key = provisioning_core::model::Secret::new("left by a start that died".to_owned());
    lab.vault.store(orphan, &key).await.expect("memory");
    let host = lab.register(7).await;
    lab.rebuild(host).await;
    lab.restart().await;
    tokio::time::timeout(Duration::from_secs(60), async {
        while lab.vault.held().await.expect("memory").contains(&orphan) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("swept");
    assert!(lab.holds_key(host).await, "the running operation's key stays");
}

#[tokio::test(start_paused = true)]
async fn a_host_in_use_is_neither_edited_nor_removed() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    lab.rebuild(host).await;
    assert!(matches!(lab.orchestrator.remove(host, None).await, Err(OperatorError::Busy { .. })));
    assert!(matches!(lab.orchestrator.start(host, Rebuild::default()).await, Err(OperatorError::Busy { .. })));
    lab.orchestrator.cancel(host).await.expect("it runs");
    lab.orchestrator.remove(host, None).await.expect("idle");
    assert!(lab.store.host(host).await.expect("memory").is_none());
    assert!(lab.vault.held().await.expect("memory").is_empty(), "its key went with it");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_rang_no_bell_is_read_all_the_same() {
    let lab = Lab::new(true).await;
    let mut feed = lab.orchestrator.feed(lab.store.last_seq().await.expect("memory"));
    let entry = provisioning_core::ports::NewEntry {
        at: provisioning_core::model::Timestamp::from_millis(0),
        host: None,
        operation: None,
        source: provisioning_core::ports::Source::Provisioning,
        what: Happening::Warning { text: "written, and its writer never heard of it".into() },
    };
    let waiting = async { feed.next().await.expect("memory") };
    let write = async { lab.store.append(vec![entry.clone()]).await.expect("memory") };
    let within = Duration::from_secs(60);
    let (read, _) = tokio::join!(tokio::time::timeout(within, waiting), write);
    assert_eq!(read.expect("within a minute")[0].what, entry.what);
}

#[tokio::test(start_paused = true)]
async fn a_host_with_a_join_that_may_still_run_is_not_started_anew() {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").join_takes = Duration::from_secs(150);
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    let mut feed = lab.orchestrator.feed(0);
    while lab.world.lock().expect("a world").started_joins.is_empty() {
        feed.next().await.expect("memory");
        tokio::task::yield_now().await;
    }
    lab.orchestrator.cancel(host).await.expect("it runs");
    let refused = lab.orchestrator.start(host, Rebuild::default()).await;
    assert!(matches!(refused, Err(OperatorError::JoinMayRun { .. })), "{refused:?}");
    assert!(matches!(lab.orchestrator.remove(host, None).await, Err(OperatorError::JoinMayRun { .. })));
    let preflight = lab.orchestrator.preflight(host, None).await.expect("a look is always allowed");
    assert!(preflight.faults[0].contains("may still run"), "{:?}", preflight.faults);
    tokio::time::advance(Duration::from_secs(191)).await;
    lab.orchestrator.start(host, Rebuild::default()).await.expect("now it has ended");
}
