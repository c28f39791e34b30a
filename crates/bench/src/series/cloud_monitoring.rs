//! Microsoft's cloud monitoring data set: series of operations that experts labelled.
//!
//! By events: labelled rows that follow each other are one, and it is found when an anomaly is told
//! in it, or within seven rows of its beginning where it is shorter. Every other anomaly is a false
//! alarm. The labels of the first values count, though nothing is judged there yet.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::json;

use super::table::{self, Row};
use crate::figures::{Outcome, rounded};

/// What the product promises.
const F1_MIN: f64 = 0.55;
/// Rows from the beginning of an event in which it may be told.
const TOLD_WITHIN: usize = 7;
const SECONDS_A_WEEK: f64 = 604_800.0;

#[derive(Args)]
pub struct CloudMonitoring {
    /// Folder with the series, as in the original
    #[arg(long, value_name = "DIR", default_value = "../shared/data/cloud-monitoring")]
    data: PathBuf,
}

#[derive(Default)]
struct Counts {
    events: usize,
    found: usize,
    false_alarms: usize,
}

impl CloudMonitoring {
    pub async fn run(self) -> Result<Outcome> {
        let files = table::files(&self.data)?;
        ensure!(!files.is_empty(), "{} has no series", self.data.display());
        let (mut all, mut weeks) = (Counts::default(), 0.0);
        let (mut clean, mut on_clean) = (0, 0);
        for path in &files {
            let rows = table::read(path)?;
            let alerts = super::alerts(&rows);
            let own = judged(&rows, &alerts);
            let name = path.file_name().unwrap_or_default().display();
            eprintln!(
                "{name}: {} of {} events found, {} false alarms",
                own.found, own.events, own.false_alarms
            );
            if let [first, .., last] = &rows[..] {
                weeks += last.at.since(first.at).as_secs_f64() / SECONDS_A_WEEK;
            }
            if own.events == 0 {
                clean += 1;
                on_clean += own.false_alarms;
            }
            all.events += own.events;
            all.found += own.found;
            all.false_alarms += own.false_alarms;
        }
        let precision = all.found as f64 / (all.found + all.false_alarms).max(1) as f64;
        let recall = all.found as f64 / all.events.max(1) as f64;
        let f1 = rounded(2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE));
        let figures = json!({
            "bench": "cloud-monitoring",
            "series": files.len(),
            "events": all.events,
            "found": all.found,
            "false_alarms": all.false_alarms,
            "f1": f1,
            "precision": rounded(precision),
            "recall": rounded(recall),
            "clean_series": clean,
            "alerts_on_clean_series": on_clean,
            "false_alarms_per_series_week": rounded(all.false_alarms as f64 / weeks),
        });
        let mut outcome = Outcome::new(figures);
        outcome.promise(f1 >= F1_MIN, format!("f1 is {f1}, {F1_MIN} promised"));
        Ok(outcome)
    }
}

fn events(rows: &[Row]) -> Vec<RangeInclusive<usize>> {
    let mut events: Vec<RangeInclusive<usize>> = Vec::new();
    for (at, _) in rows.iter().enumerate().filter(|(_, row)| row.is_labelled) {
        match events.last_mut() {
            Some(event) if event.end() + 1 == at => *event = *event.start()..=at,
            _ => events.push(at..=at),
        }
    }
    events
}

fn judged(rows: &[Row], alerts: &[usize]) -> Counts {
    let events: Vec<RangeInclusive<usize>> = events(rows)
        .into_iter()
        .map(|event| *event.start()..=(*event.end()).max(event.start() + TOLD_WITHIN))
        .collect();
    let is_of_one = |alert: &&usize| events.iter().any(|event| event.contains(alert));
    let is_found = |event: &&RangeInclusive<usize>| alerts.iter().any(|at| event.contains(at));
    Counts {
        found: events.iter().filter(is_found).count(),
        false_alarms: alerts.len() - alerts.iter().filter(is_of_one).count(),
        events: events.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_once_and_what_is_beside_it_is_false() {
        let labelled = [20, 21, 22, 60];
        let rows: Vec<Row> = (0..100)
            .map(|at| Row {
                at: model::Timestamp::from_secs(at),
                value: Some(0.0),
                is_labelled: labelled.contains(&at),
            })
            .collect();
        let of = |alerts: &[usize]| {
            let counts = judged(&rows, alerts);
            (counts.events, counts.found, counts.false_alarms)
        };
        assert_eq!(of(&[]), (2, 0, 0));
        assert_eq!(of(&[21, 22, 67]), (2, 2, 0));
        assert_eq!(of(&[19, 28, 68]), (2, 0, 3));
    }
}
