//! Spans one by one: search as a flat list, page by page, and their number over time.
//!
//! A search goes over the stored parts from the newest to the oldest and keeps the best of what it
//! meets, so it ends as soon as nothing older can be better. Only then are all columns of the rows
//! found read. The order is total (ties are broken by ids), so pages neither repeat nor leave out a
//! span while nothing new arrives.

pub(super) mod best;
mod cursor;
pub mod filter;
pub mod record;
mod stats;

#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use cursor::Cursor;
pub use filter::SpanFilter;
pub use record::{SpanRecord, id_of};
pub use stats::{SpanCount, SpanStats, span_stats};

use super::reading::{Ask, Locator, Sources};
use super::{Gauge, Limits, Scanned, Stopped};
use crate::Error;
use crate::rows::{self, StoredSpan};
use best::{Best, Rank};
use record::Resources;

/// Most spans of a page.
pub const LIMIT_MAX: usize = 1_000;
const GRACE: Duration = Duration::from_millis(500);
/// Most spans that are the same in all and can be paged through.
const SEEN_MAX: u32 = 10_000;

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Newest,
    Slowest,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SpanQuery {
    pub filter: SpanFilter,
    pub order: Order,
    /// Spans of a page, at most [`LIMIT_MAX`].
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SpansFound {
    pub spans: Vec<SpanRecord>,
    /// What the spans' `resource` points to.
    pub resources: Vec<Map<String, Value>>,
    /// For the next page; absent on the last one.
    pub next: Option<Cursor>,
    /// Why not all was looked at: then there may be better spans than these.
    pub stopped: Option<Stopped>,
    pub scanned: Scanned,
}

pub fn search_spans(
    sources: &Sources<'_>,
    query: &SpanQuery,
    limits: &Limits,
) -> Result<SpansFound, Error> {
    query.filter.check()?;
    check_limit(query.limit, LIMIT_MAX)?;
    if query.after.as_ref().is_some_and(|cursor| cursor.rank.order != query.order) {
        let reason = "the cursor is of a question with another order".to_owned();
        return Err(Error::BadQuery { reason });
    }
    let gauge = sources.gauge(limits);
    // One more than asked for tells whether there is a next page.
    let seen = query.after.as_ref().map_or(0, |cursor| cursor.seen as usize);
    let mut best = Best::new(query.order, query.limit + seen + 1);
    let stopped = match collect(sources, query, &gauge, &mut best) {
        Ok(()) => None,
        Err(error) => Some(partial(error)?),
    };
    let mut found = best.into_sorted();
    if let Some(cursor) = &query.after {
        let given = found.iter().take(seen).take_while(|(rank, _)| *rank == cursor.rank).count();
        found.drain(..given);
    }
    let is_last = found.len() <= query.limit;
    found.truncate(query.limit);
    let next = if is_last { None } else { Cursor::after(&found, query.after.as_ref()) };
    let fetching = if stopped.is_some() { sources.gauge(&grace(limits)) } else { gauge.clone() };
    let rows = fetch(sources, &found, &fetching)?;
    let mut resources = Resources::default();
    let spans = rows.iter().map(|row| SpanRecord::of(row, &mut resources)).collect();
    let resources = resources.into_records();
    Ok(SpansFound { spans, resources, next, stopped, scanned: gauge.scanned() })
}

/// After a search has come to a limit: what it takes to show what it found so far, which is little.
pub(super) fn grace(limits: &Limits) -> Limits {
    let deadline = (limits.now)() + GRACE;
    Limits { deadline: deadline.max(limits.deadline), ..limits.clone() }
}

/// What ends a query for good; a cancelled one has nobody to tell what was found so far.
pub(super) fn partial(error: Error) -> Result<Stopped, Error> {
    match error {
        Error::Stopped(stopped) if stopped != Stopped::Cancelled => Ok(stopped),
        error => Err(error),
    }
}

pub(super) fn check_limit(limit: usize, most: usize) -> Result<(), Error> {
    if (1..=most).contains(&limit) {
        return Ok(());
    }
    Err(Error::BadQuery { reason: format!("the limit is {limit}; ask for 1 to {most}") })
}

fn collect(
    sources: &Sources<'_>,
    query: &SpanQuery,
    gauge: &Arc<Gauge>,
    best: &mut Best<Locator>,
) -> Result<(), Error> {
    let mut filter = query.filter.clone();
    if let Some(cursor) = &query.after {
        cursor.narrow(query.order, &mut filter);
    }
    let columns = ["trace_id", "span_id", "time", "duration_nanos"];
    sources.newest_first(filter.from, filter.to, gauge, |part| {
        if !best.may_take_before(part.time_max) {
            return Ok(false);
        }
        filter.from = best.time_min(filter.from);
        filter.duration_min = best.duration_min(filter.duration_min);
        let ask = Ask { service: filter.service.as_deref(), ..Ask::of(filter.from, filter.to) };
        let stages = filter.stages();
        part.read(&ask, &stages, &columns, gauge, &mut |batch| {
            for (_, rank) in best::ranks(query.order, &batch)? {
                if query.after.as_ref().is_none_or(|cursor| rank <= cursor.rank) {
                    best.offer(rank, part.locator);
                }
            }
            Ok(())
        })?;
        Ok(true)
    })
}

/// All columns of the rows that were found, in their order.
fn fetch(
    sources: &Sources<'_>,
    found: &[(Rank, Locator)],
    gauge: &Arc<Gauge>,
) -> Result<Vec<StoredSpan>, Error> {
    let mut by_part: BTreeMap<Locator, Vec<Rank>> = BTreeMap::new();
    for (rank, locator) in found {
        by_part.entry(*locator).or_default().push(*rank);
    }
    let mut rows: Vec<(Rank, StoredSpan)> = Vec::with_capacity(found.len());
    for (locator, mut wanted) in by_part {
        let part = sources.part(locator)?;
        let from = wanted.iter().map(Rank::time).min().unwrap_or_default();
        let to = wanted.iter().map(Rank::time).max().unwrap_or_default();
        let ask = Ask::of(from, to + Duration::from_nanos(1));
        let stages = [filter::of_times(wanted.iter().map(Rank::time)), filter::of_spans(&wanted)];
        part.read(&ask, &stages, &[], gauge, &mut |batch| {
            for stored in rows::spans(&batch)? {
                gauge.hold(record::weight(&stored))?;
                let is_it = |rank: &Rank| rank.is_of(&stored.span);
                // Of spans that are the same in all, as many as were found.
                if let Some(at) = wanted.iter().position(is_it) {
                    rows.push((wanted.swap_remove(at), stored));
                }
            }
            Ok(())
        })?;
    }
    rows.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(rows.into_iter().map(|(_, stored)| stored).collect())
}
