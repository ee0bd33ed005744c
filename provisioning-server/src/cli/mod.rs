//! The command line: what can be said to the `provisioning` program, and who does it.

mod ask;
mod backup;
mod check_config;
mod client;
mod config;
mod dhcp_snippet;
mod discovered;
mod doctor;
mod failure;
mod healthcheck;
mod host;
mod image;
mod notify;
mod op;
mod password;
mod pinned;
mod rebuild;
mod reference;
pub(crate) mod serve;
mod table;
mod token;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Parser, Subcommand};

use provisioning_core::model::Secret;

use crate::config::{Config, DEFAULT_PATHS};
use crate::systemd::Inherited;
use failure::EXIT_CODES;
pub use failure::exit_code;
use pinned::Fingerprint;

const EXAMPLES: &str = "\
Examples:
  provisioning demo
  provisioning config init
  provisioning check-config --explain
  provisioning serve --config provisioning.yaml
  provisioning image import proxmox-ve_9.2-1.iso
  provisioning host register pve-07 --mac 52:54:00:12:34:56 --server-type lab
  provisioning host rebuild pve-07
  provisioning host list --json
  provisioning watch --server https://prov.lab:8080 --token-file token";

/// The release, and the commit that it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("PROVISIONING_BUILD"), ")");

/// Turns bare machines into members of a Proxmox VE cluster, unattended.
#[derive(Debug, Parser)]
#[command(
    name = "provisioning",
    version = VERSION,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}")
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until it is told to stop (SIGTERM or Ctrl-C).
    #[command(after_help = "Example:\n  provisioning serve --config /etc/provisioning/provisioning.yaml")]
    Serve(ConfigArgs),
    /// Watch simulated machines join a simulated cluster through the real server, without any configuration.
    #[cfg(feature = "demo")]
    #[command(after_help = "Examples:
  provisioning demo
  provisioning demo --once --hosts 12 --seed 7 --listen 127.0.0.1:0")]
    Demo(crate::demo::DemoArgs),
    /// Read the configuration and report every fault, with its file, line and key; or what it means.
    #[command(after_help = check_config::EXAMPLES)]
    CheckConfig(check_config::CheckArgs),
    /// Write a configuration to begin with, or print its schema.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Ask the server on this machine whether it is well.
    #[command(after_help = healthcheck::EXAMPLES)]
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Import, list and remove Proxmox VE ISOs.
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Register, list, edit and rebuild hosts.
    #[command(subcommand)]
    Host(host::HostCommand),
    /// List, adopt and dismiss machines that were seen on the network and belong to no host.
    #[command(subcommand)]
    Discovered(discovered::DiscoveredCommand),
    /// Say how far a machine's netboot came, what is missing, why that is likely, and what to do.
    #[command(after_help = "Examples:
  provisioning pxe-doctor 52:54:00:12:34:56
  provisioning pxe-doctor pve-07 --json")]
    PxeDoctor(discovered::DoctorArgs),
    /// Make, list and revoke operators' tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// The dashboard's password.
    #[command(subcommand)]
    Password(password::PasswordCommand),
    /// Print what your own DHCP server needs to be told, filled in from the configuration.
    #[command(after_help = dhcp_snippet::EXAMPLES)]
    DhcpSnippet(dhcp_snippet::SnippetArgs),
    /// Look at operations and what they left behind.
    #[command(subcommand)]
    Op(op::OpCommand),
    /// See whether services are told of events, and try it.
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Follow what happens, live.
    #[command(after_help = "Examples:
  provisioning watch
  provisioning watch pve-07 pve-08 --until-settled
  provisioning watch --json | jq .what.kind")]
    Watch(watch::WatchArgs),
    /// Look at everything that a server needs, and say what is wrong and what to do. Changes nothing.
    #[command(after_help = doctor::HELP)]
    Doctor(doctor::DoctorArgs),
    /// Copy all data but keys and ISOs into one file, while a server runs or not.
    #[command(after_help = backup::BACKUP_HELP)]
    Backup(backup::BackupArgs),
    /// Go back to a backup.
    #[command(after_help = backup::RESTORE_HELP)]
    Restore(backup::RestoreArgs),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  provisioning completions bash > /etc/bash_completion.d/provisioning")]
    Completions(reference::CompletionsArgs),
    /// Print the manual page, or write one for each command.
    #[command(after_help = "Examples:\n  provisioning man | man -l -\n  provisioning man /usr/local/share/man/man1")]
    Man(reference::ManArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration; without it ./provisioning.yaml, then /etc/provisioning/provisioning.yaml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How commands reach the server.
#[derive(Debug, Args)]
struct Connection {
    /// A server elsewhere; its token is read from --token-file or the variable PROVISIONING_TOKEN. Without this the
    /// configuration's data directory is used: over its control socket while a server runs, else by itself.
    #[arg(long, value_name = "URL", env = "PROVISIONING_SERVER")]
    server: Option<String>,
    /// A file with the operators' token for --server.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    /// The operators' token for --server. On the command line every user of this machine sees it: use --token-file or
    /// the variable.
    #[arg(id = "operators-token", long = "token", value_name = "TOKEN", env = "PROVISIONING_TOKEN", hide_env_values = true, value_parser = secret)]
    token: Option<Secret<String>>,
    /// The certificates, as PEM, that --server's own is checked against, in place of the system's.
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with = "fingerprint")]
    ca_file: Option<PathBuf>,
    /// The SHA-256 of --server's certificate, which is trusted then, whoever has signed it.
    #[arg(long, value_name = "SHA256", requires = "server")]
    fingerprint: Option<Fingerprint>,
    /// The configuration, when no --server is given; without it as `serve` finds it.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    config: Option<PathBuf>,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever went wrong, in words for the person at the terminal.
    pub async fn run(self, inherited: Inherited) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(args) => serve::serve(load(args.config.as_deref())?, inherited).await,
            #[cfg(feature = "demo")]
            Command::Demo(args) => Box::pin(crate::demo::run(args)).await,
            Command::CheckConfig(args) => check_config::run(&args),
            Command::Config(command) => config::run(&command),
            Command::Healthcheck(args) => healthcheck::run(&args).await,
            Command::Image(command) => image::run(command).await,
            Command::Host(command) => host::run(command).await,
            Command::Discovered(command) => discovered::run(command).await,
            Command::PxeDoctor(args) => discovered::diagnose(args).await,
            Command::Token(command) => token::run(command).await,
            Command::Password(command) => password::run(&command),
            Command::DhcpSnippet(args) => dhcp_snippet::print(&args),
            Command::Op(command) => op::run(command).await,
            Command::Notify(command) => notify::run(command).await,
            Command::Watch(args) => watch::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Backup(args) => backup::backup(args).await,
            Command::Restore(args) => backup::restore(args).await,
            Command::Completions(args) => reference::completions(&args),
            Command::Man(args) => reference::man(&args),
        }
    }
}

/// Keeps an argument out of `Debug` output.
#[expect(clippy::unnecessary_wraps, reason = "a parser of arguments gives a Result")]
fn secret(text: &str) -> Result<Secret<String>, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// Loads the configuration that was named, or the first that is there.
fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    Ok(Config::load(&configuration_path(path)?, variables())?)
}

/// The configuration that was named, or the first that is there.
fn configuration_path(path: Option<&Path>) -> anyhow::Result<PathBuf> {
    let found = || DEFAULT_PATHS.iter().map(Path::new).find(|path| path.exists());
    match path.or_else(found) {
        Some(path) => Ok(path.to_owned()),
        None => bail!(
            "there is no {}: name a configuration with --config FILE, or write one with provisioning config init",
            DEFAULT_PATHS.join(" and no ")
        ),
    }
}

/// The environment, as far as it is text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_version_tells_the_release_and_what_it_was_built_from() {
        let shown = Cli::command().render_version();
        let built_from = shown.trim().strip_prefix(concat!("provisioning ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
        assert!(built_from.strip_suffix(')').is_some_and(|what| !what.is_empty()), "{shown}");
    }
}
