//! Memory into files: rows by day, sorted, a file for each day.

use std::path::PathBuf;

use arrow_array::RecordBatch;

use super::gather::Gather;
use super::repeated::{id_columns, repeated};
use super::sort::by_day;
use super::writer::Writer;
use super::{Day, Options, Written};
use crate::Error;
use crate::schema::Table;

/// Rows that are put in order at once.
const BATCH_ROWS: usize = 8_192;
/// The same of samples, whose rows are long.
const BATCH_SERIES: usize = 1_024;

/// Writes a file for each day that the rows belong to (`place` says where), each durable when this
/// returns. After an error some of the files may be there.
pub fn write(
    table: Table,
    batches: Vec<RecordBatch>,
    place: &mut dyn FnMut(Day) -> PathBuf,
    options: &Options,
) -> Result<Vec<Written>, Error> {
    let columns = |source| Error::Columns { operation: "sort rows", source };
    let gather = Gather::new(&table.schema(), &batches).map_err(columns)?;
    let at_once = if table == Table::Samples { BATCH_SERIES } else { BATCH_ROWS };
    let mut written = Vec::new();
    for (day, runs) in by_day(table, &batches, options)? {
        let longest = runs.iter().max_by_key(|run| run.len()).map_or(&[][..], Vec::as_slice);
        let ids = gather.pick_named(id_columns(table), longest).map_err(columns)?;
        let repeated = repeated(&ids, options)?;
        let mut writer = Writer::create(table, &place(day), day, options, &repeated)?;
        for run in runs {
            for places in run.chunks(at_once) {
                writer.write(&gather.pick(places).map_err(columns)?)?;
            }
            writer.end_group()?;
        }
        written.push(writer.finish()?);
    }
    Ok(written)
}
