//! The input log on disk: a file that says anything, and a good file that was damaged.
//!
//! L-1 records come in the order of their numbers, and missing numbers are told as gaps; L-2
//! opening the log for writing changes nothing that was there to be read; L-3 what is appended then
//! is read after it; L-4 damage changes no record and hides none that it did not touch.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use storage::segment::{self, Salt};
use storage::{Config, Log, Reader, Record};
use tempfile::TempDir;

use crate::{Answer, Form, Memory, Target, planted};

const MEMORY: Memory = Memory { base: 4 << 20, factor: 64 };
const FIRST_SEQ: u64 = 7;
const RECORDS_MAX: u8 = 24;
const EDITS_MAX: u8 = 6;

pub const SEGMENT: Target = Target {
    name: "log-segment",
    feeds: "a segment of the input log, as it is",
    form: Form::Bytes,
    memory: MEMORY,
    caught: &[],
    run: |input| in_folder(|folder| any_file(folder, input)),
};

pub const DAMAGE: Target = Target {
    name: "log-damage",
    feeds: "records to be written into a segment, and what is done to the file",
    form: Form::Bytes,
    memory: MEMORY,
    caught: &[],
    run: |input| in_folder(|folder| damaged_file(folder, input)),
};

/// A folder of its own, in memory where that can be had.
pub fn in_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let memory = Path::new("/dev/shm");
            let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
            TempDir::with_prefix_in("immune-fuzz-", place).expect("a temporary folder")
        });
        let of_this_input = folder.path().join("input");
        std::fs::create_dir(&of_this_input).expect("the last input's folder is gone");
        let done = work(&of_this_input);
        std::fs::remove_dir_all(&of_this_input).expect("it was made above");
        done
    })
}

fn segment_path(folder: &Path) -> PathBuf {
    segment::path(folder, FIRST_SEQ)
}

/// First and last number that is missing.
type Gap = (u64, u64);

/// All records, and the gaps that were told.
fn read(folder: &Path) -> Result<(Vec<Record>, Vec<Gap>), storage::Error> {
    let mut reader = Reader::open(folder, 0)?;
    let mut records: Vec<Record> = Vec::new();
    for record in reader.by_ref() {
        let record = record?;
        if let Some(before) = records.last() {
            assert!(before.seq < record.seq, "L-1: {} before {}", before.seq, record.seq);
        }
        records.push(record);
    }
    Ok((records, reader.gaps().to_vec()))
}

/// L-1: what is neither found nor told as missing does not exist.
fn check_gaps(records: &[Record], gaps: &[Gap]) {
    let mut next = FIRST_SEQ;
    let mut gaps = gaps.iter();
    for record in records {
        if record.seq != next {
            assert_eq!(gaps.next(), Some(&(next, record.seq - 1)), "L-1");
        }
        next = record.seq.saturating_add(1);
    }
    assert_eq!(gaps.next(), None, "L-1: a gap that nothing follows");
}

fn any_file(folder: &Path, input: &[u8]) -> Answer {
    std::fs::write(segment_path(folder), input).expect("the folder can be written");
    let before = read(folder);
    if let Ok((records, gaps)) = &before {
        check_gaps(records, gaps);
    }
    reopen(folder, before.as_ref().ok().map(|(records, _)| records.as_slice()));
    if before.is_ok() { Answer::Taken } else { Answer::Refused }
}

/// Opens the log for writing, appends one record and reads all.
fn reopen(folder: &Path, before: Option<&[Record]>) {
    let Ok((mut log, recovered)) = Log::open(folder, Config::default()) else { return };
    // The last number that there is leaves none for the next record.
    if recovered.next_seq == u64::MAX || recovered.next_seq == 0 {
        return;
    }
    let seq = log.append(3, b"after").expect("a small record");
    assert_eq!(seq, recovered.next_seq, "L-3");
    log.sync().expect("the folder can be written");
    drop(log);
    let (mut records, _) = read(folder).expect("what was opened for writing can be read");
    let last = records.pop().expect("L-3: what was appended is read");
    assert_eq!((last.seq, &last.payload[..]), (seq, &b"after"[..]), "L-3");
    if let Some(before) = before {
        assert_eq!(records, before, "L-2");
    }
}

fn damaged_file(folder: &Path, input: &[u8]) -> Answer {
    let mut dice = Dice(input);
    // Unknown to whoever chose the input, as the salt of a real file is.
    let salt: Vec<u8> =
        (0..4).flat_map(|n| crc32c::crc32c_append(n, input).to_le_bytes()).collect();
    let salt = Salt::new(salt.try_into().expect("four times four bytes"));
    let mut bytes = segment::header(FIRST_SEQ, &salt).to_vec();
    let mut written = Vec::new();
    for seq in (FIRST_SEQ..).take(usize::from(dice.byte() % RECORDS_MAX)) {
        let (kind, length) = (dice.byte(), dice.byte());
        let payload = dice.bytes(usize::from(length));
        let start = bytes.len();
        segment::write_record(&mut bytes, 0, &salt, seq, kind, payload);
        written.push((seq, kind, payload, start..bytes.len()));
    }
    let good = bytes.clone();
    for _ in 0..dice.byte() % EDITS_MAX {
        damage(&mut bytes, &mut dice);
    }
    std::fs::write(segment_path(folder), &bytes).expect("the folder can be written");
    let (records, gaps) = read(folder).expect("the header was left alone");
    check_gaps(&records, &gaps);
    let found: Vec<(u64, usize)> =
        records.iter().map(|record| (record.seq, record.payload.len())).collect();
    planted::in_records(&found);
    for record in &records {
        let same = written.iter().any(|(seq, kind, payload, _)| {
            (*seq, *kind, *payload) == (record.seq, record.kind, &record.payload[..])
        });
        assert!(same, "L-4: {record:?} was never written");
    }
    for (seq, _, _, place) in &written {
        if bytes.get(place.clone()) == good.get(place.clone()) {
            let found = records.iter().any(|record| record.seq == *seq);
            assert!(found, "L-4: record {seq} is hidden");
        }
    }
    reopen(folder, Some(&records));
    Answer::Taken
}

/// One change of the file behind its header: a byte, a run of bytes, or its length.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice<'_>) {
    let span = bytes.len() - segment::HEADER_BYTES;
    if span == 0 {
        return;
    }
    let place = usize::from(dice.byte()) << 8 | usize::from(dice.byte());
    let at = segment::HEADER_BYTES + place % span;
    let value = dice.byte();
    match dice.byte() % 4 {
        0 => bytes[at] = value,
        1 => bytes.truncate(at),
        2 => {
            let end = bytes.len().min(at + usize::from(value));
            bytes[at..end].fill(0);
        }
        // A piece of the file at another place, as a misdirected write leaves it.
        _ => {
            let end = bytes.len().min(at + usize::from(value));
            let piece = bytes[at..end].to_vec();
            let to = segment::HEADER_BYTES + (place / 7) % span;
            let end = bytes.len().min(to + piece.len());
            bytes[to..end].copy_from_slice(&piece[..end - to]);
        }
    }
}

/// Choices, taken from the input; zeros once it is used up.
pub struct Dice<'a>(pub &'a [u8]);

impl<'a> Dice<'a> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
