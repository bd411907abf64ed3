//! See `shellflip_core::fuzz::environment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shellflip_core::fuzz::environment(bytes));
