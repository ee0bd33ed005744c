//! HTTP: one file per audience; `problem` and `body` are what they share.

pub mod body;
pub mod problem;
