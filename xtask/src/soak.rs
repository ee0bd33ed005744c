//! `cargo xtask soak`: the kill test of `provisioning-server/tests/loopback`, for much longer than a check may take.

use crate::shell::Shell;

/// How long and how wide.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SoakArgs {
    /// How often the server is killed in all; some 24 times per fleet
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    points: u32,
    /// Machines in a fleet
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    hosts: u16,
    /// Decides where the server is killed and what the machines do; each fleet takes the next one
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// The Proxmox VE release that is installed, 8.3 or later
    #[arg(long, default_value = "9.2", value_name = "RELEASE")]
    release: String,
    /// Build with optimisations, as a server in use is: takes some minutes more at first
    #[arg(long)]
    optimized: bool,
}

const EXAMPLES: &str = "\
The seed of each fleet is printed before it starts and the sum so far after it; the line that begins with
`soak:` is the sum of all. To repeat a failure: the last seed, as many --hosts, and --points 20.

Examples:
  cargo xtask soak                        200 kills, fleets of 8, some 5 minutes
  cargo xtask soak --points 20 --seed 47 --hosts 6
                                          one fleet, the same that the checks run
  cargo xtask soak --release 8.4          installers that ask and answer as those of 8.4 do";

/// The test that it runs.
const TEST: &str = "killed::a_killed_server_loses_no_host_and_joins_none_twice";

/// Builds the server and its test, and runs it in this terminal.
///
/// # Errors
/// When a build fails, or the test finds something wrong.
pub(crate) fn run(shell: &Shell, args: &SoakArgs) -> anyhow::Result<()> {
    let env = environment(args);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    shell.cargo_with(&command(args), &env)
}

fn environment(args: &SoakArgs) -> [(&'static str, String); 4] {
    [
        ("SOAK_POINTS", args.points.to_string()),
        ("SOAK_HOSTS", args.hosts.to_string()),
        ("SOAK_SEED", args.seed.to_string()),
        ("SOAK_RELEASE", args.release.clone()),
    ]
}

/// `cargo test` and not nextest, which ends tests that take long.
fn command(args: &SoakArgs) -> Vec<&'static str> {
    let mut command = vec!["test", "-p", "provisioning-server", "--test", "loopback", "--locked"];
    command.extend(args.optimized.then_some("--release"));
    command.extend(["--", "--exact", TEST, "--nocapture"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_that_it_runs_is_there_and_reads_what_it_is_told() {
        let source = include_str!("../../provisioning-server/tests/loopback/killed.rs");
        let name = TEST.rsplit("::").next().expect("a path has a last part");
        assert!(source.contains(&format!("async fn {name}()")));
        let args = SoakArgs { points: 1, hosts: 2, seed: 3, release: "9.2".to_owned(), optimized: true };
        assert!(environment(&args).iter().all(|(variable, _)| source.contains(&format!("\"{variable}\""))));
        assert!(command(&args).contains(&"--release"));
    }
}
