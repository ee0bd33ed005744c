//! Fuzzes MAC addresses, as firmware puts them into the path of its first request.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::mac(bytes));
