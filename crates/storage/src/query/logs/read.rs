//! Reads the matching rows of one part: of a batch in memory, or of a row group of a file.
//!
//! Of a row group, cheap columns come first (time, service, severity, trace), then those in which
//! the query looks for texts, and then, for the rows that match, the columns that are asked for:
//! pages of which no row is left are not read.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;
use model::Timestamp;

use super::select::{cheap_first, matching};
use super::stored::{columns_of, in_stages};
use crate::Error;
use crate::file::{OpenFile, Projection, RowFilter, Scan};
use crate::query::language::Query;
use crate::query::limits::{Gauge, Stopped};

/// Takes matching rows; may narrow the time of what is still to come.
pub type Take<'a> = dyn FnMut(RecordBatch, &mut Range<Timestamp>) -> Result<(), Error> + 'a;

pub struct Read<'a> {
    /// With cheap terms before costly ones.
    query: Query,
    /// The same in two parts, of which both have to match: what reads small columns only, and what
    /// reads texts.
    stages: Vec<Arc<Query>>,
    /// What is asked for of the rows that match; all columns where `None`.
    columns: Option<Vec<&'static str>>,
    gauge: &'a Arc<Gauge>,
}

impl<'a> Read<'a> {
    pub fn new(
        query: &Query,
        columns: Option<Vec<&'static str>>,
        gauge: &'a Arc<Gauge>,
    ) -> Read<'a> {
        let query = Query::from(cheap_first(query.expression()));
        let stages = in_stages(&query).into_iter().map(Arc::new).collect();
        Read { query, stages, columns, gauge }
    }

    pub fn batch(
        &self,
        batch: &RecordBatch,
        range: &mut Range<Timestamp>,
        found: &mut Take<'_>,
    ) -> Result<(), Error> {
        self.gauge.charge_rows(batch.num_rows() as u64)?;
        let kept = BooleanArray::from(matching(&self.query, batch, Some(range))?);
        if kept.true_count() == 0 {
            return Ok(());
        }
        let asked = match &self.columns {
            None => batch.clone(),
            Some(columns) => {
                let schema = batch.schema();
                let places = columns.iter().filter_map(|name| schema.index_of(name).ok());
                batch.project(&places.collect::<Vec<_>>()).map_err(wrong)?
            }
        };
        found(filtered(&asked, &kept)?, range)
    }
    pub fn row_group(
        &self,
        file: &OpenFile,
        group: usize,
        range: &mut Range<Timestamp>,
        found: &mut Take<'_>,
    ) -> Result<(), Error> {
        self.gauge.check()?;
        self.gauge.count_row_group();
        let (first, last) = file.row_group_times(group);
        let is_within = range.start <= first && last < range.end;
        let stopped = Arc::new(OnceLock::new());
        let scan = Scan {
            row_groups: Some(vec![group]),
            columns: self.columns.clone().map_or(Projection::All, Projection::Columns),
            time: (!is_within).then(|| range.clone()),
            filters: self.filters(&stopped),
            ..Scan::default()
        };
        for batch in file.scan(scan) {
            if let Some(stopped) = stopped.get() {
                return Err(Error::Stopped(*stopped));
            }
            let batch = batch?;
            match self.stages.is_empty() {
                true => self.gauge.charge_rows(batch.num_rows() as u64)?,
                false => self.gauge.check()?,
            }
            found(batch, range)?;
        }
        stopped.get().map_or(Ok(()), |stopped| Err(Error::Stopped(*stopped)))
    }

    /// What is asked of rows before their other columns are read. All rows of a row group are asked
    /// at once, so this is where a query must see that it has to stop: it tells so in `stopped` and
    /// keeps no more rows.
    fn filters(&self, stopped: &Arc<OnceLock<Stopped>>) -> Vec<RowFilter> {
        let filter = |(index, query): (usize, &Arc<Query>)| {
            let (query, stopped) = (Arc::clone(query), Arc::clone(stopped));
            let gauge = Arc::clone(self.gauge);
            let columns = columns_of(&query).into_iter().collect();
            let keep = move |batch: &RecordBatch| {
                let rows = batch.num_rows();
                let checked =
                    if index == 0 { gauge.charge_rows(rows as u64) } else { gauge.check() };
                if let Err(reason) = checked {
                    // The first reason stays.
                    let _ = stopped.set(reason);
                }
                if stopped.get().is_some() {
                    return Ok(BooleanArray::from(vec![false; rows]));
                }
                Ok(BooleanArray::from(matching(&query, batch, None)?))
            };
            RowFilter { columns, keep: Arc::new(keep) }
        };
        self.stages.iter().enumerate().map(filter).collect()
    }
}

/// The rows that are kept.
pub fn filtered(batch: &RecordBatch, kept: &BooleanArray) -> Result<RecordBatch, Error> {
    filter_record_batch(batch, kept).map_err(wrong)
}

fn wrong(source: ArrowError) -> Error {
    Error::Columns { operation: "read rows", source }
}
