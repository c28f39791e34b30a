//! The catalog's bytes: a header with version and checksum, then entries of fixed size.
//!
//! All numbers are little-endian. The first twelve bytes (`IMCT`, version, CRC-32C of all that
//! follows) look the same in every version, so that a later version is told from damage.

use std::collections::BTreeMap;

use model::Timestamp;

use super::{Content, Entry, FILES_MAX};
use crate::file::Day;
use crate::schema::Table;

pub const VERSION: u32 = 1;

const MAGIC: &[u8; 4] = b"IMCT";
/// Magic, version and checksum.
const PREFIX_BYTES: usize = 12;
/// Commit, store, flushed, next id, and the number of entries.
const HEADER_BYTES: usize = PREFIX_BYTES + 4 * 8 + 4;
const ENTRY_BYTES: usize = 56;
pub(super) const BYTES_MAX: u64 = (HEADER_BYTES + FILES_MAX * ENTRY_BYTES) as u64;

/// Why bytes are not a catalog.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    Damaged(&'static str),
    /// Whole, but of a version that this program does not know.
    Version(u32),
}

pub fn encode(content: &Content) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + content.files.len() * ENTRY_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    for number in [content.commit, content.store, content.flushed, content.next_id] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let count = u32::try_from(content.files.len()).expect("commits bound the number of files");
    bytes.extend_from_slice(&count.to_le_bytes());
    for entry in content.files.values() {
        bytes.extend_from_slice(&entry.id.to_le_bytes());
        bytes.extend_from_slice(&entry.day.0.to_le_bytes());
        bytes.extend_from_slice(&[table_code(entry.table), entry.level, entry.remote.into(), 0]);
        for number in [entry.rows, entry.points, entry.bytes, entry.time_min.0, entry.time_max.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let checksum = crc32c::crc32c(&bytes[PREFIX_BYTES..]);
    bytes[8..PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

pub fn decode(bytes: &[u8]) -> Result<Content, Unreadable> {
    let mut input = Input { bytes };
    if input.take::<4>()? != *MAGIC {
        return Err(Unreadable::Damaged("it does not begin as a catalog"));
    }
    let version = input.u32()?;
    let checksum = input.u32()?;
    if crc32c::crc32c(input.bytes) != checksum {
        return Err(Unreadable::Damaged("its checksum does not match"));
    }
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let (commit, store) = (input.u64()?, input.u64()?);
    let (flushed, next_id) = (input.u64()?, input.u64()?);
    let count = input.u32()? as usize;
    if count > FILES_MAX || input.bytes.len() != count * ENTRY_BYTES {
        return Err(Unreadable::Damaged("its size does not fit the number of its entries"));
    }
    let mut files = BTreeMap::new();
    let mut previous = None;
    for _ in 0..count {
        let entry = input.entry()?;
        if previous.is_some_and(|previous| previous >= entry.id) || entry.id >= next_id {
            return Err(Unreadable::Damaged("its entries are out of order"));
        }
        previous = Some(entry.id);
        files.insert(entry.id, entry);
    }
    Ok(Content { commit, store, flushed, next_id, files })
}

struct Input<'a> {
    bytes: &'a [u8],
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) =
            self.bytes.split_first_chunk::<N>().ok_or(Unreadable::Damaged("it is cut short"))?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, Unreadable> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Unreadable> {
        self.take().map(u64::from_le_bytes)
    }

    fn entry(&mut self) -> Result<Entry, Unreadable> {
        let id = self.u64()?;
        let day = Day(self.u32()?);
        if day > Day::of(Timestamp(u64::MAX)) {
            return Err(Unreadable::Damaged("an entry is of a day after all times"));
        }
        let [table, level, remote, zero] = self.take::<4>()?;
        let table = table_of(table).ok_or(Unreadable::Damaged("an entry names no known table"))?;
        if remote > 1 || zero != 0 {
            return Err(Unreadable::Damaged("an entry has unknown flags"));
        }
        Ok(Entry {
            id,
            table,
            day,
            level,
            remote: remote == 1,
            rows: self.u64()?,
            points: self.u64()?,
            bytes: self.u64()?,
            time_min: Timestamp(self.u64()?),
            time_max: Timestamp(self.u64()?),
        })
    }
}

fn table_code(table: Table) -> u8 {
    match table {
        Table::Spans => 0,
        Table::Logs => 1,
        Table::Samples => 2,
    }
}

fn table_of(code: u8) -> Option<Table> {
    Table::ALL.iter().copied().find(|table| table_code(*table) == code)
}
