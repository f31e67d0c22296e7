//! `servers::s2s` under libFuzzer; seeds are in `crates/proto/src/testdata/xml/`.
#![no_main]

#[path = "../../crates/proto/tests/fuzz/servers.rs"]
mod servers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| servers::s2s(data));
