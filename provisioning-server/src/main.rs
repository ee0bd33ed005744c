//! The `provisioning` program.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use provisioning_server::cli::{Cli, exit_code};

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When even stderr is gone there is nobody to tell.
            writeln!(std::io::stderr(), "provisioning: {error:#}").ok();
            ExitCode::from(exit_code(&error))
        }
    }
}
