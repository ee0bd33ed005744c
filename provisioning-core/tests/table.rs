//! The machine's table, whole: every state against every event, generated from `step` and kept as a snapshot.
//! A change of any cell shows up in review.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use provisioning_core::machine::{
    BootAnswer, Contact, Effect, Event, EventKind, FailureReason, HostState, JoinStep, Leg, Outcome, Policy, Run,
    WorkKind, answer_decision, boot_answer, on_entry, step,
};
use provisioning_core::model::{OperationId, Timestamp};

/// Seconds after the leg was entered.
fn after(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + seconds * 1_000)
}

fn operation(n: u8) -> OperationId {
    OperationId::from_bytes([n; 16])
}

const THIS: u8 = 1;
const OTHER: u8 = 2;

fn provisioning(leg: Leg, deadline: Option<Timestamp>) -> HostState {
    let run = Run::new(operation(THIS), after(0), deadline);
    HostState::Provisioning { leg, run }
}

fn writing() -> HostState {
    let run = Run { writes_disks: true, ..Run::new(operation(THIS), after(0), Some(after(3_600))) };
    HostState::Provisioning { leg: Leg::Installing, run }
}

fn failed(during: Leg, resumable_until: Option<Timestamp>) -> HostState {
    HostState::Failed {
        by: operation(THIS),
        during,
        why: FailureReason::KeyStillOpens,
        since: after(0),
        resumable_until,
        contact: Contact::default(),
    }
}

fn states() -> Vec<(&'static str, HostState)> {
    use JoinStep::{Join, Register, RevokeKey};
    let hour = Some(after(3_600));
    vec![
        ("registered", HostState::Registered),
        ("pxe_ready", provisioning(Leg::PxeReady, None)),
        ("pxe_booted", provisioning(Leg::PxeBooted, hour)),
        ("installing", provisioning(Leg::Installing, hour)),
        ("installing: writes disks", writing()),
        ("installed", provisioning(Leg::Installed, hour)),
        ("first_boot", provisioning(Leg::FirstBoot, hour)),
        ("joining: queued", provisioning(Leg::Joining(Join), None)),
        ("joining: join", provisioning(Leg::Joining(Join), hour)),
        ("joining: revoke_key", provisioning(Leg::Joining(RevokeKey), hour)),
        ("joining: register", provisioning(Leg::Joining(Register), hour)),
        ("ready", HostState::Ready { by: operation(THIS), since: after(0) }),
        ("failed", failed(Leg::Installing, None)),
        ("failed: resumable", failed(Leg::Joining(RevokeKey), hour)),
    ]
}

fn events() -> Vec<(&'static str, Event, Timestamp)> {
    use JoinStep::{Join, Register, RevokeKey};
    let at = after(120);
    let this = |kind: EventKind| kind.of(operation(THIS));
    let failed = |step| EventKind::StepFailed { step, why: FailureReason::KeyStillOpens };
    let expired = || EventKind::Expired { last_error: None };
    vec![
        ("start, the same again", this(EventKind::Started), at),
        ("start, another", EventKind::Started.of(operation(OTHER)), at),
        ("boot script fetched", this(EventKind::BootScriptFetched), at),
        ("answer fetched", this(EventKind::AnswerFetched), at),
        ("installer began", this(EventKind::InstallerBegan), at),
        ("install reported", this(EventKind::InstallReported(Contact::default())), at),
        ("first boot reported", this(EventKind::FirstBootReported(Contact::default())), at),
        ("shell opened", this(EventKind::ShellOpened), at),
        ("join slot granted", this(EventKind::JoinSlotGranted), at),
        ("join done", this(EventKind::StepDone { step: Join }), at),
        ("revoke_key done", this(EventKind::StepDone { step: RevokeKey }), at),
        ("register done", this(EventKind::StepDone { step: Register }), at),
        ("join failed", this(failed(Join)), at),
        ("revoke_key failed", this(failed(RevokeKey)), at),
        ("register failed", this(failed(Register)), at),
        ("expired, too early", this(expired()), at),
        ("expired", this(expired()), after(3_600)),
        ("cancelled", this(EventKind::Cancelled), at),
        ("resumed", this(EventKind::Resumed), at),
        ("clock leapt", this(EventKind::ClockLeapt { by_millis: 60_000 }), at),
        ("resumed, too late", this(EventKind::Resumed), after(3_600)),
        ("another's boot script fetched", EventKind::BootScriptFetched.of(operation(OTHER)), at),
        ("another's install reported", EventKind::InstallReported(Contact::default()).of(operation(OTHER)), at),
        ("another's expired", expired().of(operation(OTHER)), after(3_600)),
    ]
}

/// A state in the table's words.
fn shown(state: &HostState) -> String {
    match state {
        HostState::Provisioning { leg: Leg::Installing, run } if run.writes_disks => "installing: writes disks".into(),
        HostState::Provisioning { leg: Leg::Joining(JoinStep::Join), run } if run.deadline.is_none() => {
            "joining: queued".into()
        }
        HostState::Provisioning { leg: Leg::Joining(JoinStep::Join), .. } => "joining: join".into(),
        HostState::Provisioning { leg: Leg::Joining(JoinStep::RevokeKey), .. } => "joining: revoke_key".into(),
        HostState::Provisioning { leg: Leg::Joining(JoinStep::Register), .. } => "joining: register".into(),
        HostState::Failed { resumable_until: Some(_), .. } => "failed: resumable".into(),
        other => other.phase().to_string(),
    }
}

