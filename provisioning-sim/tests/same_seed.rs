//! The same seed gives the same journal, byte for byte: what a run finds can be found again.

use provisioning_sim::world::{Options, Plant, run};

fn journal(seed: u64) -> String {
    let outcome = run(Options { hosts: 2, hours: 2, ..Options::new(seed) }, Plant::default());
    let lines: Result<Vec<String>, _> = outcome.journal.iter().map(serde_json::to_string).collect();
    lines.expect("entries are JSON").join("\n")
}

#[test]
fn a_hundred_seeds_give_the_same_journal_twice() {
    for seed in 1..=100 {
        // On another thread, so that nothing of a thread has a say.
        let (once, twice) = std::thread::scope(|scope| {
            let other = scope.spawn(|| journal(seed));
            (journal(seed), other.join().expect("the second run ends like the first"))
        });
        assert!(once.len() > 4_000, "seed {seed} has a journal to speak of");
        let differ = once.lines().zip(twice.lines()).find(|(one, other)| one != other);
        assert!(once == twice, "seed {seed} differs, first in {differ:?}");
    }
}

#[test]
fn another_seed_gives_another_journal() {
    assert_ne!(journal(1), journal(2));
}
