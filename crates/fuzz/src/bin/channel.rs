//! See `shellflip_core::fuzz::channel`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shellflip_core::fuzz::channel(bytes));
