//! Appending to the log, and finding its end after a crash.
//!
//! Invariants: `sync` returns only when everything appended is on disk, the folder entry included;
//! after an I/O error nothing of the failed batch is counted as written, and the next batch starts
//! a new segment; one process writes a folder at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::input_log::reader::segments;
use crate::input_log::segment::{self, Header, Salt};
use crate::{Error, durable};

#[derive(Clone, Debug)]
pub struct Config {
    /// A segment is closed when it is larger than this.
    pub segment_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { segment_bytes: 64 << 20 }
    }
}

/// The writing end of the log.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    config: Config,
    _lock: File,
    current: Option<Segment>,
    next_seq: u64,
    buffer: Vec<u8>,
    /// Number that the first record in `buffer` bears.
    buffered_from: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    salt: Salt,
    durable_bytes: u64,
}

/// What was found when the log was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Number that the next record will bear.
    pub next_seq: u64,
    /// A record was only half written when the last writer ended; it was cut off.
    pub torn: Option<TornTail>,
    /// The last segment is damaged before its end: it was left as it is, and a new one begun.
    pub damaged: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct TornTail {
    pub path: PathBuf,
    pub offset: u64,
    pub bytes_cut: u64,
}

impl Log {
    /// Opens or creates the log in `folder`, cutting a torn tail.
    pub fn open(folder: &Path, config: Config) -> Result<(Log, Recovered), Error> {
        std::fs::create_dir_all(folder).map_err(Error::io("create folder", folder))?;
        let lock = durable::lock_folder(folder)?
            .ok_or_else(|| Error::Locked { path: folder.to_owned() })?;
        let mut recovered = Recovered { next_seq: 1, ..Recovered::default() };
        let mut current = None;
        if let Some((first_seq, path)) = segments(folder)?.pop() {
            current = recover_last(&path, first_seq, &mut recovered)?;
        }
        let log = Log {
            folder: folder.to_owned(),
            config,
            _lock: lock,
            current,
            next_seq: recovered.next_seq,
            buffered_from: recovered.next_seq,
            buffer: Vec::new(),
        };
        Ok((log, recovered))
    }

    /// Adds a record to the batch that the next `sync` writes; returns its number.
    pub fn append(&mut self, kind: u8, payload: &[u8]) -> Result<u64, Error> {
        if payload.len() > segment::PAYLOAD_BYTES_MAX {
            return Err(Error::TooLarge { bytes: payload.len() });
        }
        self.settle_segment()?;
        let segment = self.current.as_ref().expect("a segment was settled on above");
        let seq = self.next_seq;
        let (start, salt) = (segment.durable_bytes, &segment.salt);
        segment::write_record(&mut self.buffer, start, salt, seq, kind, payload);
        self.next_seq += 1;
        Ok(seq)
    }

    /// Makes the batch durable. On an error the whole batch is forgotten and its numbers are free
    /// again.
    pub fn sync(&mut self) -> Result<(), Error> {
        let result = self.write_batch();
        self.buffer.clear();
        // A rare huge batch must not hold its memory for ever.
        self.buffer.shrink_to(1 << 20);
        match result {
            Ok(()) => self.buffered_from = self.next_seq,
            Err(_) => {
                self.next_seq = self.buffered_from;
                self.abandon_segment();
            }
        }
        result
    }

    /// Bytes of all segments on disk.
    pub fn bytes_on_disk(&self) -> Result<u64, Error> {
        let mut total = 0;
        for (_, path) in segments(&self.folder)? {
            total += std::fs::metadata(&path).map_err(Error::io("look at", &path))?.len();
        }
        Ok(total)
    }

    /// Deletes the oldest segments while the log is larger than `bytes_max`, but none that holds a
    /// record numbered `keep_from` or above. Returns the number of files deleted.
    pub fn trim(&mut self, keep_from: u64, bytes_max: u64) -> Result<usize, Error> {
        let all = segments(&self.folder)?;
        let mut total = self.bytes_on_disk()?;
        let mut deleted = 0;
        for pair in all.windows(2) {
            let ((_, path), (next_first, _)) = (&pair[0], &pair[1]);
            if total <= bytes_max || *next_first > keep_from {
                break;
            }
            total -= std::fs::metadata(path).map_err(Error::io("look at", path))?.len();
            std::fs::remove_file(path).map_err(Error::io("delete", path))?;
            deleted += 1;
        }
        if deleted > 0 {
            durable::sync_folder(&self.folder)?;
        }
        Ok(deleted)
    }

