//! The matrix of what drills have proven: kinds of fault by targets.
//!
//! How much was tried (coverage) and how much of that went well (pass rate) are two figures: what
//! was never tried is neither passed nor failed, and lowers no rate. A rate comes with the Wilson
//! interval for 95 % (Wilson 1927): two of two is no certainty. A result grows old.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Timestamp;
use model::experiment::Scorecard;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// After this a result says little: software has changed since.
pub const STALE_AFTER: Duration = Duration::from_secs(30 * 86_400);
const PLACEBO: &str = "placebo";
/// For 95 %.
const Z: f64 = 1.959_964;

/// What is known of one drill that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its kind: `kill_process`, or `placebo`.
    pub fault: String,
    pub target: String,
    pub ended: Timestamp,
    /// `None`: it came to no result, because the fault never took effect or somebody stopped it.
    pub passed: Option<bool>,
}

impl Past {
    pub fn of(card: &Scorecard, ended: Timestamp) -> Past {
        let came_to_nothing = card.aborted.is_some() || card.took_effect == Some(false);
        Past {
            fault: card.fault.clone(),
            target: card.target.clone(),
            ended,
            passed: (!came_to_nothing || card.passed).then_some(card.passed),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Matrix {
    pub faults: Vec<String>,
    pub targets: Vec<String>,
    /// Those with a result, by fault and target.
    pub cells: Vec<Cell>,
    /// Combinations with a result that is not stale, of all.
    pub covered: usize,
    /// Without those that make no sense.
    pub combinations: usize,
    /// The target does not declare what such a fault needs, and none was ever drilled there.
    pub not_applicable: Vec<Combination>,
    /// Of the covered combinations those whose newest result is good.
    pub passing: usize,
    pub pass_rate: Option<Interval>,
    /// Of the placebos, which are no row of the matrix, those that stayed quiet.
    pub placebos: Option<Interval>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MatrixCombination")]
pub struct Combination {
    pub fault: String,
    pub target: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MatrixCell")]
pub struct Cell {
    pub fault: String,
    pub target: String,
    pub passed: u64,
    pub failed: u64,
    pub last: Timestamp,
    pub last_passed: bool,
    pub age_s: u64,
    pub stale: bool,
    pub pass_rate: Interval,
}

/// A share, and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// `None` of nothing.
    pub fn wilson(successes: u64, trials: u64) -> Option<Interval> {
        if trials == 0 {
            return None;
        }
        let (n, share) = (trials as f64, successes.min(trials) as f64 / trials as f64);
        let scale = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(Interval { share, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
    }
}

impl Matrix {
    /// Of the combinations of these faults and targets that `applies` is true of; what was drilled
    /// beyond them is added.
    pub fn of(
        past: &[Past],
        faults: &[&str],
        targets: &[&str],
        applies: impl Fn(&str, &str) -> bool,
        now: Timestamp,
    ) -> Matrix {
        let mut results: BTreeMap<(&str, &str), Vec<(Timestamp, bool)>> = BTreeMap::new();
        for drill in past.iter().filter(|drill| drill.fault != PLACEBO) {
            if let Some(passed) = drill.passed {
                let key = (drill.fault.as_str(), drill.target.as_str());
                results.entry(key).or_default().push((drill.ended, passed));
            }
        }
        let (mut all_faults, mut all_targets) = (faults.to_vec(), targets.to_vec());
        let drilled = |known: &[&str], names: BTreeSet<&'_ str>| -> Vec<String> {
            names.into_iter().filter(|name| !known.contains(name)).map(str::to_owned).collect()
        };
        let more_faults = drilled(faults, results.keys().map(|(fault, _)| *fault).collect());
        let more_targets = drilled(targets, results.keys().map(|(_, target)| *target).collect());
        all_faults.extend(more_faults.iter().map(String::as_str));
        all_targets.extend(more_targets.iter().map(String::as_str));
        let cells: Vec<Cell> = results
            .iter()
            .filter_map(|((fault, target), results)| cell(fault, target, results, now))
            .collect();
        let pairs = all_faults.iter().flat_map(|f| all_targets.iter().map(move |t| (*f, *t)));
        let not_applicable: Vec<Combination> = pairs
            .filter(|pair| !results.contains_key(pair) && !applies(pair.0, pair.1))
            .map(|(fault, target)| Combination { fault: fault.into(), target: target.into() })
            .collect();
        let fresh = || cells.iter().filter(|cell| !cell.stale);
        let (covered, passing) = (fresh().count(), fresh().filter(|cell| cell.last_passed).count());
        Matrix {
            combinations: all_faults.len() * all_targets.len() - not_applicable.len(),
            not_applicable,
            faults: all_faults.into_iter().map(str::to_owned).collect(),
            targets: all_targets.into_iter().map(str::to_owned).collect(),
            covered,
            passing,
            pass_rate: Interval::wilson(passing as u64, covered as u64),
            placebos: placebos(past),
            cells,
        }
    }

    pub fn makes_sense(&self, fault: &str, target: &str) -> bool {
        !self.not_applicable.iter().any(|pair| pair.fault == fault && pair.target == target)
    }

    pub fn cell(&self, fault: &str, target: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.fault == fault && cell.target == target)
    }
}

fn placebos(past: &[Past]) -> Option<Interval> {
    let results = past.iter().filter(|drill| drill.fault == PLACEBO);
    let results: Vec<bool> = results.filter_map(|drill| drill.passed).collect();
    let quiet = results.iter().filter(|passed| **passed).count();
    Interval::wilson(quiet as u64, results.len() as u64)
}

fn cell(fault: &str, target: &str, results: &[(Timestamp, bool)], now: Timestamp) -> Option<Cell> {
    let (last, last_passed) = results.iter().copied().max_by_key(|(at, _)| *at)?;
    let passed = results.iter().filter(|(_, passed)| *passed).count() as u64;
    let trials = results.len() as u64;
    let age = now.since(last);
    Some(Cell {
        fault: fault.to_owned(),
        target: target.to_owned(),
        passed,
        failed: trials - passed,
        last,
        last_passed,
        age_s: age.as_secs(),
        stale: age > STALE_AFTER,
        pass_rate: Interval::wilson(passed, trials)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn past(fault: &str, target: &str, day: u64, passed: Option<bool>) -> Past {
        let ended = Timestamp::from_secs(day * DAY);
        Past { fault: fault.into(), target: target.into(), ended, passed }
    }

    #[test]
    fn wilson_is_modest_about_few_trials() {
        let close = |a: f64, b: f64| (a - b).abs() < 0.001;
        // Values of the formula as published: 8 of 10, 1 of 1, 0 of 5.
        let eight = Interval::wilson(8, 10).unwrap();
        assert!(close(eight.low, 0.490) && close(eight.high, 0.943), "{eight:?}");
        let one = Interval::wilson(1, 1).unwrap();
        assert!(close(one.low, 0.207) && close(one.high, 1.0), "{one:?}");
        let none = Interval::wilson(0, 5).unwrap();
        assert!(close(none.low, 0.0) && close(none.high, 0.434), "{none:?}");
        assert_eq!(Interval::wilson(0, 0), None);
    }

    #[test]
    fn what_was_never_tried_lowers_coverage_and_no_rate() {
        let drills = [
            past("kill_process", "orders", 99, Some(true)),
            past("kill_process", "orders", 98, Some(false)),
            past("cpu", "orders", 99, None),
            past(PLACEBO, "orders", 99, Some(false)),
        ];
        let matrix = Matrix::of(
            &drills,
            &["kill_process", "cpu"],
            &["orders", "payment"],
            |_, _| true,
            Timestamp::from_secs(100 * DAY),
        );
        assert_eq!((matrix.covered, matrix.combinations, matrix.passing), (1, 4, 1));
        assert_eq!(matrix.pass_rate.unwrap().share, 1.0);
        let cell = matrix.cell("kill_process", "orders").unwrap();
        assert_eq!((cell.passed, cell.failed, cell.last_passed), (1, 1, true));
        assert_eq!(cell.age_s, DAY);
        assert!(matrix.cell("cpu", "orders").is_none(), "no result is no result");
        assert_eq!(matrix.placebos.unwrap().share, 0.0);
    }

    #[test]
    fn an_old_result_covers_nothing_any_more_and_is_shown() {
        let drills = [past("kill_process", "orders", 10, Some(true))];
        let now = Timestamp::from_secs(100 * DAY);
        let matrix = Matrix::of(&drills, &["kill_process"], &["orders"], |_, _| true, now);
        assert_eq!((matrix.covered, matrix.pass_rate), (0, None));
        assert!(matrix.cells[0].stale);
    }

    #[test]
    fn drills_of_targets_that_are_no_longer_configured_are_kept() {
        let drills = [past("kill_process", "cart", 99, Some(false))];
        let now = Timestamp::from_secs(100 * DAY);
        let matrix = Matrix::of(&drills, &["kill_process"], &["orders"], |_, _| true, now);
        assert_eq!(matrix.targets, ["orders", "cart"]);
        assert_eq!((matrix.covered, matrix.passing, matrix.combinations), (1, 0, 2));
    }

    #[test]
    fn what_makes_no_sense_is_no_gap_unless_it_was_done() {
        let now = Timestamp::from_secs(100 * DAY);
        let applies = |fault: &str, target: &str| fault != "container" || target == "cart";
        let matrix = |past: &[Past]| {
            Matrix::of(past, &["cpu", "container"], &["orders", "cart"], applies, now)
        };
        let none = matrix(&[]);
        let pair = Combination { fault: "container".into(), target: "orders".into() };
        assert_eq!((none.combinations, none.not_applicable), (3, vec![pair]));
        let drilled = matrix(&[past("container", "orders", 99, Some(true))]);
        assert_eq!((drilled.combinations, drilled.not_applicable), (4, vec![]));
    }

    #[test]
    fn a_drill_that_was_stopped_or_took_no_effect_has_no_result() {
        let now = Timestamp::from_secs(1);
        let card = Scorecard { took_effect: Some(true), passed: true, ..Scorecard::default() };
        assert_eq!(Past::of(&card, now).passed, Some(true));
        let failed = Scorecard { passed: false, ..card.clone() };
        assert_eq!(Past::of(&failed, now).passed, Some(false));
        let stopped = Scorecard { aborted: Some("stopped".into()), ..failed.clone() };
        assert_eq!(Past::of(&stopped, now).passed, None);
        let idle = Scorecard { took_effect: Some(false), ..failed };
        assert_eq!(Past::of(&idle, now).passed, None);
    }
}
