//! Every file says at its top what it is: Rust files in `//!`, scenarios in a comment.

use super::Finding;
use crate::tree::Tree;

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("rs") {
        if !text.starts_with("//!") {
            findings.push(Finding::new(path, 1, "the file does not open with `//!`"));
        }
    }
    for (path, text) in tree.under("scenarios/") {
        if path.ends_with(".test") && !text.starts_with('#') {
            let message = "the scenario does not open with a comment: what it shows, and why";
            findings.push(Finding::new(path, 1, message));
        }
    }
    findings
}
