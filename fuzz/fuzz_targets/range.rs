//! Fuzzes a download's `Range` and `If-Range` headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::range(bytes));
