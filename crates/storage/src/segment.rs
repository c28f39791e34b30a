//! One file of the log: a header, then records end to end.
//!
//! ```text
//! header  "IMWL"  version:u32  first_seq:u64                       (16 bytes, little endian)
//! record  len:u32 crc32c:u32 seq:u64 kind:u8 payload[len]          (17 bytes + payload)
//! ```
//!
//! The checksum covers seq, kind and payload. Numbers run without gaps inside a segment. The file
//! is named after its first number, twenty digits, so that names sort as numbers do.

use std::path::{Path, PathBuf};

pub const MAGIC: &[u8; 4] = b"IMWL";
pub const VERSION: u32 = 1;
pub const HEADER_BYTES: usize = 16;
pub const RECORD_HEADER_BYTES: usize = 17;
/// Above the largest body that a receiver takes.
pub const PAYLOAD_BYTES_MAX: usize = 128 << 20;

pub fn path(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(format!("{first_seq:020}.wal"))
}

/// The first number, from a segment's file name; `None` for other files.
pub fn first_seq_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".wal")?;
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}

pub fn header(first_seq: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..].copy_from_slice(&first_seq.to_le_bytes());
    header
}

/// What the first bytes of a segment say.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    Good {
        first_seq: u64,
    },
    /// Fewer bytes than a header: a crash came between creating and writing.
    Torn,
    Version(u32),
    Foreign,
}

pub fn read_header(bytes: &[u8]) -> Header {
    if bytes.len() < HEADER_BYTES {
        return Header::Torn;
    }
    if &bytes[..4] != MAGIC {
        return Header::Foreign;
    }
    match u32_at(bytes, 4) {
        VERSION => Header::Good { first_seq: u64_at(bytes, 8) },
        other => Header::Version(other),
    }
}

/// Appends one record to `buffer`.
pub fn write_record(buffer: &mut Vec<u8>, seq: u64, kind: u8, payload: &[u8]) {
    let len =
        u32::try_from(payload.len()).expect("payloads are checked against the maximum before");
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(&checksum(seq, kind, payload).to_le_bytes());
    buffer.extend_from_slice(&seq.to_le_bytes());
    buffer.push(kind);
    buffer.extend_from_slice(payload);
}

/// A record's place inside the bytes that it was read from.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: u8,
    pub payload: std::ops::Range<usize>,
}

/// The record numbered `seq` at `offset`, if it is whole and true.
pub fn read_record(bytes: &[u8], offset: usize, seq: u64) -> Option<Found> {
    let header = bytes.get(offset..offset.checked_add(RECORD_HEADER_BYTES)?)?;
    let len = u32_at(header, 0) as usize;
    let kind = header[16];
    if len > PAYLOAD_BYTES_MAX || u64_at(header, 8) != seq {
        return None;
    }
    let start = offset + RECORD_HEADER_BYTES;
    let payload = bytes.get(start..start.checked_add(len)?)?;
    (checksum(seq, kind, payload) == u32_at(header, 4))
        .then(|| Found { kind, payload: start..start + len })
}

/// The next whole record after damage at `offset`: (offset, number). A number is taken for true
/// only when it lies in the `expected` range and its checksum holds.
pub fn resync(bytes: &[u8], offset: usize, expected: std::ops::Range<u64>) -> Option<(usize, u64)> {
    let last = bytes.len().checked_sub(RECORD_HEADER_BYTES)?;
    (offset..=last).find_map(|at| {
        let seq = u64_at(bytes, at + 8);
        let plausible = expected.contains(&seq) && read_record(bytes, at, seq).is_some();
        plausible.then_some((at, seq))
    })
}

fn checksum(seq: u64, kind: u8, payload: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&seq.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &[kind]);
    crc32c::crc32c_append(sum, payload)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were sliced"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were sliced"))
}
