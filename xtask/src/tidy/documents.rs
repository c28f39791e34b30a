//! What the documents name is there, the map names every crate, and the book has every page.
//!
//! Looked at are README.md, ARCHITECTURE.md and everything in `docs`: paths in backticks, paths in
//! fenced blocks that begin with one of our folders, and links to files. A `*` or `<name>` in a
//! path stands for anything: then only the part before it has to exist.

use super::Finding;
use crate::tree::Tree;

const REQUIRED: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"];
const MAP: &str = "ARCHITECTURE.md";
/// Lists the pages of the book that `docs` is.
const SUMMARY: &str = "docs/SUMMARY.md";
/// Endings by which a word with a slash is taken for a path.
const EXTENSIONS: &[&str] = &[
    "css", "html", "js", "json", "lock", "md", "png", "proto", "py", "rs", "sh", "sql", "svelte",
    "svg", "test", "toml", "ts", "yaml", "yml",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in REQUIRED {
        if tree.text(path).is_none() {
            findings.push(Finding::new(*path, 1, "the file is missing"));
        }
    }
    for (path, text) in tree.with_extension("md") {
        if matches!(path, "README.md" | "ARCHITECTURE.md") || path.starts_with("docs/") {
            findings.extend(missing_paths(tree, path, text));
        }
    }
    if let Some(map) = tree.text(MAP) {
        findings.extend(missing_crates(tree, map));
    }
    if let Some(summary) = tree.text(SUMMARY) {
        findings.extend(missing_pages(tree, summary));
    }
    findings
}

fn missing_paths(tree: &Tree, document: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_fence = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
            continue;
        }
        let named = if in_fence { fenced_paths(tree, line) } else { quoted_paths(tree, line) };
        for path in named {
            if !exists(tree, document, path) {
                let message = format!("names `{path}`, which does not exist");
                findings.push(Finding::new(document, index + 1, message));
            }
        }
    }
    findings
}

/// Paths in a fenced block: words that begin with one of our folders.
fn fenced_paths<'a>(tree: &Tree, line: &'a str) -> Vec<&'a str> {
    let words = line.split([' ', '\t', '(', ')', ',', ';', '"', '\'', '=', '│', '├', '└', '─']);
    words.filter(|word| begins_with_a_folder(tree, word)).collect()
}

/// Paths in backticks, and the targets of links.
fn quoted_paths<'a>(tree: &Tree, line: &'a str) -> Vec<&'a str> {
    let mut paths = Vec::new();
    for quoted in line.split('`').skip(1).step_by(2) {
        if is_path(quoted) && (begins_with_a_folder(tree, quoted) || has_known_extension(quoted)) {
            paths.push(quoted);
        }
    }
    for after in line.split("](").skip(1) {
        let target = after.split([')', ' ']).next().unwrap_or(after);
        let is_elsewhere = target.contains("://") || target.starts_with(['#', '/']);
        if !is_elsewhere && !target.starts_with("mailto:") && !target.is_empty() {
            paths.push(target.split('#').next().unwrap_or(target));
        }
    }
    paths
}

fn is_path(word: &str) -> bool {
    word.contains('/')
        && !word.contains("://")
        && !word.contains(char::is_whitespace)
        && !word.starts_with(['/', '~', '$', '-', '.', '{', '<'])
        || word.starts_with(".ci/")
}

fn begins_with_a_folder(tree: &Tree, word: &str) -> bool {
    let first = word.split_once('/').map(|(first, _)| first);
    is_path(word) && first.is_some_and(|first| tree.text(first).is_none() && tree.contains(first))
}

fn has_known_extension(word: &str) -> bool {
    let name = without_line(word).rsplit('/').next().unwrap_or(word);
    name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

/// `src/a.rs:12` is the path `src/a.rs`.
fn without_line(path: &str) -> &str {
    path.split(':').next().unwrap_or(path)
}

fn exists(tree: &Tree, document: &str, path: &str) -> bool {
    let path = without_line(path).trim_end_matches(['.', ',']);
    let fixed = match path.find(['*', '<', '{', '…', '?']) {
        Some(at) => path[..at].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => path,
    };
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    fixed.is_empty() || tree.contains(fixed) || tree.contains(&joined(folder, fixed))
}

/// `docs` and `../README.md` make `README.md`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn missing_crates(tree: &Tree, map: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.files() {
        let Some(folder) = path.strip_suffix("/Cargo.toml") else { continue };
        let name = folder.rsplit('/').next().unwrap_or(folder);
        let is_named = map.contains(&format!("{folder}/")) || map.contains(&format!("`{folder}`"));
        if !is_named && !map.contains(&format!("`{name}`")) {
            findings.push(Finding::new(MAP, 1, format!("the crate `{folder}` is not on the map")));
        }
    }
    findings
}

/// A page that the summary does not link is in no book, and nobody finds it.
fn missing_pages(tree: &Tree, summary: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.with_extension("md") {
        let Some(page) = path.strip_prefix("docs/") else { continue };
        if path != SUMMARY && !summary.contains(&format!("]({page})")) {
            findings.push(Finding::new(path, 1, format!("is not linked from {SUMMARY}")));
        }
    }
    findings
}
