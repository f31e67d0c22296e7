//! `cargo xtask new-feature NUMBER NAME`: a feature's file, its scenario, its line in the list.

use crate::process::{Fault, Result, at, root};
use std::fs;

/// Writes what a new XEP needs to begin with. The files compile and do nothing.
pub(crate) fn new_feature(arguments: &[String]) -> Result {
    let [number, name] = arguments else {
        return Err(Fault::new(
            "new-feature NUMBER NAME, such as `new-feature 280 carbons`",
        ));
    };
    let number: u16 = number
        .parse()
        .map_err(|_| Fault::new(format!("`{number}` is not the number of a XEP")))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Fault::new(
            "a feature's name is lower case letters, digits and _",
        ));
    }
    let folder = root().join("crates/engine/src/features");
    let file = folder.join(format!("{name}.rs"));
    let scenario = root().join(format!("scenarios/{name}/advertised.scn"));
    if file.exists() || scenario.exists() {
        return Err(Fault::new(format!("there is a feature `{name}` already")));
    }
    let list = folder.join("mod.rs");
    let text = at(&list, fs::read_to_string(&list))?;
    let listed = with_feature(&text, name)?;
    at(&file, fs::write(&file, feature_file(number, name)))?;
    if let Some(parent) = scenario.parent() {
        at(parent, fs::create_dir_all(parent))?;
    }
    at(&scenario, fs::write(&scenario, scenario_file(number, name)))?;
    at(&list, fs::write(&list, listed))?;
    println!(
        "wrote {}\nwrote {}\nadded `{name}` to {}: its place there is its place in the pipeline",
        file.display(),
        scenario.display(),
        list.display()
    );
    Ok(())
}

/// The module declaration in alphabetical order, and the feature at the end of the list.
fn with_feature(text: &str, name: &str) -> Result<String> {
    let broken = || Fault::new("the list of features has an unexpected form");
    let module = format!("pub mod {name};");
    let mut modules: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("pub mod "))
        .collect();
    let (first, last) = modules.first().zip(modules.last()).ok_or_else(broken)?;
    let start = text.find(first).ok_or_else(broken)?;
    let end = text.find(last).ok_or_else(broken)? + last.len();
    modules.push(&module);
    modules.sort_unstable();
    let (before, after) = (text.get(..start), text.get(end..));
    let (before, after) = before.zip(after).ok_or_else(broken)?;
    let head = after.find("FEATURES: &[Feature] = &[").ok_or_else(broken)?;
    let close = after
        .get(head..)
        .and_then(|rest| rest.find("];"))
        .ok_or_else(broken)?
        + head;
    let (entries, rest) = after.split_at_checked(close).ok_or_else(broken)?;
    let entries = entries.trim_end();
    let comma = if entries.ends_with(',') { "" } else { "," };
    let modules = modules.join("\n");
    Ok(format!(
        "{before}{modules}{entries}{comma}\n    {name}::FEATURE,\n{rest}"
    ))
}

fn feature_file(number: u16, name: &str) -> String {
    format!(
        "//! XEP-{number:04}: <https://xmpp.org/extensions/xep-{number:04}.html>, version 0.\n\
         //!\n\
         //! What it decides, with section numbers, and what we do not do.\n\
         \n\
         use crate::feature::{{Coverage, Feature, Xep}};\n\
         \n\
         /// See the module's documentation.\n\
         pub const FEATURE: Feature = Feature {{\n    \
             name: \"{name}\",\n    \
             xeps: &[Xep {{\n        \
                 number: {number},\n        \
                 version: \"0\",\n        \
                 title: \"\",\n        \
                 coverage: Coverage::Partial(\"just begun\"),\n    \
             }}],\n    \
             ..Feature::NONE\n\
         }};\n"
    )
}

fn scenario_file(number: u16, name: &str) -> String {
    format!(
        "# {name}: what a client sees first.\n\
         # The format is described in scenarios/README.md; take the first play from the examples of\n\
         # XEP-{number:04}, and run it with `cargo xtask scenario {name} --on memory,prosody`.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_keeps_its_order_and_gains_one_line() {
        let text = "pub mod a;\npub mod c;\n\nuse x;\n\npub const FEATURES: &[Feature] = \
                    &[\n    c::FEATURE,\n    a::FEATURE,\n];\n\nfn f() {}\n";
        let got = with_feature(text, "b").expect("the form is right");
        let want = "pub mod a;\npub mod b;\npub mod c;\n\nuse x;\n\npub const FEATURES: &[Feature] = \
                    &[\n    c::FEATURE,\n    a::FEATURE,\n    b::FEATURE,\n];\n\nfn f() {}\n";
        assert_eq!(got, want);
        assert!(with_feature("nothing", "b").is_err());
    }
}
