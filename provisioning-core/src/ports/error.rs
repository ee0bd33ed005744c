//! What the ports' errors have in common.

/// A cause of another crate's type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Whether trying again can help. The adapter says so, since it alone knows; the core decides how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Perhaps later: the other side was not there, or busy.
    Later,
    /// Never: it understood and said no.
    Never,
}

/// An error with its causes on one line: for journals, logs and people.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
