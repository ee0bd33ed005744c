//! Questions to the person at the terminal; scripts are told which flag answers for them.

use std::io::{self, IsTerminal as _, Write as _};

use super::failure::{Failure, Trouble};

/// Asks, and gives the line that was typed.
pub(super) fn asked(question: &str, flag: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        let text = format!("this asks for confirmation and there is no terminal: use {flag}");
        return Err(Failure::new(Trouble::NotConfirmed, text).into());
    }
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Goes on only when the person types yes, or has said `--yes` before.
pub(super) fn confirm(what: &str, yes: bool) -> anyhow::Result<()> {
    if yes || asked(&format!("{what} Type yes to go on: "), "--yes")? == "yes" {
        return Ok(());
    }
    Err(Failure::new(Trouble::NotConfirmed, "nothing was done").into())
}
