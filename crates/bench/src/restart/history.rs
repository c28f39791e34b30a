//! Days of telemetry: all series once a day, and spans and log records until the files are as large
//! as wanted.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use model::Timestamp;
use model::signal::Signal;
use serde::{Deserialize, Serialize};
use storage::schema::Table;
use storage::store::Config;
use tokio::time::Instant;

use super::noise;
use crate::figures::rounded;
use crate::filling::{Arrived, Filling};
use crate::telemetry::folder::Captured;
use crate::telemetry::rewrite::{Pass, rewritten};
use crate::telemetry::stock::Source;
use crate::telemetry::templates::{Filled, Template, Templates};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Nothing of it is as young as what is sent afterwards.
pub const ENDED_BEFORE: Duration = Duration::from_secs(3_600);
/// Much memory makes fewer and larger files at first, so that there is less to merge; but what is
/// in memory is not counted yet, so it is a small part of what is wanted.
const MEMORY_MAX: u64 = 1 << 30;
const MEMORY_MIN: u64 = 32 << 20;
const QUIET: Duration = Duration::from_secs(10);
const HISTORY: &str = "history.json";

/// What was wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub bytes: u64,
    pub days: u32,
    pub seed: u64,
}

/// What was built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History {
    pub spans: u64,
    pub log_records: u64,
    pub points: u64,
    pub series: u64,
    pub built_in_s: f64,
}

impl History {
    pub fn save(&self, folder: &Path) -> Result<()> {
        Ok(std::fs::write(folder.join(HISTORY), serde_json::to_string(self)?)?)
    }

    pub fn load(folder: &Path) -> Result<History> {
        let path = folder.join(HISTORY);
        let text = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Spans or log records that are stored again and again.
struct Stream {
    signal: Signal,
    table: Table,
    templates: Vec<(Template, Vec<usize>)>,
    passes: u64,
    items: u64,
}

impl Stream {
    fn new(signal: Signal, table: Table, templates: Templates) -> Stream {
        let with_places = |template: Template| {
            let places = noise::places(&template);
            (template, places)
        };
        let templates = templates.all.into_iter().map(with_places).collect();
        Stream { signal, table, templates, passes: 0, items: 0 }
    }

    /// One pass, around a moment of the day.
    fn pass(&mut self, filling: &mut Filling, day: Timestamp, seed: u64) -> Result<()> {
        self.passes += 1;
        // Steps of the golden ratio fill the day evenly, however many there will be.
        let part = (self.passes as f64 * 0.618_033_988_75).fract();
        let sent = vec![(day + DAY.mul_f64(part)).0; self.templates.len()];
        let key = seed.wrapping_mul(0x1_0000_0001).wrapping_add(self.passes);
        let (signal, templates) = (self.signal, &self.templates);
        self.items += filling.add(templates.len(), |number| {
            let (template, places) = &templates[number];
            let mut body = rewritten(template, number, Pass { key, sent: &sent });
            noise::fill(&mut body, places, key.wrapping_mul(1 << 20).wrapping_add(number as u64));
            Ok(Arrived { signal, body, at: Timestamp(sent[number]) })
        })?;
        Ok(())
    }

    /// Bytes at rest of all that was stored, as far as files tell already.
    fn bytes(&self, filling: &Filling) -> u64 {
        let (bytes, items) = filling.in_files(self.table);
        if items == 0 { 0 } else { (bytes as f64 / items as f64 * self.items as f64) as u64 }
    }
}

pub fn build(
    data: &Path,
    captured: &[Captured],
    metrics: &Source,
    wanted: Wanted,
) -> Result<History> {
    let begin = Instant::now();
    let memory = (wanted.bytes / 8).clamp(MEMORY_MIN, MEMORY_MAX) as usize;
    let config = Config { memory, ..Config::default() };
    let mut filling = Filling::open(data, config)?;
    let roomy = noise::with_room(captured)?;
    let traces = Templates::traces(&roomy, Filled::Full)?;
    let logs = Templates::logs(&roomy, Filled::Full)?;
    let mut streams = [
        Stream::new(Signal::Traces, Table::Spans, traces),
        Stream::new(Signal::Logs, Table::Logs, logs),
    ];
    let first = server::clock::now() - ENDED_BEFORE - DAY * wanted.days;
    let mut points = 0;
    for day in 0..wanted.days {
        let at = first + DAY * day;
        points += all_series(&mut filling, metrics, day as usize, at)?;
        let target = wanted.bytes / u64::from(wanted.days) * u64::from(day + 1);
        loop {
            let (samples, _) = filling.in_files(Table::Samples);
            let stored: u64 = streams.iter().map(|one| one.bytes(&filling)).sum();
            if stored + samples >= target {
                break;
            }
            // Half of what is not metrics each.
            let turn = usize::from(streams[0].bytes(&filling) > streams[1].bytes(&filling));
            streams[turn].pass(&mut filling, at, wanted.seed)?;
        }
        let [spans, records] = [0, 1].map(|of| streams[of].items);
        eprintln!(
            "day {} of {}: {spans} spans, {records} log records, {points} points after {:.0} s",
            day + 1,
            wanted.days,
            begin.elapsed().as_secs_f64()
        );
    }
    filling.finish(QUIET)?;
    Ok(History {
        spans: streams[0].items,
        log_records: streams[1].items,
        points,
        series: metrics.series(metrics.requests_of_a_step() * wanted.days as usize) as u64,
        built_in_s: rounded(begin.elapsed().as_secs_f64()),
    })
}

/// One export of each process, over the day.
fn all_series(filling: &mut Filling, metrics: &Source, step: usize, day: Timestamp) -> Result<u64> {
    let count = metrics.requests_of_a_step();
    filling.add(count, |number| {
        let at = day + DAY.mul_f64(number as f64 / count as f64);
        let body = metrics.export(number, step, at).context("no metrics")?;
        Ok(Arrived { signal: Signal::Metrics, body, at })
    })
}
