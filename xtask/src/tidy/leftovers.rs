//! Nothing half-done and nothing of one person's machine is committed.

use super::Finding;
use crate::tree::Tree;

// Written in pieces, so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("unimple", "mented!"),
    concat!("to", "do!"),
];
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Written by tools: their hashes may spell anything.
const LOCK_FILES: &[&str] = &["Cargo.lock", "package-lock.json", "requirements.txt"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        if LOCK_FILES.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        // A document may speak of what is to come; a source may not be half-done.
        let is_source = !path.ends_with(".md");
        for (index, line) in text.lines().enumerate() {
            let unfinished = UNFINISHED.iter().find(|word| is_source && has_word(line, word));
            if let Some(word) = unfinished {
                let message = format!("`{word}`: finish it, or leave it out");
                findings.push(Finding::new(path, index + 1, message));
            }
            if let Some(place) = MACHINE_PATHS.iter().find(|place| has_absolute_path(line, place)) {
                let message = format!("`{place}` is a path of one machine");
                findings.push(Finding::new(path, index + 1, message));
            }
        }
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn has_absolute_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.}~*/".contains(c))
    })
}
