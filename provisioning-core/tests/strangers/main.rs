//! What strangers send, read without a panic and without growing: names, addresses, commands and reports.
//!
//! What is checked of one text or body stands with the fuzz targets, which check the same.

#[path = "../../../fuzz/src/reports.rs"]
pub mod body;
mod names;
mod reports;
#[path = "../../../fuzz/src/names.rs"]
pub mod text;
