//! `immune test`: runs scenario files against the loop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use engine::scenario;
use serde::Serialize;

use super::progress::Progress;
use super::text::{self, Paint, paint};

/// Runs scenarios.
#[derive(Args)]
pub(super) struct Test {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Rewrite the expectations to what happened; read the difference before you commit it
    #[arg(long)]
    bless: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Ran {
    file: String,
    title: String,
    passed: bool,
    difference: Vec<String>,
}

impl Test {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut ran = Vec::new();
        let progress = Progress::of(0, "scenarios");
        for (at, file) in self.files.iter().enumerate() {
            progress.reaches(at as u64, self.files.len() as u64);
            ran.push(one(file, self.bless)?);
        }
        drop(progress);
        let failed = ran.iter().filter(|ran| !ran.passed).count();
        if self.json {
            text::json(&ran)?;
        } else {
            ran.iter().for_each(print);
            text::line(&format!("{} passed, {failed} failed", ran.len() - failed));
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn one(file: &Path, bless: bool) -> Result<Ran> {
    let name = file.display().to_string();
    let content = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let report = match scenario::check(&content) {
        Ok(report) => report,
        Err(error) => {
            let difference = vec![format!("{name}:{}: {}", error.line, error.message)];
            return Ok(Ran { file: name, title: String::new(), passed: false, difference });
        }
    };
    if bless && !report.passed() {
        std::fs::write(file, report.bless(&content))
            .with_context(|| format!("cannot write {name}"))?;
    }
    let (passed, title) = (report.passed(), report.title.clone());
    Ok(Ran { file: name, title, passed, difference: report.difference })
}

fn print(ran: &Ran) {
    let word = match ran.passed {
        true => paint(Paint::Green, "ok  "),
        false => paint(Paint::Red, "FAIL"),
    };
    text::line(&format!("{word} {}  {}", ran.file, paint(Paint::Dim, &ran.title)));
    for line in &ran.difference {
        text::line(&format!("     {line}"));
    }
}
