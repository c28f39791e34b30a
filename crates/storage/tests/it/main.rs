//! The log on a real file system: what is acknowledged comes back, whatever the end of the file
//! looks like.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use proptest::prelude::*;
use storage::{Committer, Config, Entry, Log, Reader, segment};

fn write(folder: &Path, payloads: &[Vec<u8>]) {
    let (mut log, _) = Log::open(folder, Config { segment_bytes: 2048 }).unwrap();
    for payload in payloads {
        log.append(7, payload).unwrap();
        log.sync().unwrap();
    }
}

fn read(folder: &Path, from: u64) -> Vec<(u64, Vec<u8>)> {
    Reader::open(folder, from)
        .unwrap()
        .map(|record| record.unwrap())
        .map(|record| (record.seq, record.payload.to_vec()))
        .collect()
}

fn last_segment(folder: &Path) -> PathBuf {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| segment::first_seq_of(path).is_some())
        .collect();
    all.sort();
    all.pop().unwrap()
}

#[test]
fn reads_back_in_order_across_segments_and_from_any_number() {
    let folder = tempfile::tempdir().unwrap();
    let payloads: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; usize::from(n) * 3]).collect();
    write(folder.path(), &payloads);
    assert!(std::fs::read_dir(folder.path()).unwrap().count() > 3, "several segments");
    for from in [1, 2, 50, 100, 101] {
        let expected: Vec<_> =
            (from..=100).map(|seq| (seq, payloads[seq as usize - 1].clone())).collect();
        assert_eq!(read(folder.path(), from), expected);
    }
}

#[test]
fn a_second_writer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Log::open(folder.path(), Config::default()).unwrap();
    let error = Log::open(folder.path(), Config::default()).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
}

#[test]
fn damage_in_the_middle_hides_nothing_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let payloads: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 50]).collect();
    write(folder.path(), &payloads);
    let path = last_segment(folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    let at = segment::HEADER_BYTES + (segment::RECORD_HEADER_BYTES + 50) * 4 + 30;
    bytes[at] ^= 0x40;
    std::fs::write(&path, &bytes).unwrap();

    let (mut log, recovered) = Log::open(folder.path(), Config::default()).unwrap();
    assert_eq!(recovered.next_seq, 21);
    assert_eq!(recovered.damaged, Some(path));
    assert_eq!(recovered.torn, None);
    assert_eq!(log.append(7, b"after").unwrap(), 21);
    log.sync().unwrap();
    let mut reader = Reader::open(folder.path(), 1).unwrap();
    let seqs: Vec<u64> = reader.by_ref().map(|record| record.unwrap().seq).collect();
    assert_eq!(seqs, (1..=21).filter(|seq| *seq != 5).collect::<Vec<_>>());
    assert_eq!(reader.gaps(), [(5, 5)]);
}

#[test]
fn trimming_keeps_what_is_still_needed() {
    let folder = tempfile::tempdir().unwrap();
    let payloads: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 200]).collect();
    write(folder.path(), &payloads);
    let (mut log, _) = Log::open(folder.path(), Config::default()).unwrap();
    assert_eq!(log.trim(1, 0).unwrap(), 0);
    assert!(log.trim(50, 0).unwrap() > 0);
    let kept = read(folder.path(), 1);
    assert!(kept.first().unwrap().0 <= 50);
    assert_eq!(kept.last().unwrap().0, 100);
}

#[test]
fn callbacks_come_in_log_order_and_only_for_durable_entries() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), Config::default()).unwrap();
    let committer = Committer::spawn(log, 1 << 20).unwrap();
    let (sender, receiver) = sync_channel(1024);
    for n in 0..500u32 {
        let sender = sender.clone();
        let entry = Entry {
            kind: 1,
            payload: Bytes::from(n.to_le_bytes().to_vec()),
            on_commit: Box::new(move |result, _| sender.send((n, result)).unwrap()),
        };
        committer.submit(entry).unwrap();
    }
    committer.stop();
    drop(sender);
    let told: Vec<_> = receiver.iter().collect();
    assert_eq!(told.len(), 500);
    for (index, (n, result)) in told.iter().enumerate() {
        assert_eq!((*n as usize, result.clone()), (index, Ok(index as u64 + 1)));
    }
    assert_eq!(read(folder.path(), 1).len(), 500);
    assert!(committer.fsyncs() <= 500);
}

#[test]
fn a_full_queue_says_no() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), Config::default()).unwrap();
    let committer = Committer::spawn(log, 1000).unwrap();
    let (release, blocked) = sync_channel::<()>(0);
    let entry = |bytes: usize, wait: Option<std::sync::mpsc::Receiver<()>>| Entry {
        kind: 1,
        payload: Bytes::from(vec![0; bytes]),
        on_commit: Box::new(move |_, _| {
            if let Some(wait) = wait {
                let _ = wait.recv();
            }
        }),
    };
    committer.submit(entry(900, Some(blocked))).unwrap();
    assert!(committer.submit(entry(200, None)).is_err());
    release.send(()).unwrap();
    while committer.bytes_waiting() > 0 {
        std::thread::yield_now();
    }
    committer.submit(entry(200, None)).unwrap();
    committer.stop();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many bytes of the last segment survive, every whole record does, and writing goes
    /// on.
    #[test]
    fn a_torn_tail_is_cut_and_nothing_before_it(
        sizes in prop::collection::vec(0usize..80, 1..20),
        keep in 0.0f64..1.0,
        garbage in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(folder.path(), Config::default()).unwrap();
        for (n, size) in sizes.iter().enumerate() {
            log.append(3, &vec![n as u8; *size]).unwrap();
        }
        log.sync().unwrap();
        drop(log);
        let path = last_segment(folder.path());
        let mut bytes = std::fs::read(&path).unwrap();
        let length = (bytes.len() as f64 * keep) as usize;
        bytes.truncate(length);
        bytes.extend_from_slice(&garbage);
        std::fs::write(&path, &bytes).unwrap();

        let mut whole = 0;
        let mut end = segment::HEADER_BYTES;
        for size in &sizes {
            end += segment::RECORD_HEADER_BYTES + size;
            if end > length { break; }
            whole += 1;
        }
        if length < segment::HEADER_BYTES && bytes.len() >= segment::HEADER_BYTES {
            // Garbage where a header should be is not ours to guess about.
            return Ok(());
        }
        let (mut log, recovered) = Log::open(folder.path(), Config::default()).unwrap();
        prop_assert_eq!(recovered.next_seq, whole + 1);
        log.append(3, b"next").unwrap();
        log.sync().unwrap();
        prop_assert_eq!(read(folder.path(), 1).len() as u64, whole + 1);
    }
}
