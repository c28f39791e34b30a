//! What a query reads: hot rows and files, in parts that can be left out.
//!
//! A part is a batch in memory or a row group of a file. Parts are visited from the newest to the
//! oldest, so that a query which has enough can stop. Of a row group only those columns are read
//! that the stages of a filter need, and of the others only the pages of rows that passed.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::filter_record_batch;
use model::Timestamp;
use model::signal::TraceId;

use super::{Gauge, Limits};
use crate::Error;
use crate::file::{OpenFile, Projection, RowFilter, Scan};
use crate::rows::Texts;
use crate::store::{FileEntry, View};

/// A file that is opened when it is needed.
pub trait StoredFile {
    /// First and last time of its rows, both inclusive.
    fn times(&self) -> (Timestamp, Timestamp);
    fn rows(&self) -> u64;
    fn open(&self) -> Result<Arc<OpenFile>, Error>;
}

impl StoredFile for FileEntry {
    fn times(&self) -> (Timestamp, Timestamp) {
        (self.time_min, self.time_max)
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn open(&self) -> Result<Arc<OpenFile>, Error> {
        FileEntry::open(self)
    }
}

/// All rows of one table that a query may see.
pub struct Sources<'a> {
    pub hot: &'a [RecordBatch],
    /// The one that ends last is first.
    pub files: Vec<&'a dyn StoredFile>,
    /// Files that should be there and cannot be found.
    missing: u64,
}

/// Which rows are wanted at most: what parts are left out by.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub service: Option<&'a str>,
    /// Of samples.
    pub metric: Option<&'a str>,
    /// Of any of these; of all where there are none.
    pub traces: &'a [TraceId],
}

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locator {
    Hot(usize),
    RowGroup(usize, usize),
}

pub struct Part<'a> {
    pub locator: Locator,
    /// Both inclusive.
    pub time_min: Timestamp,
    pub time_max: Timestamp,
    content: Content<'a>,
}

enum Content<'a> {
    Batch(&'a RecordBatch),
    RowGroup(Arc<OpenFile>, usize),
}

/// Drops rows: `true` stays only where a row still passes.
type Drop = dyn Fn(&RecordBatch, &mut [bool]) -> Result<(), Error> + Send + Sync;

/// A test of rows that needs some columns. Where there are several, columns of the later ones are
/// read only where the earlier ones kept rows.
#[derive(Clone)]
pub struct Stage {
    pub columns: Vec<&'static str>,
    test: Arc<Drop>,
}

/// Takes the rows that passed.
pub type Each<'f> = &'f mut dyn FnMut(RecordBatch) -> Result<(), Error>;

impl<'a> From<&'a View> for Sources<'a> {
    fn from(view: &'a View) -> Sources<'a> {
        let files = view.files.iter().map(|file| file.as_ref() as &dyn StoredFile);
        let missing = view.missing as u64;
        Sources { missing, ..Sources::new(&view.hot, files.collect()) }
    }
}

impl<'a> Ask<'a> {
    pub fn of(from: Timestamp, to: Timestamp) -> Ask<'a> {
        Ask { from, to, service: None, metric: None, traces: &[] }
    }
}

