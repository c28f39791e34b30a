//! The command line of the chores: `cargo xtask tidy`, `cargo xtask count FILE…`.
//!
//! Exit status: 0 all well, 1 findings or failed tests, 2 wrong use.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use xtask::{count, tidy, tree};

const USAGE: &str = "\
usage: cargo xtask tidy          check the house rules over the whole tree
       cargo xtask count FILE…   sum the test results in these logs";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy"] => run_tidy(),
        ["count", files @ ..] if !files.is_empty() => run_count(files),
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

fn run_tidy() -> Result<ExitCode> {
    let findings = tidy::findings(&tree::repository_root())?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} findings", findings.len());
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_count(files: &[&str]) -> Result<ExitCode> {
    let mut total = count::Count::default();
    for file in files {
        let bytes = std::fs::read(Path::new(file)).with_context(|| format!("read {file}"))?;
        total.add(count::in_log(&String::from_utf8_lossy(&bytes)));
    }
    println!("{total}");
    Ok(if total.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
