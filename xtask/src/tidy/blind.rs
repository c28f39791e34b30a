//! Drills are blind: who detects, diagnoses and heals cannot know that a fault was injected.
//!
//! Otherwise a drill proves nothing. The crates that reason do not name experiments, faults or
//! scorecards outside their tests; that they do not know the crate `chaos` is an arrow.

use super::Finding;
use super::sources;
use crate::tree::Tree;

const BLIND_CRATES: &[&str] =
    &["crates/observe/", "crates/detect/", "crates/diagnose/", "crates/remediate/"];
const UNSEEN_WORDS: &[&str] =
    &["chaos", "experiment", "Experiment", "Fault", "FaultId", "Scorecard"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources::read(tree) {
        if source.is_test || !BLIND_CRATES.iter().any(|folder| source.path.starts_with(folder)) {
            continue;
        }
        for token in source.rust.product_tokens() {
            if UNSEEN_WORDS.contains(&token.text.as_str()) {
                let message = format!("names `{}`, but drills are blind", token.text);
                findings.push(Finding::new(source.path, token.line, message));
            }
        }
    }
    findings
}
