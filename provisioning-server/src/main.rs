//! The `provisioning` program.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use provisioning_server::cli::{Cli, exit_code};
use provisioning_server::systemd::Inherited;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before there are threads: it takes what it reads out of the environment.
    let outcome = Inherited::take().map_err(anyhow::Error::from).and_then(|inherited| {
        let runtime = tokio::runtime::Runtime::new().context("cannot start to work")?;
        runtime.block_on(cli.run(inherited))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When even stderr is gone there is nobody to tell.
            writeln!(std::io::stderr(), "provisioning: {error:#}").ok();
            ExitCode::from(exit_code(&error))
        }
    }
}
