//! Files of one table and day joined into one, in bounded memory.
//!
//! Every input is sorted, so only a batch of each is in memory: the smallest row of all comes next.
//! Of log records each row group is sorted, and those of about the same time are joined (`slices`).
//! Rows of samples that belong to the same series are joined into longer ones (`series`), which is
//! where most of the space is saved.
//!
//! Invariant: every row, and every point, of the inputs is in the output exactly once.

mod cursor;
mod series;
mod slices;

use std::borrow::Borrow;
use std::path::Path;

use super::gather::{Gather, Place};
use super::writer::Writer;
use super::{OpenFile, Options, Written};
use crate::Error;
use crate::schema::Table;

use cursor::{Cursors, Part};

/// Rows that are written at once.
const ROWS: usize = 8_192;

/// Writes the rows of `inputs`, all of `table`, to `path`. Asks `cancelled` now and then, and then
/// leaves nothing behind.
pub fn merge<F: Borrow<OpenFile>>(
    inputs: &[F],
    path: &Path,
    table: Table,
    options: &Options,
    cancelled: &dyn Fn() -> bool,
) -> Result<Written, Error> {
    let inputs: Vec<&OpenFile> = inputs.iter().map(Borrow::borrow).collect();
    let day = inputs.first().map(|input| input.day()).unwrap_or_default();
    if let Some(stranger) = inputs.iter().find(|input| input.table() != table) {
        let reason = format!("it holds {}, not {}", stranger.table().as_str(), table.as_str());
        return Err(Error::Damaged { file: stranger.name().to_owned(), reason });
    }
    if table == Table::Logs {
        return slices::merge(&inputs, path, day, options, cancelled);
    }
    let mut writer = Writer::create(table, path, day, options, &[])?;
    let whole: Vec<Part<'_>> = inputs.iter().map(|input| (*input, None)).collect();
    let mut cursors = Cursors::open(&whole, table)?;
    match table {
        Table::Samples => series::merge(&mut cursors, &mut writer, cancelled)?,
        Table::Spans | Table::Logs => rows(&mut cursors, &mut writer, table, cancelled)?,
    }
    writer.finish()
}

fn rows(
    cursors: &mut Cursors,
    writer: &mut Writer,
    table: Table,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut places: Vec<Place> = Vec::with_capacity(ROWS);
    loop {
        let next = cursors.next()?;
        places.extend(next);
        if places.len() == ROWS || (next.is_none() && !places.is_empty()) {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let batches = cursors.held();
            let columns = |source| Error::Columns { operation: "merge rows", source };
            let gather = Gather::new(&table.schema(), batches).map_err(columns)?;
            writer.write(&gather.pick(&places).map_err(columns)?)?;
            places.clear();
            cursors.release(&mut []);
        }
        if next.is_none() {
            return Ok(());
        }
    }
}
