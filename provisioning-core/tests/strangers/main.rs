//! What strangers send, read without a panic and without growing: names, addresses, commands and reports.

mod names;
mod reports;
