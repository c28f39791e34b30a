//! How many requests each service had lately, as bars of one character each.
//!
//! From the series that the loop itself counts. Where it counted nothing there is a gap: no data is
//! not zero.

use std::collections::BTreeMap;

use anyhow::Result;
use model::Entity;
use serde::Deserialize;

use super::super::client::Client;

/// How far back, in steps.
const STEPS: usize = 40;
const STEP_MS: i64 = 20_000;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const SERIES_MAX: usize = 1_000;

/// Requests per second by service and environment, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History(BTreeMap<(String, String), Vec<Option<f64>>>);

#[derive(Deserialize)]
pub(super) struct Answer {
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    points: Vec<(i64, Option<f64>)>,
}

impl History {
    pub(super) async fn ask(client: &Client) -> Result<History> {
        let minutes = STEPS as i64 * STEP_MS / 60_000;
        let parameters = [
            ("match", r#"immune.requests{of="service"}"#.to_owned()),
            ("from", format!("{minutes}m")),
            ("step", format!("{}s", STEP_MS / 1000)),
            ("function", "rate".to_owned()),
            ("limit", SERIES_MAX.to_string()),
        ];
        Ok(History::read(client.ask("series", &parameters).await?))
    }

    pub(super) fn read(answer: Answer) -> History {
        let times = answer.series.iter().flat_map(|series| series.points.iter().map(|(at, _)| *at));
        let Some(last) = times.max() else { return History::default() };
        let mut all = BTreeMap::new();
        for series in answer.series {
            let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
            let key = (label("service"), label("deployment.environment.name"));
            let steps: &mut Vec<Option<f64>> = all.entry(key).or_insert_with(|| vec![None; STEPS]);
            for (at, value) in series.points {
                let back = usize::try_from((last - at) / STEP_MS).unwrap_or(usize::MAX);
                if back < STEPS {
                    steps[STEPS - 1 - back] = value;
                }
            }
        }
        History(all)
    }

    /// The newest `columns` steps as bars, each service by its own highest.
    pub(super) fn bars(&self, entity: &Entity, columns: usize) -> String {
        let key = (entity.name.clone(), entity.scope.environment.clone());
        let Some(steps) = self.0.get(&key) else { return String::new() };
        let steps = &steps[steps.len().saturating_sub(columns)..];
        let highest = steps.iter().flatten().copied().fold(0.0, f64::max);
        let bar = |step: &Option<f64>| match step {
            None => ' ',
            Some(value) if highest <= 0.0 || *value <= 0.0 => BARS[0],
            Some(value) => {
                let top = (BARS.len() - 1) as f64;
                BARS[(value / highest * top).round().clamp(0.0, top) as usize]
            }
        };
        steps.iter().map(bar).collect()
    }
}
