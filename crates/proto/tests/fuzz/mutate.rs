//! A small deterministic mutation engine, so that the targets run on stable Rust in every test
//! run. `fuzz/` runs the same targets under libFuzzer, which looks for new paths.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Inputs per target in an ordinary test run.
const INPUTS: u64 = 3_000;

/// Pieces that matter to the parser.
const WORDS: &[&[u8]] = &[
    b"<",
    b">",
    b"/",
    b"/>",
    b"</",
    b"'",
    b"\"",
    b"=",
    b" ",
    b"&",
    b";",
    b":",
    b"\r",
    b"\r\n",
    b"\t",
    b"]]>",
    b"]]",
    b"<![CDATA[",
    b"<!--",
    b"-->",
    b"<?",
    b"?>",
    b"<!DOCTYPE a>",
    b"&lt;",
    b"&#x41;",
    b"&#13;",
    b"&#0;",
    b"&#xFFFF;",
    b"&foo;",
    b" xmlns='u'",
    b" xmlns=''",
    b" xmlns:p='u'",
    b" xmlns:p='v'",
    b" xmlns:q='u'",
    b" xmlns='jabber:client'",
    b" xmlns='jabber:server'",
    b" p:a='1'",
    b" q:a='2'",
    b" a='1'",
    b" xmlns='&#117;'",
    b" xml:lang='de'",
    b"p:",
    b"<p:b>",
    b"</p:b>",
    b"<b>",
    b"</b>",
    b"<b/>",
    b"<p:b/>",
    b"<body/>",
    b"\xC3\xA9",
    b"\xE2\x82\xAC",
    b"\xF0\x9F\x98\x80",
    b"\xEF\xBF\xBE",
    b"\xEF\xBF\xBD",
    b"\xED\xA0\x80",
    b"\xC0\x80",
    b"\xFF",
    b"\0",
    b"\x01",
    b"\xC2\x85",
    b"\xE2\x80\xA8",
    b"\xC3\x97",
    b"\xCC\x80",
    b"<message>",
    b"</message>",
    b"<?xml version='1.0'?>",
    b" \n",
    b"</stream:stream>",
    b" from='there.example'",
    b" to='here.example'",
    b"third.example",
    b" type='valid'",
];

/// Runs the target on every seed and on mutations of them: a fixed number, or for
/// `WAXWING_FUZZ_SECONDS`. `WAXWING_FUZZ_SEED` starts another sequence.
pub(crate) fn run(target: fn(&[u8])) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse::<u64>().ok())
    };
    let limit = number("WAXWING_FUZZ_SECONDS").map(Duration::from_secs);
    let mut random = Random(
        number("WAXWING_FUZZ_SEED")
            .unwrap_or(1)
            .wrapping_mul(0x9E37_79B9)
            | 1,
    );
    let seeds = seeds();
    for (name, seed) in &seeds {
        check(target, seed, name);
    }
    let started = Instant::now();
    let mut count = 0;
    while limit.map_or(count < INPUTS, |limit| started.elapsed() < limit) {
        let input = mutated(&mut random, &seeds);
        check(target, &input, "a mutation");
        count += 1;
    }
    if limit.is_some() {
        println!("{count} inputs");
    }
}

/// Wire traces by file name, in a fixed order.
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testdata/xml");
    let mut seeds = Vec::new();
    for folder in ["stanza", "refused", "stream", "s2s"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("testdata") {
            let path = entry.expect("testdata").path();
            let name = format!("{folder}/{}", path.file_stem().expect("a name").display());
            seeds.push((name, std::fs::read(&path).expect("testdata")));
        }
    }
    seeds.sort();
    seeds
}

fn check(target: fn(&[u8]), input: &[u8], name: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("failed on {name}: b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

fn mutated(random: &mut Random, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].1.clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(12)).min(input.len());
        match random.below(8) {
            0..3 => {
                let word = WORDS[random.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            3 => {
                let word = WORDS[random.below(WORDS.len())];
                input.splice(at..end, word.iter().copied());
            }
            4 => drop(input.drain(at..end)),
            5 => {
                let copy = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            6 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            _ => {
                let other = &seeds[random.below(seeds.len())].1;
                let from = random.below(other.len() + 1);
                let to = (from + random.below(60)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    input
}

/// xorshift64*: repeatable, and good enough to pick bytes.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(value).unwrap_or_default() % bound
    }
}
