//! Fuzzes the tokens that machines show in URLs and headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::boot_token(bytes));
