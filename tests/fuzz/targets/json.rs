//! Any bytes, as a rule file in JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.trim_ascii_start().first() != Some(&b'<') {
        fuzz::read(bytes);
    }
});
