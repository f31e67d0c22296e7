//! The house rules that neither rustc nor clippy can check. CONTRIBUTING.md gives their reasons.
//!
//! Old excesses of length are listed in `xtask/ratchet.txt` with a number that may only fall.

mod documents;
mod files;
mod rules;
mod source;

use crate::process::{Fault, Result, root};

/// Checks the whole tree and prints every complaint.
pub(crate) fn tidy() -> Result {
    let complaints = complaints()?;
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(Fault::new(format!("tidy: {} complaints", complaints.len())))
    }
}

fn complaints() -> Result<Vec<String>> {
    let root = root();
    let sources = files::sources(&root)?;
    let mut complaints = Vec::new();
    for source in &sources {
        rules::check(source, &mut complaints);
    }
    rules::lengths(&sources, &root.join("xtask/ratchet.txt"), &mut complaints)?;
    files::dead(&sources, &mut complaints);
    documents::check(&root, &mut complaints)?;
    complaints.sort();
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let complaints = super::complaints().expect("the tree can be read");
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
