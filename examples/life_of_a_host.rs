//! The life of a host, top down: from bare metal to member of its cluster, in a world that a seed decides.
//!
//! `cargo run -p examples --example life_of_a_host`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use provisioning_core::machine::Phase;
use provisioning_sim::world::{Lab, Options};

const HOST: &str = "pve-01";

fn main() -> anyhow::Result<()> {
    let mut lab = Lab::new(Options::calm(7));
    println!("{}  the world begins", lab.clock());

    lab.operators_begin(); // an operator registers the host, rebuilds it, and presses its power button
    let mut reaches = |phase: Phase, told: &str| {
        anyhow::ensure!(lab.until(HOST, phase), "the host never became {phase}");
        println!("{}  {:<11} {told}", lab.clock(), phase.as_str());
        Ok(())
    };
    reaches(Phase::PxeReady, "armed: the boot plan gives it the installer")?;
    reaches(Phase::PxeBooted, "its firmware asked, and was given the boot script")?;
    reaches(Phase::Installing, "its installer fetched the answer, and writes the disks")?;
    reaches(Phase::Installed, "its installer reported")?;
    reaches(Phase::Joining, "it booted from disk, and its one-time key opened it")?;
    reaches(Phase::Ready, "a member, quorate, known to the inventory")?;

    lab.settle();
    anyhow::ensure!(lab.key_is_gone(HOST), "the one-time key opens nothing any more");
    anyhow::ensure!(lab.boots_from_disk(HOST), "it is never installed again unless somebody asks");
    let outcome = lab.end();
    anyhow::ensure!(outcome.broken.is_none(), "{outcome}");
    println!(
        "{} journal entries, {} writes of the store, no rule broken",
        outcome.journal.len(),
        outcome.statistics.commits
    );
    Ok(())
}

#[test]
fn the_life_ends_ready() -> anyhow::Result<()> {
    main()
}
