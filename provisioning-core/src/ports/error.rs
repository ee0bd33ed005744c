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
