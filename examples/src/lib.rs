//! Holds the example programs, which stand beside this folder, and compiles the README's.

/// The README, so that its example is compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
