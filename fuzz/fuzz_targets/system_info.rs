//! Fuzzes what installers post to be given an answer file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::system_info(bytes));