impl<'a> Sources<'a> {
    pub fn new(hot: &'a [RecordBatch], mut files: Vec<&'a dyn StoredFile>) -> Sources<'a> {
        files.sort_by_key(|file| std::cmp::Reverse(file.times().1));
        Sources { hot, files, missing: 0 }
    }

    /// Of one query to these.
    pub fn gauge(&self, limits: &Limits) -> Arc<Gauge> {
        Arc::new(limits.gauge(self.missing))
    }

    /// Calls `each` with the parts that can have rows from `from` until before `to`, hot ones
    /// first. It says whether it still wants parts that end no later than this one.
    pub fn newest_first(
        &self,
        from: Timestamp,
        to: Timestamp,
        gauge: &Gauge,
        mut each: impl FnMut(&Part<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for at in 0..self.hot.len() {
            if !each(&self.hot_part(at))? {
                return Ok(());
            }
        }
        // Nothing that ends by then is wanted any more.
        let mut enough_until: Option<Timestamp> = None;
        for (at, file) in self.files.iter().enumerate() {
            let (first, last) = file.times();
            if first >= to || last < from {
                continue;
            }
            if enough_until.is_some_and(|until| last <= until) {
                break;
            }
            gauge.check()?;
            let open = file.open()?;
            gauge.count_file();
            let mut parts: Vec<Part<'_>> =
                (0..open.row_groups()).map(|group| Part::of_group(&open, at, group)).collect();
            parts.retain(|part| part.time_min < to && part.time_max >= from);
            parts.sort_by_key(|part| std::cmp::Reverse(part.time_max));
            for part in &parts {
                let is_wanted = enough_until.is_none_or(|until| part.time_max > until);
                if !is_wanted || !each(part)? {
                    enough_until = enough_until.max(Some(part.time_max));
                    break;
                }
            }
        }
        Ok(())
    }

    /// A part that was met before.
    pub fn part(&self, locator: Locator) -> Result<Part<'_>, Error> {
        Ok(match locator {
            Locator::Hot(at) => self.hot_part(at),
            Locator::RowGroup(file, group) => {
                Part::of_group(&self.files[file].open()?, file, group)
            }
        })
    }

    fn hot_part(&self, at: usize) -> Part<'_> {
        Part {
            locator: Locator::Hot(at),
            time_min: Timestamp::ZERO,
            time_max: Timestamp(u64::MAX),
            content: Content::Batch(&self.hot[at]),
        }
    }
}

impl Part<'_> {
    /// A row group of the file with this number.
    pub fn of_group(open: &Arc<OpenFile>, file: usize, group: usize) -> Part<'static> {
        let (time_min, time_max) = open.row_group_times(group);
        Part {
            locator: Locator::RowGroup(file, group),
            time_min,
            time_max,
            content: Content::RowGroup(Arc::clone(open), group),
        }
    }

    /// Smallest and largest number of severity of log records, where a file tells.
    pub fn severities(&self) -> Option<(i32, i32)> {
        match &self.content {
            Content::Batch(_) => None,
            Content::RowGroup(file, group) => file.row_group_severities(*group),
        }
    }

    /// Calls `each` with the rows that pass all `stages`, and those of their columns that are named
    /// (all where none are; rows in memory always have all). The stages must test by themselves
    /// what `ask` only prunes by.
    pub fn read(
        &self,
        ask: &Ask<'_>,
        stages: &[Stage],
        columns: &[&'static str],
        gauge: &Arc<Gauge>,
        each: Each<'_>,
    ) -> Result<(), Error> {
        gauge.check()?;
        match &self.content {
            Content::Batch(batch) => read_batch(batch, stages, gauge, each),
            Content::RowGroup(file, group) => {
                read_group(file, *group, ask, stages, columns, gauge, each)
            }
        }
    }
}

/// The rows that are kept.
pub fn filtered(batch: &RecordBatch, kept: &BooleanArray) -> Result<RecordBatch, Error> {
    filter_record_batch(batch, kept)
        .map_err(|source| Error::Columns { operation: "leave out rows", source })
}

