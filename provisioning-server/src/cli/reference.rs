//! `provisioning completions` and `provisioning man`: the command line for shells and for reading.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Writes a page for each command into this directory, instead of the main one to the terminal.
    directory: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "provisioning", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<()> {
    if let Some(directory) = &args.directory {
        return pages(directory);
    }
    let mut page = vec![];
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    io::stdout().lock().write_all(&page)?;
    Ok(())
}

fn pages(directory: &Path) -> anyhow::Result<()> {
    let shown = || directory.display().to_string();
    std::fs::create_dir_all(directory).with_context(shown)?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(shown)
}
