//! The Numenta Anomaly Benchmark: series with labelled windows, and its score.
//!
//! The first 15 % of a file, at most 750 rows, are not scored. In a window the earliest alert
//! counts, the more the earlier; an alert outside costs, the more the farther it is behind a
//! window; a missed window costs. 0 is a detector that never alarms, 100 a perfect one (Lavin and
//! Ahmad 2015; `nab/sweeper.py`). The original chooses each detector's threshold by these labels;
//! here it is the one that ships.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use model::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::table::{self, Row};
use crate::figures::{Outcome, rounded};

/// What the product promises.
const STANDARD_MIN: f64 = 50.0;
const UNSCORED_SHARE: f64 = 0.15;
const UNSCORED_MAX: usize = 750;
/// The score's curve at the left edge of a window.
const EARLIEST: f64 = 0.986_614_298_151_43;
/// A random detector is drawn so often.
const DRAWS: u64 = 50;

#[derive(Args)]
pub struct Nab {
    /// Folder with `data` and `labels`, as in the original
    #[arg(long, value_name = "DIR", default_value = "../shared/data/nab")]
    data: PathBuf,
    /// Of the detector that alarms at random as often as ours
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What an alert in a window gains, one outside costs, a missed window costs.
#[derive(Clone, Copy)]
struct Profile {
    hit: f64,
    false_alert: f64,
    missed: f64,
}

const STANDARD: Profile = Profile { hit: 1.0, false_alert: 0.11, missed: 1.0 };
const LOW_FALSE_ALERTS: Profile = Profile { hit: 1.0, false_alert: 0.22, missed: 1.0 };
const LOW_MISSES: Profile = Profile { hit: 1.0, false_alert: 0.11, missed: 2.0 };

struct File {
    rows: usize,
    windows: Vec<RangeInclusive<usize>>,
    alerts: Vec<usize>,
}

impl Nab {
    pub async fn run(self) -> Result<Outcome> {
        let labels = self.data.join("labels/combined_windows.json");
        let text = std::fs::read_to_string(&labels)
            .with_context(|| format!("{}: name the data set by --data", labels.display()))?;
        let labels: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&text)?;
        let mut files = Vec::new();
        for (name, windows) in &labels {
            let rows = table::read(&self.data.join("data").join(name))?;
            let windows = windows.iter().map(|(from, to)| window(&rows, from, to));
            let windows = windows.collect::<Result<Vec<_>>>()?;
            let alerts = super::alerts(&rows);
            eprintln!("{name}: {} windows, {} alerts", windows.len(), alerts.len());
            files.push(File { rows: rows.len(), windows, alerts });
        }
        let of = |profile| rounded(score(&files, profile, |file| file.alerts.clone()));
        let standard = of(STANDARD);
        let all = score(&files, STANDARD, |file| (0..file.rows).collect());
        let random = (0..DRAWS).map(|draw| {
            let mut chance = StdRng::seed_from_u64(self.seed.wrapping_mul(DRAWS) + draw);
            score(&files, STANDARD, |file| {
                file.alerts
                    .iter()
                    .map(|_| chance.random_range(unscored(file.rows)..file.rows))
                    .collect()
            })
        });
        let figures = json!({
            "bench": "nab",
            "files": files.len(),
            "windows": files.iter().map(|file| file.windows.len()).sum::<usize>(),
            "alerts": files.iter().map(|file| scored(file, &file.alerts).count()).sum::<usize>(),
            "standard": standard,
            "low_fp": of(LOW_FALSE_ALERTS),
            "low_fn": of(LOW_MISSES),
            "all_alerts": rounded(all),
            "random": rounded(random.sum::<f64>() / DRAWS as f64),
        });
        let mut outcome = Outcome::new(figures);
        let broken = format!("standard is {standard}, {STANDARD_MIN} promised");
        outcome.promise(standard >= STANDARD_MIN, broken);
        Ok(outcome)
    }
}

fn window(rows: &[Row], from: &str, to: &str) -> Result<RangeInclusive<usize>> {
    let (from, to): (Timestamp, Timestamp) = (table::time(from)?, table::time(to)?);
    let first = rows.iter().position(|row| row.at >= from).context("a window after all rows")?;
    let last = rows.iter().rposition(|row| row.at <= to).context("a window before all rows")?;
    Ok(first..=last)
}

fn unscored(rows: usize) -> usize {
    ((rows as f64 * UNSCORED_SHARE) as usize).min(UNSCORED_MAX)
}

fn scored<'a>(file: &File, alerts: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let begin = unscored(file.rows);
    alerts.iter().copied().filter(move |alert| *alert >= begin)
}

/// From 1 far before `at` 0, which is 0, to -1 behind it; in lengths of a window.
fn curve(at: f64) -> f64 {
    if at > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * at).exp()) - 1.0 }
}

fn score(files: &[File], profile: Profile, mut alerts: impl FnMut(&File) -> Vec<usize>) -> f64 {
    let (mut raw, mut nothing, mut perfect) = (0.0, 0.0, 0.0);
    for file in files {
        let alerts = alerts(file);
        let alerts: Vec<usize> = scored(file, &alerts).collect();
        raw += score_of(file, &alerts, profile);
        nothing -= profile.missed * file.windows.len() as f64;
        perfect += profile.hit * file.windows.len() as f64;
    }
    100.0 * (raw - nothing) / (perfect - nothing)
}

fn score_of(file: &File, alerts: &[usize], profile: Profile) -> f64 {
    let length = |window: &RangeInclusive<usize>| (window.end() - window.start()).max(1) as f64;
    let windows = file.windows.iter().map(|window| {
        match alerts.iter().find(|alert| window.contains(alert)) {
            Some(alert) => {
                let before_end = (window.end() - alert) as f64 / length(window);
                profile.hit * curve(-before_end) / EARLIEST
            }
            None => -profile.missed,
        }
    });
    let outside = alerts.iter().filter(|at| !file.windows.iter().any(|w| w.contains(at)));
    let outside =
        outside.map(|alert| match file.windows.iter().rev().find(|window| window.end() < alert) {
            Some(window) => {
                profile.false_alert * curve((alert - window.end()) as f64 / length(window))
            }
            None => -profile.false_alert,
        });
    windows.sum::<f64>() + outside.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File { rows: 1_000, windows: vec![400..=500, 800..=900], alerts: Vec::new() }
    }

    #[test]
    fn nothing_is_0_and_the_left_edges_are_100() {
        let of = |alerts: &[usize]| score(&[file()], STANDARD, |_| alerts.to_vec());
        assert_eq!(of(&[]), 0.0);
        assert!((of(&[400, 800]) - 100.0).abs() < 1e-9);
        assert!((of(&[400, 450, 800]) - 100.0).abs() < 1e-9, "the earliest in a window counts");
        assert!(of(&[490, 890]) > 50.0 && of(&[490, 890]) < 75.0);
        assert_eq!(of(&[10, 149]), 0.0, "the first 15 % are not scored");
    }

    #[test]
    fn false_alerts_cost_the_more_the_farther_behind_a_window() {
        let of = |alerts: &[usize]| score_of(&file(), alerts, STANDARD);
        assert!((of(&[200]) - of(&[]) + 0.11).abs() < 1e-9, "before the first");
        assert!(of(&[510]) > of(&[700]));
        assert!((of(&[799]) - of(&[]) + 0.11).abs() < 1e-3);
    }
}