    /// A batch lies in one segment: its first record decides which.
    fn settle_segment(&mut self) -> Result<(), Error> {
        let full = |segment: &Segment| segment.durable_bytes >= self.config.segment_bytes;
        if self.buffer.is_empty() && self.current.as_ref().is_none_or(full) {
            self.current = None;
            self.current = Some(create_segment(&self.folder, self.next_seq)?);
        }
        Ok(())
    }

    fn write_batch(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let segment = self.current.as_mut().expect("a batch with records has settled its segment");
        segment.file.write_all(&self.buffer).map_err(Error::io("append to", &segment.path))?;
        segment.file.sync_data().map_err(Error::io("sync", &segment.path))?;
        segment.durable_bytes += self.buffer.len() as u64;
        Ok(())
    }

    /// After a failed write or fsync the file's tail is unknown: cut it if possible, and never
    /// append to it again. Readers take a later segment's word where numbers overlap.
    fn abandon_segment(&mut self) {
        if let Some(segment) = self.current.take() {
            let cut =
                segment.file.set_len(segment.durable_bytes).and_then(|()| segment.file.sync_all());
            if let Err(error) = cut {
                tracing::warn!(path = %segment.path.display(), %error, "cannot cut a failed write");
            }
        }
    }
}

/// Makes a segment whose name is durable. Its header becomes so with the first batch: one that a
/// crash left without a whole header ([`Header::Torn`]) holds nothing and is replaced.
fn create_segment(folder: &Path, first_seq: u64) -> Result<Segment, Error> {
    let salt = random_salt()?;
    let path = segment::path(folder, first_seq);
    let mut file = File::create(&path).map_err(Error::io("create", &path))?;
    file.write_all(&segment::header(first_seq, &salt)).map_err(Error::io("write", &path))?;
    durable::sync_folder(folder)?;
    Ok(Segment { file, path, salt, durable_bytes: segment::HEADER_BYTES as u64 })
}

fn random_salt() -> Result<Salt, Error> {
    let path = Path::new("/dev/urandom");
    let mut random = [0; 16];
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    file.read_exact(&mut random).map_err(Error::io("read", path))?;
    Ok(Salt::new(random))
}

/// Walks the last segment to its end. Returns it when it can be appended to.
fn recover_last(
    path: &Path,
    first_seq: u64,
    recovered: &mut Recovered,
) -> Result<Option<Segment>, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    recovered.next_seq = first_seq;
    let salt = match segment::read_header(&bytes) {
        Header::Good { first_seq: told, salt } if told == first_seq => salt,
        Header::Good { .. } | Header::Foreign => {
            return Err(Error::NotASegment { path: path.to_owned() });
        }
        Header::Version(found) => return Err(Error::Version { path: path.to_owned(), found }),
        Header::Torn => {
            // Nothing in it was ever acknowledged; the next batch replaces it.
            recovered.torn =
                Some(TornTail { path: path.to_owned(), offset: 0, bytes_cut: bytes.len() as u64 });
            return Ok(None);
        }
    };
    let mut offset = segment::HEADER_BYTES;
    while let Some(found) = segment::next_record(&bytes, &salt, offset, recovered.next_seq) {
        if found.seq != recovered.next_seq {
            recovered.damaged = Some(path.to_owned());
        }
        offset = found.payload.end;
        recovered.next_seq = found.seq + 1;
    }
    if recovered.damaged.is_some() {
        return Ok(None);
    }
    let file = OpenOptions::new().append(true).open(path).map_err(Error::io("open", path))?;
    let durable_bytes = offset as u64;
    if offset < bytes.len() {
        file.set_len(durable_bytes).map_err(Error::io("cut", path))?;
        file.sync_all().map_err(Error::io("sync", path))?;
        recovered.torn = Some(TornTail {
            path: path.to_owned(),
            offset: durable_bytes,
            bytes_cut: (bytes.len() - offset) as u64,
        });
    }
    Ok(Some(Segment { file, path: path.to_owned(), salt, durable_bytes }))
}
