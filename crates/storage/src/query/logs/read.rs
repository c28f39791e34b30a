//! Reads the matching rows of one part: of a batch in memory, or of a row group of a file.
//!
//! Of a row group, cheap columns come first (time, service, severity, trace), then those in which
//! the query looks for texts, and then, for the rows that match, the columns that are asked for:
//! pages of which no row is left are not read.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use model::Timestamp;

use super::select::{cheap_first, narrow};
use super::stored::{columns_of, in_stages};
use crate::Error;
use crate::query::language::Query;
use crate::query::limits::Gauge;
use crate::query::reading::{Ask, Part, Stage, keep_where};
use crate::rows::Times;

/// Takes matching rows; may narrow the time of what is still to come.
pub type Take<'a> = dyn FnMut(RecordBatch, &mut Range<Timestamp>) -> Result<(), Error> + 'a;

pub struct Read<'a> {
    /// The query in two parts, of which both have to match: what reads small columns only, and
    /// what reads texts.
    stages: Vec<Stage>,
    /// What is asked for of the rows that match; all columns where there are none.
    columns: Vec<&'static str>,
    gauge: &'a Arc<Gauge>,
}

impl<'a> Read<'a> {
    pub fn new(query: &Query, columns: Vec<&'static str>, gauge: &'a Arc<Gauge>) -> Read<'a> {
        let query = Query::from(cheap_first(query.expression()));
        let stages = in_stages(&query).into_iter().map(stage).collect();
        Read { stages, columns, gauge }
    }

    /// `is_within` the time are all rows of the part.
    pub fn part(
        &self,
        part: &Part<'_>,
        is_within: bool,
        range: &mut Range<Timestamp>,
        found: &mut Take<'_>,
    ) -> Result<(), Error> {
        let ask = Ask::of(range.start, range.end);
        let timed: Vec<Stage>;
        let stages = if is_within {
            &self.stages
        } else {
            timed = [in_time(range.clone())].into_iter().chain(self.stages.clone()).collect();
            &timed
        };
        part.read(&ask, stages, &self.columns, self.gauge, &mut |batch| found(batch, range))
    }
}

fn stage(query: Query) -> Stage {
    let columns = columns_of(&query).into_iter().collect();
    Stage::new(columns, move |batch, kept| narrow(&query, batch, kept))
}

fn in_time(range: Range<Timestamp>) -> Stage {
    Stage::new(vec!["time"], move |batch, kept| {
        let times = Times::of(batch, "time")?;
        keep_where(kept, |row| times.get(row).is_some_and(|time| range.contains(&time)));
        Ok(())
    })
}
