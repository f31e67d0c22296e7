//! The rules for Rust files.

use super::source::{Source, words};
use crate::process::{Result, at};
use std::{collections::BTreeMap, path::Path};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Names that say nothing about what is inside, so everything ends up inside.
const BANNED_MODULES: &[&str] = &[
    "common", "helper", "helpers", "manager", "misc", "types", "util", "utils",
];

/// What each layer must not contain (ARCHITECTURE.md): folder, words, what to do instead.
const LAYERS: &[(&str, &[&str], &str)] = &[
    (
        "crates/proto/src/",
        &[
            "tokio",
            "async fn",
            "Instant::now",
            "SystemTime",
            "std::net::Tcp",
            "std::net::Udp",
            "std::fs",
            "rand::",
        ],
        "the wire has no runtime, clock, randomness or input and output",
    ),
    (
        "crates/engine/src/",
        &[
            "tokio::net",
            "std::net::Tcp",
            "std::fs",
            "std::time::Instant",
            "SystemTime",
            "rand::",
        ],
        "the engine reaches the world through Env, Store and Bus only",
    ),
    (
        "crates/store/src/",
        &["tokio::net"],
        "a back end talks to its database through its driver",
    ),
];

/// Checks one file by itself.
pub(super) fn check(source: &Source, complaints: &mut Vec<String>) {
    let mut complain = |at: usize, what: &str| {
        complaints.push(format!("{}:{}: {what}", source.path, source.line(at)));
    };
    for part in source.path.split('/') {
        if BANNED_MODULES.contains(&part.trim_end_matches(".rs")) {
            complain(
                0,
                &format!("no module is called `{part}`: name what is in it"),
            );
        }
    }
    for (at, _) in source.code.match_indices("[allow(") {
        complain(
            at,
            "use #[expect(…, reason = \"…\")], which ends when its reason does",
        );
    }
    for at in words(&source.code, "select") {
        let rest = source.code.get(at + 6..).unwrap_or_default();
        if let Some(body) = rest.strip_prefix('!') {
            let body = body
                .trim_start()
                .trim_start_matches(['{', '('])
                .trim_start();
            if !body.starts_with("biased;") {
                complain(at, "a select! is `biased;`, or no run can be repeated");
            }
        }
    }
    tags(source, &mut complain);
    layers(source, &mut complain);
    if source.path.starts_with("crates/engine/src/features/") && !source.path.ends_with("/mod.rs") {
        let head = source.text.split("\n\n").next().unwrap_or_default();
        let in_folder = source.path.matches('/').count() > 4;
        if !in_folder && !head.contains("XEP-") && !head.contains("RFC ") {
            complain(
                0,
                "a feature's module doc begins with the specification it follows",
            );
        }
    }
}

/// A note of work to do names its issue; tags beside the three of the house are not used.
fn tags(source: &Source, complain: &mut impl FnMut(usize, &str)) {
    for at in words(&source.comments, "TODO") {
        let rest = source.comments.get(at + 4..).unwrap_or_default();
        let issue = rest.strip_prefix("(#").map(|rest| rest.split(')').next());
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !issue.flatten().is_some_and(is_number) {
            complain(at, "TODO without an issue: write TODO(#12)");
        }
    }
    for tag in ["FIXME", "XXX", "HACK"] {
        for at in words(&source.comments, tag) {
            complain(
                at,
                &format!("{tag}: use TODO(#issue), COMPAT(name, version) or INVARIANT"),
            );
        }
    }
}

fn layers(source: &Source, complain: &mut impl FnMut(usize, &str)) {
    for (folder, banned, why) in LAYERS {
        if !source.path.starts_with(folder) {
            continue;
        }
        for word in *banned {
            for (at, _) in source.code.match_indices(word) {
                let before = source.code.get(..at).unwrap_or_default();
                let inside_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if !inside_word && !source.is_test(at) {
                    complain(at, &format!("`{word}`: {why}"));
                }
            }
        }
    }
}

/// Checks lengths against the limits and the ratchet.
pub(super) fn lengths(sources: &[Source], ratchet: &Path, complaints: &mut Vec<String>) -> Result {
    let listed = read_ratchet(ratchet)?;
    let mut found = BTreeMap::new();
    for source in sources {
        let lines = source.lines_without_tests();
        if lines > FILE_LINES_MAX {
            found.insert(source.path.clone(), (lines, FILE_LINES_MAX));
        }
        for function in source.functions() {
            if function.lines > FUNCTION_LINES_MAX && !source.is_test(function.at) {
                let name = format!("{}::{}", source.path, function.name);
                found.insert(name, (function.lines, FUNCTION_LINES_MAX));
            }
        }
    }
    compare(&found, &listed, complaints);
    Ok(())
}

