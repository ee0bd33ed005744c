//! The project's own chores, so that a machine and a human run the same checks: `cargo xtask test`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal: its output is its purpose")]

mod api_fuzz;
mod bench;
mod browser;
mod lab;
mod plot;
mod purity;
mod results;
mod run;
mod schemathesis;
mod setup;
mod shell;
mod soak;
mod steps;
mod summary;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                        everything, as on the machine that checks each change
  cargo xtask test --fix                  format, let clippy repair what it can, then check everything
  cargo xtask test --fast                 the steps that find most faults in the least time
  cargo xtask test --only clippy          one step; may be given several times
  cargo xtask test --list                 the names of the steps and what each is for
  cargo xtask setup                       install what the checks need and this machine lacks
  cargo xtask soak                        kill a real server 200 times while fleets come to ready
  cargo xtask soak --points 20000 --seed 9 --optimized
                                          as long as a night, other places, an optimised build
  cargo xtask lab                         netboot one BIOS and one UEFI machine from the real server, to ready
  cargo xtask bench                       speed and memory, beside nginx and other peers";

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Runs all checks in order and stops at the first that fails
    #[command(after_help = EXAMPLES)]
    Test(run::TestArgs),
    /// Installs what the checks need and this machine lacks; does nothing when all is there
    Setup,
    /// Kills a real server at many places of the lives of simulated fleets, and looks at what is left
    Soak(soak::SoakArgs),
    /// Measures speed and memory beside peers, on the release build
    Bench(bench::BenchArgs),
    /// Lets virtual machines with real firmware netboot from the real server, in a network of their own
    Lab(lab::LabArgs),
}

fn main() -> ExitCode {
    let shell = shell::Shell::at_workspace_root();
    let done = match Cli::parse().chore {
        Chore::Test(args) => run::test(&shell, &args),
        Chore::Setup => setup::run(&shell).map(|()| println!("everything the checks need is here")),
        Chore::Soak(args) => soak::run(&shell, &args),
        Chore::Bench(args) => bench::run(&shell, &args),
        Chore::Lab(args) => lab::run(&shell, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
