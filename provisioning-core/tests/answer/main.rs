//! Answer files as a whole: against golden files, and for any input that the model lets through.
#![expect(clippy::unwrap_used, reason = "this is all test code, also outside of functions marked as tests")]
#![expect(clippy::disallowed_methods, reason = "golden files are read, and written anew when the environment says so")]

mod case;
mod golden;
mod properties;
