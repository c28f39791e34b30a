//! Reading the log in order, also while it is being written.
//!
//! Damage never hides what comes after it: the reader reports the gap and goes on with the next
//! whole record.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::Error;
use crate::input_log::segment::{self, Header, Salt};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub seq: u64,
    pub kind: u8,
    pub payload: Bytes,
}

/// Records from a given number on, oldest first. Ends at the last whole record.
#[derive(Debug)]
pub struct Reader {
    /// Segments not yet read, last first.
    waiting: Vec<(u64, PathBuf)>,
    bytes: Bytes,
    /// That of the segment at hand; `None` before the first, and where there is nothing to read.
    salt: Option<Salt>,
    offset: usize,
    next_seq: u64,
    from: u64,
    /// First number of the segment after this one: what it holds from there on is overruled.
    ends_before: u64,
    /// Numbers that were skipped because of damage, for the caller to report: (first, last).
    gaps: Vec<(u64, u64)>,
}

impl Reader {
    /// Reads from number `from` on; older records are passed over.
    pub fn open(folder: &Path, from: u64) -> Result<Reader, Error> {
        let mut all = segments(folder)?;
        let first = all.partition_point(|(first_seq, _)| *first_seq <= from).saturating_sub(1);
        let mut waiting = all.split_off(first.min(all.len()));
        waiting.reverse();
        Ok(Reader {
            waiting,
            bytes: Bytes::new(),
            salt: None,
            offset: 0,
            next_seq: 0,
            from,
            ends_before: 0,
            gaps: Vec::new(),
        })
    }

    /// Numbers lost to damage so far.
    pub fn gaps(&self) -> &[(u64, u64)] {
        &self.gaps
    }

    fn next_segment(&mut self) -> Result<bool, Error> {
        let Some((first_seq, path)) = self.waiting.pop() else { return Ok(false) };
        if self.next_seq > 0 && first_seq > self.next_seq {
            self.gaps.push((self.next_seq, first_seq - 1));
        }
        self.bytes = Bytes::from(std::fs::read(&path).map_err(Error::io("read", &path))?);
        self.ends_before = self.waiting.last().map_or(u64::MAX, |(next, _)| *next);
        self.next_seq = first_seq;
        self.offset = segment::HEADER_BYTES;
        self.salt = match segment::read_header(&self.bytes) {
            Header::Good { salt, .. } => Some(salt),
            Header::Torn => None,
            Header::Version(found) => return Err(Error::Version { path, found }),
            Header::Foreign => return Err(Error::NotASegment { path }),
        };
        Ok(true)
    }

    /// The next record of the segment at hand.
    fn next_here(&mut self) -> Option<Record> {
        let salt = self.salt?;
        let found = segment::next_record(&self.bytes, &salt, self.offset, self.next_seq)?;
        if found.seq >= self.ends_before {
            return None;
        }
        if found.seq > self.next_seq {
            self.gaps.push((self.next_seq, found.seq - 1));
        }
        self.offset = found.payload.end;
        self.next_seq = found.seq + 1;
        let payload = self.bytes.slice(found.payload);
        Some(Record { seq: found.seq, kind: found.kind, payload })
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_here() {
                Some(record) if record.seq >= self.from => return Some(Ok(record)),
                Some(_) => continue,
                None => {}
            }
            match self.next_segment() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// All segments of a folder, by first number.
pub(crate) fn segments(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if let Some(first_seq) = segment::first_seq_of(&path) {
            all.push((first_seq, path));
        }
    }
    all.sort();
    Ok(all)
}
