#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    epost_fuzz::package(data);
});
