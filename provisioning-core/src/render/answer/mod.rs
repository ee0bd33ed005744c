//! The answer file.
