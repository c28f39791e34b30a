//! Log records: row groups of about the same time are joined into one, so that each goes on having
//! what all services said in a short time, however large files become.
//!
//! Row groups that are large already stay as they are: a row is written again only because its file
//! is. They come in the order of their last times: a late record widens a row group to its front.

use std::path::Path;

use super::super::properties::row_group_rows;
use super::super::repeated::{id_columns, repeated};
use super::super::scan::Scan;
use super::super::writer::Writer;
use super::super::{Day, OpenFile, Options, Projection, Written};
use super::cursor::{Cursors, Part};
use super::rows;
use crate::Error;
use crate::schema::Table;

pub fn merge(
    inputs: &[&OpenFile],
    path: &Path,
    day: Day,
    options: &Options,
    cancelled: &dyn Fn() -> bool,
) -> Result<Written, Error> {
    let slices = slices(inputs, row_group_rows(Table::Logs, options) as u64);
    let largest = slices.iter().max_by_key(|slice| rows_of(slice));
    let repeated = match largest {
        Some(slice) => repeated_in(slice, options)?,
        None => Vec::new(),
    };
    let mut writer = Writer::create(Table::Logs, path, day, options, &repeated)?;
    for slice in &slices {
        rows(&mut Cursors::open(slice, Table::Logs)?, &mut writer, Table::Logs, cancelled)?;
        writer.end_group()?;
    }
    writer.finish()
}

/// The row groups of all inputs, those together that become one of at most `rows_max` rows.
fn slices<'a>(inputs: &[&'a OpenFile], rows_max: u64) -> Vec<Vec<Part<'a>>> {
    let groups = inputs.iter().flat_map(|file| {
        (0..file.row_groups()).map(|group| {
            let (first, last) = file.row_group_times(group);
            ((last, first), (*file, Some(group)))
        })
    });
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|(times, _)| *times);
    let mut slices: Vec<Vec<Part<'_>>> = Vec::new();
    let mut rows = 0;
    for (_, part) in groups {
        let more = rows_of(&[part]);
        match slices.last_mut() {
            Some(slice) if rows + more <= rows_max => {
                slice.push(part);
                rows += more;
            }
            _ => {
                slices.push(vec![part]);
                rows = more;
            }
        }
    }
    slices
}

fn rows_of(slice: &[Part<'_>]) -> u64 {
    slice.iter().map(|(file, group)| group.map_or(0, |group| file.row_group_rows(group))).sum()
}

fn repeated_in(slice: &[Part<'_>], options: &Options) -> Result<Vec<&'static str>, Error> {
    let columns = Projection::of(id_columns(Table::Logs));
    let mut batches = Vec::new();
    for (file, group) in slice {
        let row_groups = group.map(|group| vec![group]);
        let scan = Scan { row_groups, columns: columns.clone(), ..Scan::default() };
        for batch in file.scan(scan) {
            batches.push(batch?);
        }
    }
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let ids = arrow_select::concat::concat_batches(&first.schema(), &batches)
        .map_err(|source| Error::Columns { operation: "join ids", source })?;
    repeated(&ids, options)
}
