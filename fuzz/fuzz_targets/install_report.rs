//! Fuzzes what installers post when they are done.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::install_report(bytes));
