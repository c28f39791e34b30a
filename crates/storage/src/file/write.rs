//! Memory into files: rows by day, sorted, a file for each day.

use std::path::PathBuf;

use arrow_array::RecordBatch;

use super::gather::Gather;
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
    for (day, places) in by_day(table, &batches, options)? {
        let mut writer = Writer::create(table, &place(day), day, options)?;
        for places in places.chunks(at_once) {
            writer.write(&gather.pick(places).map_err(columns)?)?;
        }
        written.push(writer.finish()?);
    }
    Ok(written)
}
