//! Fuzzes boot scripts, as the simulator's firmware reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::ipxe(bytes));
