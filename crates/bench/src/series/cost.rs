//! What it costs to follow many series: processor time and memory.

use anyhow::Result;
use clap::Args;
use detect::series::Series;
use model::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::figures::{Outcome, rounded};
use crate::process::cpu_s;

/// Between two values of a series.
const STEP_SECONDS: u64 = 10;
/// Values before those that are measured: seasons are known then.
const LEARNED_EVERY: u64 = 900;
const LEARNED: u64 = 4 * 86_400 / LEARNED_EVERY;
const BEGIN: u64 = 1_700_000_000;
const CORE_PERCENT_MAX: f64 = 10.0;
const BYTES_MAX: usize = 1_024;

#[derive(Args)]
pub struct DetectCost {
    /// Series, each with a value every 10 s
    #[arg(long, default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    series: u32,
    /// Values of each that are measured
    #[arg(long, default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    values: u32,
}

impl DetectCost {
    pub async fn run(self) -> Result<Outcome> {
        let mut chance = StdRng::seed_from_u64(1);
        let mut all = vec![Series::default(); self.series as usize];
        let value = |secs: u64, of: usize, noise: f64| {
            let day = (secs % 86_400) as f64 / 86_400.0 * std::f64::consts::TAU;
            (of % 97 + 1) as f64 * (10.0 + 3.0 * day.sin() + noise)
        };
        eprintln!("four days of {} series", self.series);
        for round in 0..LEARNED {
            let secs = BEGIN + round * LEARNED_EVERY;
            for (of, series) in all.iter_mut().enumerate() {
                series.observe(Timestamp::from_secs(secs), value(secs, of, chance.random()));
            }
        }
        let begin = BEGIN + LEARNED * LEARNED_EVERY;
        let (mut cpu, mut anomalies) = (0.0, 0_usize);
        let mut values = Vec::with_capacity(all.len());
        for round in 0..u64::from(self.values) {
            let secs = begin + round * STEP_SECONDS;
            values.clear();
            values.extend((0..all.len()).map(|of| value(secs, of, chance.random())));
            let before = cpu_s(std::process::id())?;
            for (series, value) in all.iter_mut().zip(&values) {
                anomalies +=
                    usize::from(series.observe(Timestamp::from_secs(secs), *value).is_some());
            }
            cpu += cpu_s(std::process::id())? - before;
        }
        let percent = rounded(cpu / (u64::from(self.values) * STEP_SECONDS) as f64 * 100.0);
        let observed = u64::from(self.values) * u64::from(self.series);
        let figures = json!({
            "bench": "detect-cost",
            "series": self.series,
            "core_percent": percent,
            "bytes_per_series": size_of::<Series>(),
            "nanoseconds_per_value": rounded(cpu * 1e9 / observed as f64),
            "anomalies": anomalies,
        });
        let mut outcome = Outcome::new(figures);
        let broken = format!("{percent} % of a core, {CORE_PERCENT_MAX} promised");
        // The promise is made for 100,000 series.
        let is_within = percent <= CORE_PERCENT_MAX || self.series > 100_000;
        outcome.promise(is_within, broken);
        outcome.promise(size_of::<Series>() <= BYTES_MAX, "a series is larger than 1 KB");
        Ok(outcome)
    }
}
