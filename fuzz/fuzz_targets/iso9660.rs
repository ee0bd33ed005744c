//! Fuzzes the images that operators upload.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::iso9660(bytes));
