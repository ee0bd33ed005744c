//! The simulator: virtual worlds of eight hosts and ten hours under heavy faults, in worlds per CPU second.

use std::time::Instant;

use anyhow::ensure;
use benches::Effort;
use benches::report::{Budget, Report, Row};
use provisioning_sim::world::{Options, Plant, run};

/// The budget for a thousand worlds on two cores, in seconds.
const BUDGET_SECONDS: f64 = 10.0;

fn main() -> anyhow::Result<()> {
    let effort = Effort::from_environment();
    let worlds: u64 = if effort.smoke { 4 } else { 1000 };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(2) as u64;
    let begin = Instant::now();
    let broken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                let seeds = (1..=worlds).filter(move |seed| seed % cores == core);
                scope.spawn(move || {
                    seeds.filter(|seed| run(Options::new(*seed), Plant::default()).broken.is_some()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a world does not panic")).sum()
    });
    ensure!(broken == 0, "{broken} worlds broke a rule");
    let mut report = Report::new("sim_hours", effort);
    report.add(Row {
        what: format!("{worlds} worlds of 8 hosts and 10 hours"),
        unit: "s",
        ours: begin.elapsed().as_secs_f64(),
        beside: "the budget".to_owned(),
        theirs: BUDGET_SECONDS,
        budget: if effort.smoke { Budget::None } else { Budget::AtMost(1.0) },
    });
    report.finish()
}
