//! Why a command did not do it, as the exit code tells scripts.

use std::fmt;

use provisioning_core::ports::BoxError;

use crate::config::Faults;

/// What kind of trouble it was. The numbers are part of the command line: they are in `provisioning --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// `doctor` has found what somebody should look at.
    Doubtful = 1,
    /// `doctor` has found what keeps the server from its work.
    Faulty = 2,
    /// The server refuses it: it contradicts what is there, or makes no sense.
    Refused = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The token is missing, wrong or may not do this.
    NotAllowed = 5,
    /// The server does not answer, or is busy.
    Unreachable = 6,
    /// It was not confirmed.
    NotConfirmed = 7,
    /// A host that was watched has failed.
    HostFailed = 8,
    /// The configuration has faults.
    BadConfiguration = 9,
}

/// The exit codes, for `--help` and the man page.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0  done
  1  something else went wrong
  2  the command line makes no sense
  3  the server refuses it: it contradicts what is there
  4  there is no such host, image, operation …
  5  the token is missing, wrong or may not do this
  6  the server does not answer, or is busy
  7  it was not confirmed
  8  a host that was watched has failed
  9  the configuration has faults";

/// A failure with its exit code.
#[derive(Debug)]
pub(super) struct Failure {
    trouble: Trouble,
    text: String,
    source: Option<BoxError>,
}

impl Failure {
    pub(super) fn new(trouble: Trouble, text: impl Into<String>) -> Self {
        Self { trouble, text: text.into(), source: None }
    }

    /// A request that got no answer.
    pub(super) fn unreachable(text: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { trouble: Trouble::Unreachable, text: text.into(), source: Some(source.into()) }
    }

    /// One that says itself what it is.
    pub(super) fn of_cause(trouble: Trouble, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self { trouble, text: source.to_string(), source: source.source().map(|cause| cause.to_string().into()) }
    }

    /// What a server's status code means to scripts.
    pub(super) fn of_status(status: u16, text: impl Into<String>) -> Self {
        let trouble = match status {
            401 | 403 => Trouble::NotAllowed,
            404 | 410 => Trouble::NotFound,
            429 | 500.. => Trouble::Unreachable,
            _ => Trouble::Refused,
        };
        Self::new(trouble, text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// The exit code that an error asks for.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn std::error::Error>::is::<Faults>) {
        return Trouble::BadConfiguration as u8;
    }
    error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(1, |failure| failure.trouble as u8)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_failure_keeps_its_code_under_a_context() {
        let refused: Result<(), _> = Err(Failure::of_status(404, "no host has the name x"));
        let error = refused.context("while looking").unwrap_err();
        assert_eq!((exit_code(&error), exit_code(&anyhow::anyhow!("a fault"))), (4, 1));
    }

    #[test]
    fn faults_of_the_configuration_have_a_code_of_their_own() {
        let faults: Result<(), _> = Err(Faults(vec![]));
        assert_eq!(exit_code(&faults.context("while starting").unwrap_err()), 9);
    }

    #[test]
    fn each_status_has_one_meaning_for_scripts() {
        let codes = [(401, 5), (403, 5), (404, 4), (409, 3), (410, 4), (412, 3), (422, 3), (429, 6), (503, 6)];
        for (status, code) in codes {
            assert_eq!(exit_code(&Failure::of_status(status, "").into()), code, "{status}");
        }
    }
}
