//! Fuzzes answer files, as the simulator's installer judges them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::answer_rules(bytes));
