//! Placeholder while the skeleton grows.

pub mod real;
