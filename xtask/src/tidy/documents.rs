//! Documents: what they link to exists, and what they call a file is one.

use super::files::{relative, walk};
use crate::process::{Result, at};
use std::path::Path;

/// Folders of the repository; a path in backticks that begins with one of them must exist.
const FOLDERS: &[&str] = &[
    ".ci/",
    "crates/",
    "docs/",
    "fuzz/",
    "interop/",
    "packaging/",
    "scenarios/",
    "xtask/",
];

/// Checks every Markdown file.
pub(super) fn check(root: &Path, complaints: &mut Vec<String>) -> Result {
    let mut found = Vec::new();
    walk(root, "md", &mut found)?;
    for path in found {
        let text = at(&path, std::fs::read_to_string(&path))?;
        let dir = path.parent().unwrap_or(root);
        let name = relative(root, &path);
        for (index, line) in text.lines().enumerate() {
            for target in links(line) {
                if !dir.join(target).exists() {
                    complaints.push(format!("{name}:{}: broken link: {target}", index + 1));
                }
            }
            for file in quoted_paths(line) {
                if !root.join(file).exists() {
                    complaints.push(format!("{name}:{}: no such file: {file}", index + 1));
                }
            }
        }
    }
    Ok(())
}

/// Targets of `[text](target)` inside the repository, without the part after `#`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty())
}

/// Paths in backticks, without patterns and placeholders.
fn quoted_paths(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| FOLDERS.iter().any(|folder| text.starts_with(folder)))
        .filter(|text| !text.contains(['*', ' ', '<', '{', '…', '$']))
        .filter(|text| !text.contains("NAME") && !text.contains("NNNN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_paths_are_found() {
        let line = "see [a](docs/a.md#top), [b](https://example.org) and `crates/x/src/*.rs`, \
                    `xtask/src` or `cargo`";
        assert_eq!(links(line).collect::<Vec<_>>(), ["docs/a.md"]);
        assert_eq!(quoted_paths(line).collect::<Vec<_>>(), ["xtask/src"]);
    }
}
