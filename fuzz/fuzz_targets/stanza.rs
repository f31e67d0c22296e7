//! `targets::stanza` under libFuzzer; seeds are in `crates/proto/src/testdata/xml/`.
#![no_main]

#[path = "../../crates/proto/tests/fuzz/events.rs"]
mod events;
#[path = "../../crates/proto/tests/fuzz/targets.rs"]
#[expect(dead_code, reason = "one file has all the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::stanza(data));
