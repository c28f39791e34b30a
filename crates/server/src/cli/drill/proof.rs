//! `immune drill matrix` and `immune drill suggest`: what was proven, and what to try next.

use std::process::ExitCode;

use anyhow::Result;
use chaos::Matrix;
use chaos::Suggestion;
use chaos::matrix::Cell;

use super::super::client::Client;
use super::super::text::{self, Paint, paint};
use super::super::{ServerArgs, block_on};

pub(super) fn matrix(server: &ServerArgs) -> Result<ExitCode> {
    let matrix: Matrix = block_on(Client::new(server)?.get("drills/matrix"))?;
    if server.json {
        text::json(&matrix)?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = matrix.faults.iter().map(String::len).max().unwrap_or(0).max(8) + 2;
    let columns: Vec<usize> =
        matrix.targets.iter().map(|t| t.chars().count().max(15) + 2).collect();
    let mut head = format!("{:width$}", "");
    for (target, column) in matrix.targets.iter().zip(&columns) {
        head.push_str(&format!("{:column$}", text::plain(target)));
    }
    text::line(head.trim_end());
    for fault in &matrix.faults {
        let mut line = format!("{fault:width$}");
        for (target, column) in matrix.targets.iter().zip(&columns) {
            line.push_str(&match matrix.makes_sense(fault, target) {
                true => cell(matrix.cell(fault, target), *column),
                false => format!("{:column$}", ""),
            });
        }
        text::line(line.trim_end());
    }
    let Matrix { covered, combinations, passing, .. } = matrix;
    text::line(&format!(
        "\ncoverage   {covered} of {combinations} combinations have a fresh result"
    ));
    if let Some(rate) = matrix.pass_rate {
        let [low, high] = [rate.low, rate.high].map(|share| share * 100.0);
        text::line(&format!(
            "pass rate  {passing} of these {covered} ({low:.0} to {high:.0} % with 95 % confidence)"
        ));
    }
    if let Some(quiet) = matrix.placebos {
        text::line(&format!("placebos   {:.0} % stayed quiet", quiet.share * 100.0));
    }
    Ok(ExitCode::SUCCESS)
}

fn cell(cell: Option<&Cell>, width: usize) -> String {
    let Some(cell) = cell else { return paint(Paint::Dim, &format!("{:width$}", "-")) };
    let word = if cell.last_passed { "pass" } else { "FAIL" };
    let runs = cell.passed + cell.failed;
    let told = format!("{word} {}/{runs} {}", cell.passed, age(cell.age_s));
    let told = format!("{told:width$}");
    match (cell.stale, cell.last_passed) {
        (true, _) => paint(Paint::Dim, &told),
        (false, true) => paint(Paint::Green, &told),
        (false, false) => paint(Paint::Red, &told),
    }
}

fn age(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

pub(super) fn suggest(server: &ServerArgs) -> Result<ExitCode> {
    let suggestions: Vec<Suggestion> = block_on(Client::new(server)?.get("drills/suggestions"))?;
    if server.json {
        text::json(&suggestions)?;
        return Ok(ExitCode::SUCCESS);
    }
    if suggestions.is_empty() {
        text::line("nothing to suggest: no running target is behind a service with requests");
    }
    for (number, suggestion) in suggestions.iter().enumerate() {
        let Suggestion { target, fault, weight, reasons, .. } = suggestion;
        let what = format!("{fault} on {target}");
        text::line(&format!("{:>3}  {weight:.2}  {}", number + 1, text::plain(&what)));
        text::line(&format!("           {}", text::plain(&reasons.join("; "))));
    }
    if let Some(first) = suggestions.first() {
        text::line(&format!(
            "\nA file for the first, to be looked over before it is run:\n\n{}",
            first.experiment
        ));
    }
    Ok(ExitCode::SUCCESS)
}
