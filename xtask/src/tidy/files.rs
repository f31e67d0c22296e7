//! Which files there are, and which of them no `mod` reaches.

use super::source::Source;
use crate::process::{Result, at};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

/// Every Rust file of the workspace and of `fuzz`.
pub(super) fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for top in ["crates", "xtask", "fuzz"] {
        walk(&root.join(top), "rs", &mut found)?;
    }
    found
        .into_iter()
        .map(|path| {
            let text = at(&path, std::fs::read_to_string(&path))?;
            Ok(Source::new(relative(root, &path), text))
        })
        .collect()
}

/// Adds the files with that extension, sorted within a folder; no folder, no files.
pub(super) fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result {
    if !dir.is_dir() {
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in at(dir, std::fs::read_dir(dir))? {
        entries.push(at(dir, entry)?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                walk(&path, extension, found)?;
            }
        } else if path.extension().is_some_and(|got| got == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The path from the top folder, with `/` on every system.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// Complains about files that no crate root reaches by `mod`.
pub(super) fn dead(sources: &[Source], complaints: &mut Vec<String>) {
    let by_path: HashMap<&str, &Source> = sources
        .iter()
        .map(|source| (source.path.as_str(), source))
        .collect();
    let mut reached: HashSet<String> = HashSet::new();
    let mut to_visit: Vec<(String, bool)> = Vec::new();
    for source in sources.iter().filter(|source| is_root(&source.path)) {
        to_visit.push((source.path.clone(), true));
    }
    while let Some((path, root)) = to_visit.pop() {
        let Some(source) = by_path.get(path.as_str()) else {
            continue; // rustc says so
        };
        if !reached.insert(path.clone()) {
            continue;
        }
        let (parent, file) = path.rsplit_once('/').unwrap_or(("", &path));
        let stem = file.trim_end_matches(".rs");
        let dir = if root || stem == "mod" {
            parent.to_owned()
        } else {
            format!("{parent}/{stem}")
        };
        for (name, given) in source.modules() {
            if let Some(given) = given {
                to_visit.push((format!("{parent}/{given}"), false));
            } else {
                to_visit.push((format!("{dir}/{name}.rs"), false));
                to_visit.push((format!("{dir}/{name}/mod.rs"), false));
            }
        }
    }
    for source in sources
        .iter()
        .filter(|source| !reached.contains(&source.path))
    {
        complaints.push(format!("{}: no `mod` reaches this file", source.path));
    }
}

/// Whether cargo takes the file for the root of a crate.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.rsplit('/').collect();
    match parts.as_slice() {
        ["build.rs", ..]
        | ["lib.rs" | "main.rs", "src", ..]
        | ["main.rs", _, "bin" | "tests" | "benches" | "examples", ..] => true,
        [
            _,
            "bin" | "tests" | "benches" | "examples" | "fuzz_targets",
            above,
            ..,
        ] => *above == "src" || !path.contains("/src/"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_mod_is_dead() {
        let file = |path: &str, text: &str| Source::new(path.to_owned(), text.to_owned());
        let sources = [
            file("crates/a/src/lib.rs", "mod b; pub mod c;"),
            file("crates/a/src/b.rs", "mod d;"),
            file("crates/a/src/b/d.rs", ""),
            file("crates/a/src/c/mod.rs", "#[cfg(test)] mod tests;"),
            file("crates/a/src/c/tests.rs", ""),
            file("crates/a/src/c/dead.rs", ""),
            file("crates/a/src/bin/x.rs", "mod y;"),
            file("crates/a/src/bin/y.rs", ""),
            file("crates/a/tests/wire.rs", ""),
        ];
        let mut complaints = Vec::new();
        dead(&sources, &mut complaints);
        assert_eq!(
            complaints,
            ["crates/a/src/c/dead.rs: no `mod` reaches this file"]
        );
    }
}
