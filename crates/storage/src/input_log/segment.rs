//! One file of the log: a header, then records end to end.
//!
//! ```text
//! header  "IMWL"  version:u32  first_seq:u64  salt[16]                        (32 bytes)
//! record  mark[8] len:u32 seq:u64 kind:u8 head_crc:u32 body_crc:u32 payload   (29 bytes + payload)
//! ```
//!
//! Little endian. `head_crc` covers the record's place in the file (u64), len, seq and kind,
//! `body_crc` seq, kind and payload; both are CRC-32C and start from the segment's salt, and `mark`
//! is the salt's first half. Numbers run without gaps inside a segment. The file is named after its
//! first number, twenty digits, so that names sort as numbers do.
//!
//! Why a salt: payloads are what strangers sent, and after damage records are searched for between
//! them. The salt is drawn at random for each file and never leaves it, so nobody can send bytes
//! that this file would take for a record of ours: the mark alone is 64 unknown bits. It guards
//! against that, not against whoever can write the file. Why two checksums: when the head is true,
//! so is the length, and what it spans is payload and nothing else, whole or not. Why the place: a
//! record, or a head alone, that a misdirected write left elsewhere would be taken for one of
//! there, and what it passes over be lost.
//!
//! Version 2 is the same without the place. Its segments are read, and appended to as they are.

use std::path::{Path, PathBuf};

pub const MAGIC: &[u8; 4] = b"IMWL";
pub const VERSION: u32 = 3;
const VERSION_WITHOUT_PLACES: u32 = 2;
pub const HEADER_BYTES: usize = 32;
pub const RECORD_HEADER_BYTES: usize = 29;
/// Above the largest body that a receiver takes.
pub const PAYLOAD_BYTES_MAX: usize = 128 << 20;

const MARK_BYTES: usize = 8;
/// What `head_crc` covers of the head: len, seq and kind.
const HEAD_BYTES: usize = 13;

/// What the marks and checksums of one segment are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt {
    random: [u8; 16],
    /// Heads are bound to their place; false in segments of version 2.
    places: bool,
}

impl Salt {
    pub fn new(random: [u8; 16]) -> Self {
        Salt { random, places: true }
    }

    fn version(&self) -> u32 {
        if self.places { VERSION } else { VERSION_WITHOUT_PLACES }
    }

    fn mark(&self) -> &[u8] {
        &self.random[..MARK_BYTES]
    }

    fn head_checksum(&self, place: u64, head: &[u8]) -> u32 {
        match self.places {
            true => self.checksum(&[&place.to_le_bytes(), head]),
            false => self.checksum(&[head]),
        }
    }

    fn checksum(&self, parts: &[&[u8]]) -> u32 {
        let start = crc32c::crc32c(&self.random);
        parts.iter().fold(start, |sum, part| crc32c::crc32c_append(sum, part))
    }
}

pub fn path(folder: &Path, first_seq: u64) -> PathBuf {
    folder.join(format!("{first_seq:020}.wal"))
}

/// The first number, from a segment's file name; `None` for other files.
pub fn first_seq_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".wal")?;
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}

pub fn header(first_seq: u64, salt: &Salt) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&salt.version().to_le_bytes());
    header[8..16].copy_from_slice(&first_seq.to_le_bytes());
    header[16..].copy_from_slice(&salt.random);
    header
}

/// What the first bytes of a segment say.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    Good {
        first_seq: u64,
        salt: Salt,
    },
    /// Fewer bytes than a header, or nothing but zeros: a crash came between creating and writing.
    Torn,
    Version(u32),
    Foreign,
}

/// Reads the header of a whole segment.
pub fn read_header(bytes: &[u8]) -> Header {
    let version = (bytes.len() >= 8 && &bytes[..4] == MAGIC).then(|| u32_at(bytes, 4));
    if let Some(version) = version
        && ![VERSION, VERSION_WITHOUT_PLACES].contains(&version)
    {
        return Header::Version(version);
    }
    if bytes.len() < HEADER_BYTES || bytes.iter().all(|byte| *byte == 0) {
        return Header::Torn;
    }
    if &bytes[..4] != MAGIC {
        return Header::Foreign;
    }
    let random = bytes[16..HEADER_BYTES].try_into().expect("sixteen bytes were sliced");
    let salt = Salt { random, places: version == Some(VERSION) };
    Header::Good { first_seq: u64_at(bytes, 8), salt }
}

/// Appends one record to `buffer`, whose first byte has the place `start` in the file.
pub fn write_record(
    buffer: &mut Vec<u8>,
    start: u64,
    salt: &Salt,
    seq: u64,
    kind: u8,
    payload: &[u8],
) {
    let place = start + buffer.len() as u64;
    let len =
        u32::try_from(payload.len()).expect("payloads are checked against the maximum before");
    buffer.extend_from_slice(salt.mark());
    let head = buffer.len();
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(&seq.to_le_bytes());
    buffer.push(kind);
    let head_crc = salt.head_checksum(place, &buffer[head..]);
    let body_crc = salt.checksum(&[&buffer[head + 4..], payload]);
    buffer.extend_from_slice(&head_crc.to_le_bytes());
    buffer.extend_from_slice(&body_crc.to_le_bytes());
    buffer.extend_from_slice(payload);
}

/// A whole record, and its place inside the bytes that it was read from.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub seq: u64,
    pub kind: u8,
    pub payload: std::ops::Range<usize>,
}

/// The record numbered `seq` at `offset`; after damage there, the first whole one that follows.
/// `None` at the end, also when the end is a record cut short: its payload is never searched.
pub fn next_record(bytes: &[u8], salt: &Salt, offset: usize, seq: u64) -> Option<Found> {
    let mut at = offset;
    loop {
        // As many numbers can be missing as records would have fitted into what was passed over.
        let last = seq.saturating_add(((at - offset) / RECORD_HEADER_BYTES) as u64);
        let head = Head::read(bytes, salt, at).filter(|head| (seq..=last).contains(&head.seq));
        let Some(head) = head else {
            let rest = bytes.get(at + 1..)?;
            at += 1 + rest.windows(MARK_BYTES).position(|window| window == salt.mark())?;
            continue;
        };
        let payload = bytes.get(head.payload.clone())?;
        if head.checksum(salt, payload) == head.body_crc {
            return Some(Found { seq: head.seq, kind: head.kind, payload: head.payload });
        }
        at = head.payload.end;
    }
}

/// The beginning of a record, proved to be ours, and of here, by its mark and checksum.
struct Head {
    seq: u64,
    kind: u8,
    body_crc: u32,
    payload: std::ops::Range<usize>,
}

impl Head {
    fn read(bytes: &[u8], salt: &Salt, at: usize) -> Option<Head> {
        let start = at.checked_add(RECORD_HEADER_BYTES)?;
        let (mark, head) = bytes.get(at..start)?.split_at(MARK_BYTES);
        let len = u32_at(head, 0) as usize;
        let true_head = mark == salt.mark()
            && salt.head_checksum(at as u64, &head[..HEAD_BYTES]) == u32_at(head, HEAD_BYTES)
            && len <= PAYLOAD_BYTES_MAX;
        true_head.then(|| Head {
            seq: u64_at(head, 4),
            kind: head[12],
            body_crc: u32_at(head, HEAD_BYTES + 4),
            payload: start..start + len,
        })
    }

    fn checksum(&self, salt: &Salt, payload: &[u8]) -> u32 {
        salt.checksum(&[&self.seq.to_le_bytes(), &[self.kind], payload])
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were sliced"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were sliced"))
}
