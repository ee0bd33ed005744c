//! Many seeds with all troubles at once: no rule is ever broken, and in the end every host is ready.

use provisioning_sim::world::{Level, Options, Plant, Statistics, run};

/// Runs seeds on two threads and adds up what happened. Half the hosts and hours of the command line's: tests are
/// not optimised.
fn check(seeds: std::ops::Range<u64>, level: Level) -> Statistics {
    let half = |parity: u64| {
        let mut total = Statistics::default();
        for seed in seeds.clone().filter(|seed| seed % 2 == parity) {
            let outcome = run(Options { faults: level, hosts: 4, hours: 4, ..Options::new(seed) }, Plant::default());
            assert!(outcome.broken.is_none(), "{outcome}");
            total.add(&outcome.statistics);
        }
        total
    };
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        let mut total = half(0);
        total.add(&odd.join().expect("the other half holds too"));
        total
    })
}

#[test]
fn two_hundred_seeds_of_heavy_trouble_break_no_rule() {
    let total = check(1..201, Level::Heavy);
    assert!(total.lives > 800, "each host became ready at least once: {}", total.lives);
    assert!(total.failures > 100, "trouble is felt: {}", total.failures);
    let kinds =
        ["process killed", "power cut", "join that half succeeds", "store failed", "late message", "clock leapt"];
    for kind in kinds {
        assert!(total.faults.get(kind).is_some_and(|count| *count > 20), "{kind} is tried: {:?}", total.faults);
    }
}

#[test]
fn without_trouble_no_operation_fails() {
    let total = check(1..21, Level::None);
    assert_eq!((total.failures, total.faults.values().sum::<u64>()), (0, 0));
    assert_eq!(total.lives, total.operations);
    assert_eq!(total.joins, total.lives, "one join per life");
}
