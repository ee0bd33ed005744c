//! Fuzzes host names and all other words that end up in rendered files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::hostname(bytes));
