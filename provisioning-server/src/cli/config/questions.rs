//! Asking, proposing, or taking from a flag: one value at a time.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::str::FromStr;

use crate::cli::failure::{Failure, Trouble};
use crate::setup::Proposal;

/// How values are found that no flag gives.
#[derive(Debug)]
pub(super) struct Questions {
    /// Whether proposals are taken without asking.
    takes_proposals: bool,
    /// Flags that must be given, where nobody can be asked.
    lacking: Vec<String>,
    /// What was taken without asking.
    taken: Vec<String>,
}

/// One value to find.
pub(super) struct Question<'q> {
    /// What it is, as a person is asked for it.
    pub(super) about: &'q str,
    /// The flag that gives it.
    pub(super) flag: &'q str,
    /// What the flag says.
    pub(super) given: Option<&'q str>,
    /// What is proposed.
    pub(super) proposal: Option<Proposal>,
}

impl Questions {
    /// # Errors
    /// When nobody can be asked, and proposals shall not be taken.
    pub(super) fn new(takes_proposals: bool) -> anyhow::Result<Self> {
        if !takes_proposals && !io::stdin().is_terminal() {
            let text = "there is no terminal to ask at: --yes takes what this machine proposes, flags say the rest";
            return Err(Failure::new(Trouble::NotConfirmed, text).into());
        }
        Ok(Self { takes_proposals, lacking: vec![], taken: vec![] })
    }

    /// Whether there is a person to ask.
    pub(super) fn can_ask(&self) -> bool {
        !self.takes_proposals
    }

    /// Finds a value and checks it; `None` when it is lacking, which `finish` reports.
    ///
    /// # Errors
    /// When the flag's value is wrong, or the terminal ends.
    pub(super) fn ask<T: FromStr<Err: Display>>(&mut self, question: Question<'_>) -> anyhow::Result<Option<T>> {
        self.ask_with(question, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// The same with a check of its own.
    ///
    /// # Errors
    /// When the flag's value is wrong, or the terminal ends.
    pub(super) fn ask_with<T>(
        &mut self,
        question: Question<'_>,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<Option<T>> {
        let Question { about, flag, given, proposal } = question;
        if let Some(given) = given {
            let value = check(given).map_err(|problem| anyhow::anyhow!("{flag} {given:?}: {problem}"))?;
            return Ok(Some(value));
        }
        if self.takes_proposals {
            let Some(Proposal { value, because }) = proposal else {
                self.lacking.push(flag.to_owned());
                return Ok(None);
            };
            let checked = check(&value).map_err(|problem| anyhow::anyhow!("{flag} {value:?}: {problem}"))?;
            self.taken.push(format!("{flag} {value:?}, from {because}"));
            return Ok(Some(checked));
        }
        loop {
            let answer = line(&prompt(about, proposal.as_ref()))?;
            let answer = match &proposal {
                Some(proposal) if answer.is_empty() => proposal.value.as_str(),
                _ => answer.as_str(),
            };
            match check(answer) {
                Ok(value) => return Ok(Some(value)),
                Err(problem) => writeln!(io::stderr().lock(), "  {problem}")?,
            }
        }
    }

    /// Notes that a flag must be given.
    pub(super) fn lacks(&mut self, flag: &str) {
        self.lacking.push(flag.to_owned());
    }

    /// What was taken without asking.
    ///
    /// # Errors
    /// When something is lacking: all of it at once.
    pub(super) fn finish(self) -> anyhow::Result<Vec<String>> {
        if self.lacking.is_empty() {
            return Ok(self.taken);
        }
        let text =
            format!("this machine proposes nothing for these, and there is nobody to ask: {}", self.lacking.join(", "));
        Err(Failure::new(Trouble::NotConfirmed, text).into())
    }
}

fn prompt(about: &str, proposal: Option<&Proposal>) -> String {
    match proposal {
        Some(Proposal { value, because }) if value.is_empty() => format!("{about} [none, from {because}]: "),
        Some(Proposal { value, because }) => format!("{about} [{value}, from {because}]: "),
        None => format!("{about}: "),
    }
}

/// Asks for a line; the end of the input is the end of the command.
fn line(prompt: &str) -> anyhow::Result<String> {
    let mut err = io::stderr().lock();
    err.write_all(prompt.as_bytes())?;
    err.flush()?;
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(Failure::new(Trouble::NotConfirmed, "the input ended; nothing was written").into());
    }
    Ok(line.trim().to_owned())
}

/// `yes` and `no`, as people type them.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" => Ok(true),
        "n" | "no" | "false" => Ok(false),
        _ => Err("type yes or no".to_owned()),
    }
}
