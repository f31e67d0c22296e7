//! Fuzz targets on stable Rust: seeds from `src/testdata/`, deterministic mutations of them, and
//! `rxml` as the second opinion. `WAXWING_FUZZ_SECONDS=60 cargo test -p waxwing-proto --test fuzz
//! framer` runs one of them longer.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may end where it stands"
)]

mod events;
mod mutate;
mod servers;
mod targets;

use bytes::Bytes;
use waxwing_proto::xml::{Limits, Tree};

#[test]
fn framer() {
    mutate::run(targets::framer);
}

#[test]
fn tree() {
    mutate::run(targets::tree);
}

#[test]
fn stanza() {
    mutate::run(targets::stanza);
}

#[test]
fn writer() {
    mutate::run(targets::writer);
}

#[test]
fn s2s() {
    mutate::run(servers::s2s);
}

#[test]
fn seeds_are_what_their_folder_says() {
    for (name, seed) in mutate::seeds() {
        let result = Tree::parse(Bytes::from(seed), "", &Limits::C2S);
        if name.starts_with("stanza/") {
            assert!(result.is_ok(), "{name}: {result:?}");
        } else if name.starts_with("refused/") {
            assert!(result.is_err(), "{name}");
        }
    }
}
