//! Fuzzes what a host's first boot posts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::phone_home(bytes));
