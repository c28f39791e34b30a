//! The command line of the chores: `cargo xtask tidy`, `cargo xtask count FILE…`,
//! `cargo xtask mutate-detectors`.
//!
//! Exit status: 0 all well, 1 findings or failed tests, 2 wrong use.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use xtask::{count, tidy, tree};

const USAGE: &str = "\
usage: cargo xtask tidy          check the house rules over the whole tree
       cargo xtask count FILE…   sum the test results in these logs
       cargo xtask mutate-detectors [WORD]
                                 leave out each part of the loop in turn, or those whose name has
                                 the word, and say which scenarios miss it";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy"] => run_tidy(),
        ["count", files @ ..] if !files.is_empty() => run_count(files),
        ["mutate-detectors"] => mutate_detectors(""),
        ["mutate-detectors", word] => mutate_detectors(word),
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

/// The search is a test of the engine, which alone can be without a part; pure crates are built.
fn mutate_detectors(word: &str) -> Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--quiet", "--release", "--test", "mutations", "--manifest-path"])
        .arg(tree::repository_root().join("crates/engine/Cargo.toml"))
        .args(["search_for_scenarios", "--", "--ignored", "--nocapture"])
        .env("PART", word)
        .status()
        .context("run cargo test")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
