//! No file, folder, module or crate with a name under which everything fits.

use super::Finding;
use super::sources;
use crate::tree::Tree;

const BANNED: &[&str] = &["common", "utils", "helpers", "manager", "handler2", "misc", "prelude"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.files() {
        for part in path.split('/') {
            let stem = part.split('.').next().unwrap_or(part);
            if BANNED.contains(&stem) {
                let message = format!("`{stem}` says nothing: name it after what it holds");
                findings.push(Finding::new(path, 1, message));
            }
        }
    }
    for source in sources::read(tree) {
        for words in source.rust.tokens().windows(3) {
            let is_inline_module = words[0].text == "mod" && words[2].text == "{";
            if is_inline_module && BANNED.contains(&words[1].text.as_str()) {
                let message = format!("`mod {}` says nothing", words[1].text);
                findings.push(Finding::new(source.path, words[1].line, message));
            }
        }
    }
    findings
}