fn shown_effects(effects: &[Effect]) -> String {
    let one = |effect: &Effect| match effect {
        Effect::SyncBoot => "sync_boot".to_owned(),
        Effect::Work { kind, due, .. } if *due > after(120) && *kind == WorkKind::EraseKey && *due != after(3_600) => {
            "erase_key later".to_owned()
        }
        Effect::Work { kind, .. } => kind.as_str().to_owned(),
    };
    effects.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn cell(state: &HostState, event: &Event, at: Timestamp) -> String {
    match step(state, event, at, &Policy::default()) {
        Ok(Outcome::Ignored(why)) => format!("=  {why:?}"),
        Err(_) => "x".into(),
        Ok(Outcome::Advanced(transition)) if shown(&transition.next) == shown(state) => {
            let deadline =
                transition.next.deadline().map_or("none".into(), |d| format!("{} s on", d.since(at).as_secs()));
            format!("-> same, deadline {deadline}")
        }
        Ok(Outcome::Advanced(transition)) => {
            format!("-> {}  [{}]", shown(&transition.next), shown_effects(&transition.effects))
        }
    }
}

#[test]
fn the_table_is_as_it_was_agreed() {
    let mut table = String::new();
    for (name, state) in states() {
        writeln!(
            table,
            "{name}  (boots: {:?}, deadline: {:?})",
            boot_answer(&state),
            state.deadline().map(|d| d.since(after(0)))
        )
        .unwrap();
        for (what, event, at) in events() {
            writeln!(table, "    {what:<30} {}", cell(&state, &event, at)).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn an_installer_gets_its_answer_while_armed_and_once_more_within_a_minute() {
    let policy = Policy::default();
    let table: Vec<String> = states()
        .iter()
        .map(|(name, state)| {
            let decide = |seconds| answer_decision(state, after(seconds), &policy);
            format!("{name}: {:?}, after a minute {:?}", decide(59), decide(60))
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r"
    registered: NotArmed, after a minute NotArmed
    pxe_ready: Serve, after a minute Serve
    pxe_booted: Serve, after a minute Serve
    installing: ServeAgain, after a minute AlreadyInstalled
    installing: writes disks: ServeAgain, after a minute AlreadyInstalled
    installed: AlreadyInstalled, after a minute AlreadyInstalled
    first_boot: AlreadyInstalled, after a minute AlreadyInstalled
    joining: queued: AlreadyInstalled, after a minute AlreadyInstalled
    joining: join: AlreadyInstalled, after a minute AlreadyInstalled
    joining: revoke_key: AlreadyInstalled, after a minute AlreadyInstalled
    joining: register: AlreadyInstalled, after a minute AlreadyInstalled
    ready: NotArmed, after a minute NotArmed
    failed: NotArmed, after a minute NotArmed
    failed: resumable: NotArmed, after a minute NotArmed
    ");
}

/// What happens next: an event of the present operation, or a late one of the operation before.
#[derive(Clone, Debug)]
struct Happens {
    kind: EventKind,
    is_late: bool,
    pause_seconds: u16,
}

fn any_event() -> impl Strategy<Value = Happens> {
    let kinds = events().into_iter().map(|(_, event, _)| event.kind).collect::<Vec<_>>();
    (proptest::sample::select(kinds), proptest::bool::weighted(0.2), 0..4_000_u16)
        .prop_map(|(kind, is_late, pause_seconds)| Happens { kind, is_late, pause_seconds })
}

proptest! {
    /// The rules of the design, over random lives. Every start is a new operation, as ids never repeat.
    #[test]
    fn no_sequence_of_events_breaks_a_rule(life in proptest::collection::vec(any_event(), 1..80)) {
        let policy = Policy { installing: Duration::from_secs(1_800), ..Policy::default() };
        let (mut state, mut at) = (HostState::Registered, after(0));
        let (mut present, mut newest) = (operation(0), 0_u8);
        let mut answered = std::collections::BTreeSet::new();
        for Happens { kind, is_late, pause_seconds } in life {
            at = at + Duration::from_secs(u64::from(pause_seconds));
            let before = state.clone();
            let event = match kind {
                EventKind::Started => {
                    newest += 1;
                    kind.of(operation(newest))
                }
                kind if is_late => kind.of(operation(newest.saturating_sub(1))),
                kind => kind.of(present),
            };
            match step(&before, &event, at, &policy) {
                Ok(Outcome::Advanced(transition)) => {
                    prop_assert_ne!(&transition.next, &before, "an advance changes something");
                    state = transition.next;
                }
                Ok(Outcome::Ignored(_)) | Err(_) => {}
            }
            present = state.operation().unwrap_or(present);
            if let HostState::Provisioning { leg, run } = &state {
                if *leg > Leg::PxeBooted {
                    answered.insert(run.operation);
                }
                // No reinstall loop: once the answer was handed out, never the installer again.
                if answered.contains(&run.operation) {
                    prop_assert_ne!(boot_answer(&state), BootAnswer::Installer);
                }
                // Every leg but the two that wait for somebody has a deadline.
                let waits = matches!(leg, Leg::PxeReady | Leg::Joining(JoinStep::Join));
                prop_assert!(waits || run.deadline.is_some(), "{:?} waits for ever", leg);
            }
            // A restart asks again what must be done, and gets work for the present operation only.
            for effect in on_entry(&state, at) {
                if let Effect::Work { operation, .. } = effect {
                    prop_assert_eq!(Some(operation), state.operation());
                }
            }
        }
    }
}
