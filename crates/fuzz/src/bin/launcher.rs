//! See `shellflip_core::fuzz::launcher`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shellflip_core::fuzz::launcher(bytes));
