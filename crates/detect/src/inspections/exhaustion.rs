//! Exhaustion: at the pace of now, a disk, memory or a pool is used up before long.
//!
//! Nobody is hurt yet, so it is a ticket and never a page: work for the day, before it is work for
//! the night. Told of are room of file systems (by telemetry, or by an agent's look), memory that
//! has a limit, and pools of connections; processors have no trend.
//!
//! Bounded by `SERIES_MAX` levels of less than 1 KB each; the one that was told of longest ago
//! gives way, and that is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use model::condition::{Condition, ConditionReport};
use model::level::{Level, LevelKey, Resource};
use model::symptom::{Severity, Symptom, SymptomKey, SymptomKind};
use model::{Tick, Timestamp};
use serde::{Deserialize, Serialize};

use super::Spec;
use crate::config::Exhaustion as Config;
use crate::trend::{Line, Trend};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: "exhaustion",
    title: "Used up before long",
    unit: "seconds",
    default: "used up within a day, at least half used, and a line through at least 15 readings",
    documentation: "Notices that room of a file system, memory or a pool of connections goes up \
        in a straight line that ends within `detect.exhaustion.within`. A ticket: users are not \
        hurt yet. A line is believed for four times as long as it was seen.",
};

/// Levels that are followed.
pub const SERIES_MAX: usize = 5_000;
/// What is not told of for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(86_400);
/// It ends once it is this much further away than a new one would have to be.
const FAR: u32 = 2;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    series: BTreeMap<LevelKey, Series>,
    left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Series {
    trend: Trend,
    last: Timestamp,
    symptom: Option<Symptom>,
}

impl Levels {
    pub fn take(&mut self, tick: &Tick, config: &Config) {
        for level in &tick.levels {
            self.take_level(level, config, tick.now);
        }
        for report in &tick.conditions {
            for level in of_disks(report) {
                self.take_level(&level, config, tick.now);
            }
        }
    }

    fn take_level(&mut self, level: &Level, config: &Config, now: Timestamp) {
        if level.key.resource == Resource::Cpu {
            return;
        }
        if !self.series.contains_key(&level.key) && self.series.len() >= SERIES_MAX {
            let oldest = self.series.iter().min_by_key(|(_, series)| series.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.series.remove(&oldest);
                self.left_out += 1;
            }
        }
        let new = || Series { trend: Trend::default(), last: now, symptom: None };
        let series = self.series.entry(level.key.clone()).or_insert_with(new);
        series.last = now;
        if series.trend.take(level.share(), level.at.min(now)) {
            series.judge(level, config, now);
        }
    }

    /// What recovered for long enough, or is no longer told of, ends.
    pub fn conclude(&mut self, clear_after: Duration, now: Timestamp) -> Vec<SymptomKey> {
        let mut ended = Vec::new();
        self.series.retain(|_, series| {
            let is_old = now.since(series.last) > FORGET_AFTER;
            let is_over = |symptom: &mut Symptom| {
                let since = symptom.recovering_since;
                is_old || since.is_some_and(|since| now.since(since) >= clear_after)
            };
            ended.extend(series.symptom.take_if(is_over).map(|symptom| symptom.key()));
            !is_old
        });
        ended
    }

    /// Ends all.
    pub fn end(&mut self) -> Vec<SymptomKey> {
        let series = std::mem::take(&mut self.series).into_values();
        series.filter_map(|series| series.symptom).map(|symptom| symptom.key()).collect()
    }

    pub fn firing(&self) -> impl Iterator<Item = &Symptom> {
        self.series.values().filter_map(|series| series.symptom.as_ref())
    }

    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl Series {
    fn judge(&mut self, level: &Level, config: &Config, now: Timestamp) {
        let line = self.trend.line().filter(|line| line.seen_for >= seen_min(level.key.resource));
        let left = line.map(|line| line.left);
        let is_near = left.is_some_and(|left| left <= config.within.0);
        let is_used = level.share() >= config.used_min / 100.0;
        match (&mut self.symptom, line) {
            (Some(symptom), Some(line)) if line.left <= FAR * config.within.0 => {
                symptom.measured = line.left.as_secs_f64();
                symptom.recovering_since = None;
                symptom.summary = summary(level, line);
            }
            // Full is not over.
            (Some(symptom), _) if level.share() < 0.95 => {
                symptom.recovering_since.get_or_insert(now);
            }
            (Some(_), _) => {}
            (None, Some(line)) if is_near && is_used => {
                self.symptom = Some(symptom(level, line, config, now));
            }
            (None, _) => {}
        }
    }
}

/// Memory is collected and pools shrink, so they have to rise for longer than files do.
fn seen_min(resource: Resource) -> Duration {
    match resource {
        Resource::Disk => Duration::ZERO,
        Resource::Memory | Resource::Pool | Resource::Cpu => Duration::from_secs(3_600),
    }
}

fn symptom(level: &Level, line: Line, config: &Config, now: Timestamp) -> Symptom {
    Symptom {
        entity: level.key.entity.clone(),
        kind: SymptomKind::Exhaustion,
        source: level.key.what(),
        severity: Severity::Ticket,
        onset: now,
        detected: now,
        recovering_since: None,
        measured: line.left.as_secs_f64(),
        threshold: config.within.0.as_secs_f64(),
        unit: "seconds".to_owned(),
        bad: 0.0,
        total: 0.0,
        error_kinds: Vec::new(),
        exemplar: None,
        runbook_url: String::new(),
        summary: summary(level, line),
    }
}

/// `disk /data of db-1 is 71 % used and used up in 5 hours, if it goes on as in the last 60 min (97
/// % of readings rise)`
fn summary(level: &Level, line: Line) -> String {
    format!(
        "{} of {} is {} used and used up in {}, if it goes on as in the last {} ({} of pairs of \
         readings rise)",
        level.key.what(),
        level.key.entity,
        wording::percent(level.share()),
        wording::span(line.left.as_secs_f64()),
        wording::span(line.seen_for.as_secs_f64()),
        wording::percent(line.rising),
    )
}

/// What an agent's look at file systems tells.
fn of_disks(report: &ConditionReport) -> Vec<Level> {
    let Condition::Disks(disks) = &report.condition else { return Vec::new() };
    let told = disks.iter().filter(|disk| disk.bytes > 0).map(|disk| {
        let (entity, name) = (report.entity.clone(), disk.folder.clone());
        Level {
            at: report.at,
            key: LevelKey { entity, resource: Resource::Disk, name },
            used: disk.bytes.saturating_sub(disk.free_bytes) as f64,
            limit: disk.bytes as f64,
            waiting: None,
        }
    });
    told.collect()
}
