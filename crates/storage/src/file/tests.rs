//! Files written, read, merged and damaged.

mod damage;
mod merging;
mod reading;
mod slices;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::Batch;

use super::{Day, LocalFile, OpenFile, Options, Scan, Written, write};
use crate::columns::Hot;
use crate::schema::Table;

/// Small row groups and pages, so that few rows have many of each.
pub fn options() -> Options {
    Options {
        row_group_rows: Some(64),
        page_rows: 8,
        ..Options::fresh(Duration::from_secs(7 * 86_400))
    }
}

pub fn place(folder: &Path, table: Table, day: Day) -> PathBuf {
    folder.join(format!("{}-{day}.parquet", table.as_str()))
}

pub fn written(
    folder: &Path,
    table: Table,
    batches: &[(Batch, Timestamp)],
    options: &Options,
) -> Vec<Written> {
    let mut hot = Hot::new();
    for (batch, arrival) in batches {
        hot.append(batch, *arrival).unwrap();
    }
    let rows = hot.take().unwrap().table(table).to_vec();
    write(table, rows, &mut |day| place(folder, table, day), options).unwrap()
}

pub fn opened(path: &Path) -> OpenFile {
    OpenFile::open(Arc::new(LocalFile::open(path).unwrap())).unwrap()
}

pub fn all_rows(file: &OpenFile) -> Vec<RecordBatch> {
    file.scan(Scan::default()).collect::<Result<_, _>>().unwrap()
}
