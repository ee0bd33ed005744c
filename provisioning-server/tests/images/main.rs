//! Images from import to download, on real files and judged by tools that did not make them.

#![expect(clippy::unwrap_used, reason = "a test that can not be set up has failed")]

mod import;
mod lab;
mod stream;
mod tools;
