//! Fuzzes initramfs archives, as the simulator's kernel unpacks them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provisioning_fuzz::cpio(bytes));
