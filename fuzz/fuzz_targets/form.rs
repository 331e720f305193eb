#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mediaflow_fuzz::form(bytes));
