//! The `provisioning` program.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use provisioning_server::capabilities;
use provisioning_server::cli::{Cli, exit_code};
use provisioning_server::systemd::Inherited;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When even stderr is gone there is nobody to tell.
            writeln!(std::io::stderr(), "provisioning: {error:#}").ok();
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // Both before there are threads: each thread has capabilities of its own, and what was inherited is taken out of the
    // environment.
    capabilities::take_up()?;
    let inherited = Inherited::take()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start to work")?;
    runtime.block_on(cli.run(inherited))
}