/// An excess must be listed with exactly its number, so that the list falls with the code.
fn compare(
    found: &BTreeMap<String, (usize, usize)>,
    listed: &BTreeMap<String, usize>,
    complaints: &mut Vec<String>,
) {
    for (name, (lines, lines_max)) in found {
        match listed.get(name) {
            None => complaints.push(format!("{name}: {lines} lines, the limit is {lines_max}")),
            Some(old) if lines > old => {
                complaints.push(format!("{name}: grew from {old} to {lines} lines"));
            }
            Some(old) if lines < old => complaints.push(format!(
                "{name}: shrank to {lines} lines, so write {lines} in xtask/ratchet.txt"
            )),
            Some(_) => {}
        }
    }
    for name in listed.keys().filter(|name| !found.contains_key(*name)) {
        complaints.push(format!(
            "{name}: within the limit now, remove it from xtask/ratchet.txt"
        ));
    }
}

fn read_ratchet(path: &Path) -> Result<BTreeMap<String, usize>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = at(path, std::fs::read_to_string(path))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, lines)| Some((name.to_owned(), lines.parse().ok()?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(path: &str, text: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        let source = Source::new(path.to_owned(), text.to_owned());
        check(&source, &mut complaints);
        complaints
    }

    #[test]
    fn each_rule_bites() {
        let rows = [
            (
                "crates/a/src/utils.rs",
                "",
                "crates/a/src/utils.rs:1: no module",
            ),
            (
                "crates/a/src/b.rs",
                "\n#[allow(dead_code)]",
                "crates/a/src/b.rs:2: use #[expect",
            ),
            (
                "crates/a/src/b.rs",
                "tokio::select! { x = y => {} }",
                "crates/a/src/b.rs:1: a select!",
            ),
            (
                "crates/a/src/b.rs",
                "// TODO: later",
                "crates/a/src/b.rs:1: TODO without",
            ),
            (
                "crates/a/src/b.rs",
                "// FIXME(#1)",
                "crates/a/src/b.rs:1: FIXME",
            ),
            (
                "crates/proto/src/b.rs",
                "use tokio::x;",
                "crates/proto/src/b.rs:1: `tokio`",
            ),
            (
                "crates/engine/src/features/b.rs",
                "//! Carbons.\n\nuse x;",
                "crates/engine/src/features/b.rs:1: a feature's module doc",
            ),
        ];
        for (path, text, wanted) in rows {
            let got = check_one(path, text);
            let fits = got.len() == 1 && got.iter().all(|line| line.starts_with(wanted));
            assert!(fits, "{text}: {got:?}");
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        let rows = [
            (
                "crates/a/src/b.rs",
                "tokio::select! {\n biased;\n x = y => {} }",
            ),
            (
                "crates/a/src/b.rs",
                "// TODO(#12): later\nlet x = \"FIXME #[allow(\";",
            ),
            (
                "crates/proto/src/b.rs",
                "#[cfg(test)]\nmod tests { use tokio::x; }",
            ),
            (
                "crates/engine/src/features/b.rs",
                "//! Carbons (XEP-0280).\n",
            ),
        ];
        for (path, text) in rows {
            let got = check_one(path, text);
            assert!(got.is_empty(), "{text}: {got:?}");
        }
    }

    #[test]
    fn the_ratchet_only_falls() {
        let listed = [("a", 80), ("b", 80), ("c", 80), ("d", 80)];
        let listed = listed.map(|(name, lines)| (name.to_owned(), lines)).into();
        let found = [("a", 80), ("b", 81), ("c", 79), ("e", 71)];
        let found = found
            .map(|(name, lines)| (name.to_owned(), (lines, 70)))
            .into();
        let mut complaints = Vec::new();
        compare(&found, &listed, &mut complaints);
        assert_eq!(
            complaints,
            [
                "b: grew from 80 to 81 lines",
                "c: shrank to 79 lines, so write 79 in xtask/ratchet.txt",
                "e: 71 lines, the limit is 70",
                "d: within the limit now, remove it from xtask/ratchet.txt",
            ]
        );
    }
}
