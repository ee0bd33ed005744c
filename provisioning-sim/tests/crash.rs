//! The process dies at every point of a host's life, one after the other: before and after each call of a port.
//!
//! Exhaustive, not sampled. Every run ends ready, with one join, and with the one-time key gone.

use provisioning_sim::invariants::Deed;
use provisioning_sim::world::{Fault, Message, Options, Outcome, Plant, run};

/// A host's life with a death at one point.
fn life(crash_at: Option<u64>) -> Outcome {
    let outcome = run(Options { crash_at, ..Options::calm(3) }, Plant::default());
    // The rules hold at every step and in the end: ready, truly joined, no key left, nothing owed.
    assert!(outcome.broken.is_none(), "{outcome}");
    outcome
}

/// Whether the death cut the installer off while it waited for something it asks for only once.
fn cut_the_installer_off(outcome: &Outcome) -> bool {
    outcome.deeds.iter().any(|(_, _, deed)| {
        let once = [Fault::Reset(Message::Answer), Fault::Reset(Message::FirstBootScript)];
        matches!(deed, Deed::Fault { fault, .. } if once.contains(fault))
    })
}

fn check(points: impl Iterator<Item = u64>) -> (u64, u64) {
    let (mut died, mut cut_off) = (0, 0);
    for point in points {
        let outcome = life(Some(point));
        let deaths = outcome.statistics.faults.get("process killed").copied().unwrap_or(0);
        assert_eq!(deaths, 1, "the process passes point {point}");
        died += deaths;
        let numbers = &outcome.statistics;
        assert_eq!((numbers.lives, numbers.joins), (1, 1), "point {point}: one life, one join");
        if cut_the_installer_off(&outcome) {
            // No server can give back a connection that died with it: the operation ends, and is done again.
            cut_off += 1;
        } else {
            assert_eq!((numbers.operations, numbers.failures), (1, 0), "point {point}: a restart explains no failure");
        }
    }
    (died, cut_off)
}

#[test]
fn a_host_becomes_ready_wherever_the_process_dies() {
    let points = life(None).statistics.points;
    assert!(points > 300, "a life has many points: {points}");
    // The run's last points belong to the silence after it.
    let ((even, cut_even), (odd, cut_odd)) = std::thread::scope(|scope| {
        let odd = scope.spawn(|| check((1..=points).skip(1).step_by(2)));
        (check((1..=points).step_by(2)), odd.join().expect("the other half holds too"))
    });
    assert_eq!(even + odd, points, "every point was died at");
    let cut_off = cut_even + cut_odd;
    assert!(cut_off > 0 && cut_off < points / 10, "{cut_off} of {points} deaths cut the installer off");
}
