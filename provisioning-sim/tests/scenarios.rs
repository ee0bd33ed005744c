//! Named stories: one trouble each, and how it ends.

use std::time::Duration;

use provisioning_core::machine::{EventKind, FailureReason, Phase};
use provisioning_core::ports::Happening;
use provisioning_sim::world::{Fault, Lab, Message, Options, Outcome};

const HOST: &str = "pve-01";

/// A host's life with these troubles; it ends ready, and no rule is broken on the way.
fn life(faults: &[Fault]) -> Outcome {
    let mut lab = Lab::new(Options::calm(11));
    for fault in faults {
        let site = matches!(fault, Fault::StoreFailed | Fault::StoreSlow | Fault::InventoryFailed | Fault::VaultFailed);
        lab.afflict((!site).then_some(HOST), *fault);
    }
    lab.operators_begin();
    assert!(lab.until(HOST, Phase::Ready), "{}", lab.end());
    lab.settle();
    assert!(lab.key_is_gone(HOST) && lab.boots_from_disk(HOST));
    let outcome = lab.end();
    assert!(outcome.broken.is_none(), "{outcome}");
    for fault in faults {
        let done = |deed: &provisioning_sim::invariants::Deed| matches!(deed, provisioning_sim::invariants::Deed::Fault { fault: done, .. } if done == fault);
        assert!(outcome.deeds.iter().any(|(_, _, deed)| done(deed)), "{fault} had its occasion");
    }
    outcome
}

/// How many operations were started, and why those failed that did.
fn check(faults: &[Fault], failures: &[&str]) {
    let outcome = life(faults);
    let why = |what: &Happening| match what {
        Happening::Moved { event: EventKind::StepFailed { why, .. }, to: Phase::Failed, .. } => Some(why.as_str()),
        Happening::Moved { event: EventKind::Expired { .. }, to: Phase::Failed, .. } => Some("deadline_passed"),
        _ => None,
    };
    let found: Vec<&str> = outcome.journal.iter().filter_map(|entry| why(&entry.what)).collect();
    assert_eq!(found, failures, "{faults:?}");
}

#[test]
fn a_life_without_trouble_is_one_operation_and_one_join() {
    let numbers = life(&[]).statistics;
    assert_eq!((numbers.operations, numbers.lives, numbers.joins, numbers.failures), (1, 1, 1, 0));
}

#[test]
fn a_lost_webhook_costs_nothing() {
    check(&[Fault::LostRequest(Message::Webhook)], &[]);
    check(&[Fault::LostReply(Message::Webhook)], &[]);
}

#[test]
fn doubled_messages_cost_nothing() {
    use Message::{Answer, BootScript, FirstBootScript, PhoneHome, Webhook};
    check(&[BootScript, Answer, FirstBootScript, Webhook, PhoneHome].map(Fault::Doubled), &[]);
}

#[test]
fn a_lost_answer_costs_the_operation_and_never_a_second_installer() {
    check(&[Fault::LostReply(Message::Answer)], &["deadline_passed"]);
    check(&[Fault::LostRequest(Message::Answer)], &["deadline_passed"]);
}

#[test]
fn a_phone_home_that_is_lost_is_sent_again() {
    check(&[Fault::LostRequest(Message::PhoneHome), Fault::LostReply(Message::PhoneHome)], &[]);
}

#[test]
fn ports_that_fail_once_cost_nothing() {
    check(&[Fault::StoreFailed, Fault::StoreSlow, Fault::VaultFailed, Fault::InventoryFailed], &[]);
}

#[test]
fn a_boot_loop_before_the_answer_costs_nothing() {
    check(&[Fault::BootLoop], &[]);
}

#[test]
fn a_refused_password_fails_the_join_which_is_resumed() {
    check(&[Fault::JoinRefused], &["join_failed"]);
}

#[test]
fn a_member_that_does_not_answer_fails_the_join_which_is_resumed() {
    check(&[Fault::JoinUnreachable], &["join_failed"]);
}

#[test]
fn a_join_that_half_succeeds_is_cleaned_up_and_done_again() {
    let outcome = life(&[Fault::JoinDies]);
    assert_eq!(outcome.statistics.operations, 2);
    let advised = outcome.journal.iter().any(|entry| match &entry.what {
        Happening::Moved { event: EventKind::StepFailed { why, .. }, .. } => {
            matches!(why, FailureReason::HalfJoined { .. } | FailureReason::JoinFailed { .. })
        }
        _ => false,
    });
    assert!(advised, "{outcome:?}");
}

#[test]
fn a_killed_join_is_resumed() {
    check(&[Fault::JoinKilled], &["join_failed"]);
}

#[test]
fn another_machine_at_the_hosts_address_is_never_logged_in_to() {
    check(&[Fault::ForeignHostKey], &["host_key_mismatch"]);
}

#[test]
fn a_refusing_inventory_fails_and_is_resumed() {
    check(&[Fault::InventoryRefused], &["inventory_refused"]);
}

#[test]
fn a_broken_connection_costs_nothing() {
    check(&[Fault::SshCut, Fault::SshCut], &[]);
}

/// What the journal of a whole life says, in which somebody sets the clock in this phase.
fn life_with_a_leap(phase: Phase, leap: fn(&mut Lab)) -> String {
    let mut lab = Lab::new(Options::calm(5));
    lab.operators_begin();
    assert!(lab.until(HOST, phase));
    // In `installing` the installer begins to write within half a minute, and has its full time from then on.
    lab.wait(Duration::from_secs(40));
    leap(&mut lab);
    assert!(lab.until(HOST, Phase::Ready), "{:?}", lab.why(HOST));
    let outcome = lab.end();
    assert!(outcome.broken.is_none(), "{outcome}");
    assert_eq!(outcome.statistics.operations, 1, "nobody failed of it");
    format!("{:?}", outcome.journal)
}

#[test]
fn a_clock_that_is_set_forward_moves_the_deadlines_along_and_says_so() {
    for phase in [Phase::PxeBooted, Phase::Installing] {
        let journal = life_with_a_leap(phase, |lab| lab.leap_forward(Duration::from_secs(61 * 60)));
        assert!(journal.contains("the clock was set forward by 3660 s: 1 deadlines"), "{journal}");
    }
}

#[test]
fn a_clock_that_is_set_back_gives_no_more_time_than_before() {
    for phase in [Phase::PxeBooted, Phase::Installing] {
        let journal = life_with_a_leap(phase, |lab| lab.leap_back(Duration::from_secs(60 * 60)));
        assert!(journal.contains("the clock was set back by 3600 s: 1 deadlines"), "{journal}");
    }
}

#[test]
fn a_process_that_is_killed_in_every_phase_goes_on() {
    let mut lab = Lab::new(Options::calm(6));
    lab.operators_begin();
    for phase in [Phase::PxeReady, Phase::PxeBooted, Phase::Installing, Phase::Installed, Phase::Joining] {
        assert!(lab.until(HOST, phase), "{phase}");
        lab.kill_process();
    }
    assert!(lab.until(HOST, Phase::Ready));
    lab.settle();
    let outcome = lab.end();
    assert!(outcome.broken.is_none(), "{outcome}");
    assert_eq!((outcome.statistics.operations, outcome.statistics.joins), (1, 1));
}
