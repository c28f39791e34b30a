//! Files, functions and lines that a reader can hold in mind.
//!
//! A file has at most 500 lines without its tests, a function 70 from signature to closing brace, a
//! line 100 columns. What is a test may be long: a table of cases does not get clearer in pieces.

use super::Finding;
use super::sources::{self, Source};
use crate::tree::Tree;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;

/// Paths that may be larger, each with the reason. Tables and generated files only.
const EXEMPT: &[(&str, &str)] = &[];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources::read(tree) {
        if EXEMPT.iter().any(|(path, _reason)| *path == source.path) {
            continue;
        }
        findings.extend(file_size(&source));
        findings.extend(function_sizes(&source));
        findings.extend(line_sizes(&source));
    }
    for (path, _reason) in EXEMPT {
        if !tree.contains(path) {
            findings.push(Finding::new(*path, 1, "exempt from sizes, but there is no such file"));
        }
    }
    findings
}

fn file_size(source: &Source<'_>) -> Option<Finding> {
    let lines = source.text.lines().count() - source.rust.test_lines();
    let is_long = !source.is_test && lines > FILE_LINES_MAX;
    is_long.then(|| {
        let message = format!("{lines} lines without tests, at most {FILE_LINES_MAX}: split it");
        Finding::new(source.path, 1, message)
    })
}

fn function_sizes(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in source.rust.functions() {
        let lines = function.last_line - function.first_line + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = function.name;
            let message = format!("fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}");
            findings.push(Finding::new(source.path, function.first_line, message));
        }
    }
    findings
}

fn line_sizes(source: &Source<'_>) -> Vec<Finding> {
    let columns = source.text.lines().map(|line| line.chars().count());
    let long = columns.enumerate().filter(|(_, columns)| *columns > LINE_COLUMNS_MAX);
    long.map(|(index, columns)| {
        let message = format!("{columns} columns, at most {LINE_COLUMNS_MAX}");
        Finding::new(source.path, index + 1, message)
    })
    .collect()
}
