//! Any answers of origins and stores, in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::answers::happen(bytes));
