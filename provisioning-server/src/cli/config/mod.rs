//! `provisioning config …`: files to begin with, and schemas for editors.

mod answers;
mod init;
mod questions;

use std::io::{self, Write as _};

use clap::{Args, Subcommand};

use crate::config::{Document, schema};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Write provisioning.yaml and server-types.yaml, asking for what cannot be found out.
    ///
    /// Network, URL, time zone, country, keyboard and domain are proposed as this machine has them. Every key that is
    /// not set is there as a comment. Nothing is overwritten unless --force is given.
    #[command(after_help = init::EXAMPLES)]
    Init(Box<init::InitArgs>),
    /// Print the JSON schema of provisioning.yaml, by which editors complete and check.
    #[command(after_help = "Examples:
  provisioning config schema > provisioning.schema.json
  provisioning config schema --server-types > server-types.schema.json

In the first line of the file: # yaml-language-server: $schema=provisioning.schema.json")]
    Schema(SchemaArgs),
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// That of server-types.yaml instead.
    #[arg(long)]
    server_types: bool,
}

pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Init(args) => init::run(args),
        ConfigCommand::Schema(args) => {
            let document = if args.server_types { Document::ServerTypes } else { Document::Main };
            writeln!(io::stdout().lock(), "{:#}", schema(document))?;
            Ok(())
        }
    }
}
