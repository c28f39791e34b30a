//! How many spans there were over time, and how many of them failed.

use std::time::Duration;

use model::Timestamp;
use serde::Serialize;

use super::filter::SpanFilter;
use crate::Error;
use crate::query::grid::Grid;
use crate::query::reading::{Ask, Sources};
use crate::query::{Limits, Scanned};
use crate::rows::{Texts, Times};

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SpanStats {
    pub spans: u64,
    pub errors: u64,
    /// Length of a window.
    pub step_nanos: u64,
    /// All windows, the earliest first; empty ones too.
    pub windows: Vec<SpanCount>,
    pub scanned: Scanned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct SpanCount {
    /// Start of the window.
    pub time: Timestamp,
    pub spans: u64,
    /// Of status "error".
    pub errors: u64,
}

/// Counts the spans that pass, by when they started. A histogram of a part would mislead, so at a
/// limit there is none.
pub fn span_stats(
    sources: &Sources<'_>,
    filter: &SpanFilter,
    step: Duration,
    limits: &Limits,
) -> Result<SpanStats, Error> {
    filter.check()?;
    let grid = Grid::new(filter.from, filter.to, step)?;
    let gauge = sources.gauge(limits);
    let counts = |window: usize| SpanCount { time: grid.time(window), spans: 0, errors: 0 };
    let mut windows: Vec<SpanCount> = (0..grid.windows()).map(counts).collect();
    let stages = filter.stages();
    let ask = Ask { service: filter.service.as_deref(), ..Ask::of(filter.from, filter.to) };
    sources.newest_first(filter.from, filter.to, &gauge, |part| {
        part.read(&ask, &stages, &["time", "status"], &gauge, &mut |batch| {
            let (times, statuses) = (Times::of(&batch, "time")?, Texts::of(&batch, "status")?);
            for row in 0..batch.num_rows() {
                let time = times.get(row).unwrap_or_default();
                let Some(window) = grid.window_of(time.as_nanos()) else { continue };
                windows[window].spans += 1;
                windows[window].errors += u64::from(statuses.text(row) == "error");
            }
            Ok(())
        })?;
        Ok(true)
    })?;
    Ok(SpanStats {
        spans: windows.iter().map(|window| window.spans).sum(),
        errors: windows.iter().map(|window| window.errors).sum(),
        step_nanos: u64::try_from(step.as_nanos()).unwrap_or(u64::MAX),
        windows,
        scanned: gauge.scanned(),
    })
}
