//! What is wrong in a configuration file, said so that a person finds the place and knows what to write.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file, at a line and column that count from 1; line 0 means the whole file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line.
        line: u64,
        /// The column.
        column: u64,
    },
    /// In an environment variable.
    Variable(String),
}

impl Place {
    /// The whole of a file.
    pub fn whole(path: &Arc<Path>) -> Self {
        Self::File { path: Arc::clone(path), line: 0, column: 0 }
    }

    /// What faults are listed by: variables, then files line by line.
    pub(super) fn order(&self) -> (&Path, u64, u64) {
        match self {
            Self::File { path, line, column } => (path, *line, *column),
            Self::Variable(_) => (Path::new(""), 0, 0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0, .. } => write!(f, "{}", path.display()),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The key in full, such as `server.public_url`; empty when it is about the file.
    pub key: String,
    /// What is wrong, and what is allowed. No secret stands in it.
    pub problem: String,
    /// What to do, when that needs more words.
    pub help: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        self.help.iter().try_for_each(|help| write!(f, "\n    {}", help.replace('\n', "\n    ")))
    }
}

/// Everything that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.0.len() == 1 { "fault" } else { "faults" };
        write!(f, "the configuration has {} {word}", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for Faults {}
