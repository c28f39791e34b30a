//! What series there are: metrics, labels, and their values.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use model::Timestamp;
use serde::Serialize;

use super::gather::is_true;
use super::labels::{self, LabelColumns};
use crate::Error;
use crate::query::matchers::Selector;
use crate::query::reading::{Ask, Sources};
use crate::query::spans::check_limit;
use crate::query::{Gauge, Limits, Scanned};
use crate::rows::{Ids, Integers, Texts};

/// Most names or values of an answer.
pub const LISTED_MAX: usize = 10_000;
/// What a series that is counted costs in memory, about.
const SEEN_BYTES: u64 = 48;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Listed_{T}")]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// There are more than these.
    pub truncated: bool,
    pub scanned: Scanned,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct MetricRecord {
    pub name: String,
    /// "gauge", "sum", "histogram", "exponential_histogram", "summary"
    pub kind: String,
    pub unit: String,
    pub description: String,
    /// "delta", "cumulative", "unspecified", or empty.
    pub temporality: String,
    pub monotonic: bool,
    /// With a point in the time asked for, as far as the borders of stored rows tell.
    pub series: u64,
    /// Of these rows.
    pub points: u64,
}

/// The metrics that have series which the selector takes, by name. Metrics that differ in kind or
/// unit are told apart.
pub fn metrics(
    sources: &Sources<'_>,
    selector: &Selector,
    time: std::ops::Range<Timestamp>,
    max: usize,
    limits: &Limits,
) -> Result<Listed<MetricRecord>, Error> {
    check_limit(max, LISTED_MAX)?;
    let gauge = sources.gauge(limits);
    let columns =
        ["metric", "kind", "unit", "description", "temporality", "monotonic", "points", "series"];
    let mut found: BTreeMap<(String, String, String), MetricRecord> = BTreeMap::new();
    let mut seen: HashSet<[u8; 16]> = HashSet::new();
    let mut truncated = false;
    each_row(sources, selector, &time, &columns, &gauge, |batch| {
        let text = |name: &str| Texts::of(batch, name);
        let (names, kinds, units) = (text("metric")?, text("kind")?, text("unit")?);
        let (descriptions, temporalities) = (text("description")?, text("temporality")?);
        let (points, ids) = (Integers::of(batch, "points")?, Ids::of(batch, "series")?);
        for row in 0..batch.num_rows() {
            let own = |texts: &Texts<'_>| texts.text(row).to_owned();
            let key = (own(&names), own(&kinds), own(&units));
            if found.len() >= max && !found.contains_key(&key) {
                truncated = true;
                if found.last_key_value().is_some_and(|(last, _)| *last < key) {
                    continue;
                }
                found.pop_last();
            }
            let (name, kind, unit) = key.clone();
            let record = found.entry(key).or_insert_with(|| MetricRecord {
                name,
                kind,
                unit,
                description: own(&descriptions),
                temporality: own(&temporalities),
                monotonic: is_true(batch, "monotonic", row),
                series: 0,
                points: 0,
            });
            record.points += u64::try_from(points.get(row).unwrap_or(0)).unwrap_or(0);
            if seen.insert(ids.get(row).unwrap_or_default()) {
                gauge.hold(SEEN_BYTES)?;
                record.series += 1;
            }
        }
        Ok(())
    })?;
    Ok(Listed { items: found.into_values().collect(), truncated, scanned: gauge.scanned() })
}

/// The labels of the series that the selector takes, by name.
pub fn labels(
    sources: &Sources<'_>,
    selector: &Selector,
    time: std::ops::Range<Timestamp>,
    max: usize,
    limits: &Limits,
) -> Result<Listed<String>, Error> {
    list(sources, selector, &time, max, limits, |labels| labels.into_keys().collect())
}

/// The values of one label of the series that the selector takes, sorted.
pub fn label_values(
    sources: &Sources<'_>,
    label: &str,
    selector: &Selector,
    time: std::ops::Range<Timestamp>,
    max: usize,
    limits: &Limits,
) -> Result<Listed<String>, Error> {
    list(sources, selector, &time, max, limits, |mut labels| {
        labels.remove(label).into_iter().collect()
    })
}

fn list(
    sources: &Sources<'_>,
    selector: &Selector,
    time: &std::ops::Range<Timestamp>,
    max: usize,
    limits: &Limits,
    tell: impl Fn(BTreeMap<String, String>) -> Vec<String>,
) -> Result<Listed<String>, Error> {
    check_limit(max, LISTED_MAX)?;
    let gauge = sources.gauge(limits);
    let mut columns = labels::COLUMNS.to_vec();
    columns.push("series");
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut seen: HashSet<[u8; 16]> = HashSet::new();
    let mut truncated = false;
    each_row(sources, selector, time, &columns, &gauge, |batch| {
        let ids = Ids::of(batch, "series")?;
        let of_rows = LabelColumns::of(batch)?;
        for row in 0..batch.num_rows() {
            if !seen.insert(ids.get(row).unwrap_or_default()) {
                continue;
            }
            gauge.hold(SEEN_BYTES)?;
            found.extend(tell(of_rows.all(row)));
            while found.len() > max {
                found.pop_last();
                truncated = true;
            }
        }
        gauge.check()?;
        Ok(())
    })?;
    Ok(Listed { items: found.into_iter().collect(), truncated, scanned: gauge.scanned() })
}

fn each_row(
    sources: &Sources<'_>,
    selector: &Selector,
    time: &std::ops::Range<Timestamp>,
    columns: &[&'static str],
    gauge: &Arc<Gauge>,
    mut each: impl FnMut(&arrow_array::RecordBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    if time.start >= time.end {
        let reason = format!("the time from {} to {} is empty", time.start, time.end);
        return Err(Error::BadQuery { reason });
    }
    let stages = labels::stages(selector, time.start, time.end);
    let ask = Ask { metric: selector.metric.as_deref(), ..Ask::of(time.start, time.end) };
    sources.newest_first(time.start, time.end, gauge, |part| {
        part.read(&ask, &stages, columns, gauge, &mut |batch| each(&batch))?;
        Ok(true)
    })
}