fn read_batch(
    batch: &RecordBatch,
    stages: &[Stage],
    gauge: &Gauge,
    each: Each<'_>,
) -> Result<(), Error> {
    gauge.charge_rows(batch.num_rows() as u64)?;
    let mut batch = batch.clone();
    for stage in stages {
        let kept = stage.keep(&batch)?;
        if kept.true_count() < batch.num_rows() {
            batch = filtered(&batch, &kept)?;
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
    }
    each(batch)
}

fn read_group(
    file: &OpenFile,
    group: usize,
    ask: &Ask<'_>,
    stages: &[Stage],
    columns: &[&'static str],
    gauge: &Arc<Gauge>,
    each: Each<'_>,
) -> Result<(), Error> {
    if !may_hold_any(file, group, ask.traces)? {
        return Ok(());
    }
    gauge.count_row_group();
    let refused = Refused::default();
    let (first, last) = file.row_group_times(group);
    // The end of all times leaves none out.
    let is_within = ask.from <= first && (last < ask.to || ask.to == Timestamp(u64::MAX));
    let scan = Scan {
        row_groups: Some(vec![group]),
        columns: if columns.is_empty() { Projection::All } else { Projection::of(columns) },
        time: (!is_within).then_some(ask.from..ask.to),
        service: ask.service.map(str::to_owned),
        metric: ask.metric.map(str::to_owned),
        filters: filters(stages, gauge, &refused),
        batch_rows: None,
    };
    for batch in file.scan(scan) {
        gauge.check()?;
        match batch {
            Ok(batch) => {
                if stages.is_empty() {
                    gauge.charge_rows(batch.num_rows() as u64)?;
                }
                each(batch)?;
            }
            Err(error) => return Err(taken(&refused).unwrap_or(error)),
        }
    }
    Ok(())
}

/// Why a filter ended the scan: on its way through the library the error loses what it was.
type Refused = Arc<Mutex<Option<Error>>>;

fn taken(refused: &Refused) -> Option<Error> {
    refused.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn may_hold_any(file: &OpenFile, group: usize, traces: &[TraceId]) -> Result<bool, Error> {
    for id in traces {
        if file.may_hold_trace(group, id)? {
            return Ok(true);
        }
    }
    Ok(traces.is_empty())
}

/// The first one charges the rows that it looks at, so that a row group of which nothing passes
/// ends at a limit too.
fn filters(stages: &[Stage], gauge: &Arc<Gauge>, refused: &Refused) -> Vec<RowFilter> {
    let filter = |(at, stage): (usize, &Stage)| {
        let (stage, gauge, refused) = (stage.clone(), Arc::clone(gauge), Arc::clone(refused));
        let columns = stage.columns.clone();
        let keep = move |batch: &RecordBatch| {
            let rows = if at == 0 { batch.num_rows() as u64 } else { 0 };
            let kept = gauge.charge_rows(rows).map_err(Error::from);
            kept.and_then(|()| stage.keep(batch)).map_err(|error| {
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Error::Cancelled
            })
        };
        RowFilter { columns, keep: Arc::new(keep) }
    };
    stages.iter().enumerate().map(filter).collect()
}

impl Stage {
    pub fn new(
        columns: Vec<&'static str>,
        test: impl Fn(&RecordBatch, &mut [bool]) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Stage {
        Stage { columns, test: Arc::new(test) }
    }

    /// Which rows it keeps.
    pub fn keep(&self, batch: &RecordBatch) -> Result<BooleanArray, Error> {
        let mut kept = vec![true; batch.num_rows()];
        (self.test)(batch, &mut kept)?;
        Ok(BooleanArray::new(BooleanBuffer::from(kept), None))
    }
}

/// Drops rows that do not pass.
pub fn keep_where(kept: &mut [bool], test: impl Fn(usize) -> bool) {
    for (row, kept) in kept.iter_mut().enumerate() {
        *kept = *kept && test(row);
    }
}

/// Drops rows whose text does not pass. Judges each word of a dictionary once.
pub fn keep_words(texts: Texts<'_>, kept: &mut [bool], mut test: impl FnMut(Option<&str>) -> bool) {
    let Some((keys, words)) = texts.words() else {
        for (row, kept) in kept.iter_mut().enumerate() {
            *kept = *kept && test(texts.get(row));
        }
        return;
    };
    let absent = test(None);
    // Judged when first met: a file's dictionary may have more words than a batch has rows.
    let mut judged: Vec<Option<bool>> = vec![None; words.len()];
    for (row, kept) in kept.iter_mut().enumerate() {
        if !*kept {
            continue;
        }
        let key = texts.get(row).map(|_| keys.value(row) as usize);
        *kept = match key.and_then(|key| judged.get_mut(key)) {
            None => absent,
            Some(judged) => *judged.get_or_insert_with(|| test(texts.get(row))),
        };
    }
}
