//! `provisioning password …`

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use provisioning_core::model::Secret;

use super::failure::{Failure, Trouble};
use crate::access::hash_password;

#[derive(Debug, Subcommand)]
pub(super) enum PasswordCommand {
    /// Read a password from standard input and print its hash for auth.password_hash.
    #[command(after_help = "Examples:
  provisioning password hash
  pass show provisioning | provisioning password hash")]
    Hash,
}

pub(super) fn run(command: &PasswordCommand) -> anyhow::Result<()> {
    let PasswordCommand::Hash = command;
    let password = ask_twice("Password: ")?;
    if password.expose().len() < 10 {
        bail!("a password has at least 10 characters");
    }
    writeln!(io::stdout().lock(), "{}", hash_password(&password)?.expose())?;
    Ok(())
}

/// A password that is typed twice at a terminal; a pipe says it once.
pub(super) fn ask_twice(prompt: &str) -> anyhow::Result<Secret<String>> {
    let password = ask(prompt)?;
    if io::stdin().is_terminal() && ask("Once more: ")? != password {
        bail!("the two differ");
    }
    Ok(password)
}

/// A line of standard input, which a terminal does not show.
fn ask(prompt: &str) -> anyhow::Result<Secret<String>> {
    let _quiet = if io::stdin().is_terminal() {
        // First quiet, which throws away what was typed before, and then the prompt.
        let quiet = Quiet::new().context("the terminal cannot be told not to show what is typed")?;
        write!(io::stderr().lock(), "{prompt}")?;
        Some(quiet)
    } else {
        None
    };
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(Failure::new(Trouble::NotConfirmed, "the input ended before a password was given").into());
    }
    let password = Secret::new(line.trim_end_matches(['\n', '\r']).to_owned());
    // The line itself is zeroed as well.
    drop(Secret::new(line));
    Ok(password)
}

/// A terminal that shows nothing of what is typed, as long as this lives.
struct Quiet(Termios);

impl Quiet {
    fn new() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs no setting back.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0).ok();
        writeln!(io::stderr()).ok();
    }
}
