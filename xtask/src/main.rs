//! The project's own chores, so that a machine and a human run the same checks: `cargo xtask test`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal: its output is its purpose")]

mod api_fuzz;
mod bench;
mod book;
mod browser;
mod deb;
mod docker;
mod lab;
mod plot;
mod purity;
mod results;
mod run;
mod sbom;
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
  cargo xtask book                        check what the book in docs/ says, and build it
  cargo xtask bench                       speed and memory, beside nginx and other peers
  cargo xtask docker                      build the image, run it, and bring simulated hosts to ready on it
  cargo xtask deb --release               build the Debian package, and try it in a test root
  cargo xtask sbom                        what the released program is made of, as CycloneDX";

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
    /// Runs the commands of the book in docs/, looks after its links, and builds it
    Book(book::BookArgs),
    /// Lets virtual machines with real firmware netboot from the real server, in a network of their own
    Lab(lab::LabArgs),
    /// Builds the container's image, and puts it through an operator's life on an engine of its own
    Docker(docker::DockerArgs),
    /// Builds the Debian package, and installs, upgrades, removes and purges it in a test root
    Deb(deb::DebArgs),
    /// Writes the bill of materials of the released program, as CycloneDX JSON
    Sbom(sbom::SbomArgs),
}

fn main() -> ExitCode {
    let shell = shell::Shell::at_workspace_root();
    let done = match Cli::parse().chore {
        Chore::Test(args) => run::test(&shell, &args),
        Chore::Setup => setup::run(&shell).map(|()| println!("everything the checks need is here")),
        Chore::Soak(args) => soak::run(&shell, &args),
        Chore::Bench(args) => bench::run(&shell, &args),
        Chore::Book(args) => book::run(&shell, &args).map(|not_run| {
            if let Some(why) = not_run {
                println!("!!! {why}");
            }
        }),
        Chore::Lab(args) => lab::run(&shell, &args),
        Chore::Docker(args) => docker::run(&shell, &args),
        Chore::Deb(args) => deb::run(&shell, &args),
        Chore::Sbom(args) => sbom::run(&shell, &args),
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
