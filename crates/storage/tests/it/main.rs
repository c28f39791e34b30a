//! The log on a real file system: what is acknowledged comes back, whatever the end of the file
//! looks like.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::Bytes;
use proptest::prelude::*;
use storage::{Committer, Config, Entry, Log, Priority, Reader, Refused, segment};

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
            priority: Priority::Telemetry,
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

/// An entry whose callback waits for `hold`, if given, and so holds the thread.
fn entry(priority: Priority, bytes: usize, hold: Option<Receiver<()>>) -> Entry {
    let on_commit = Box::new(move |_, _| {
        if let Some(hold) = hold {
            let _ = hold.recv();
        }
    });
    Entry { priority, kind: 1, payload: Bytes::from(vec![0; bytes]), on_commit }
}

#[test]
fn a_full_queue_says_no() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), Config::default()).unwrap();
    let committer = Committer::spawn(log, 1000).unwrap();
    let (release, blocked) = sync_channel::<()>(0);
    committer.submit(entry(Priority::Telemetry, 900, Some(blocked))).unwrap();
    assert_eq!(committer.submit(entry(Priority::Telemetry, 200, None)), Err(Refused::Full));
    release.send(()).unwrap();
    while committer.bytes_waiting() > 0 {
        std::thread::yield_now();
    }
    committer.submit(entry(Priority::Telemetry, 200, None)).unwrap();
    committer.stop();
}

#[test]
fn control_entries_pass_while_telemetry_is_at_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), Config::default()).unwrap();
    let committer = Committer::spawn(log, 10_000).unwrap();
    let (release, blocked) = sync_channel::<()>(0);
    committer.submit(entry(Priority::Control, 1, Some(blocked))).unwrap();
    // At its bound in entries …
    let mut taken = 0;
    while committer.submit(entry(Priority::Telemetry, 1, None)).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 3072);
    committer.submit(entry(Priority::Control, 20_000, None)).unwrap();
    release.send(()).unwrap();
    while committer.bytes_waiting() > 0 {
        std::thread::yield_now();
    }
    // … and in bytes.
    let (release, blocked) = sync_channel::<()>(0);
    committer.submit(entry(Priority::Telemetry, 9_000, Some(blocked))).unwrap();
    assert_eq!(committer.submit(entry(Priority::Telemetry, 2_000, None)), Err(Refused::Full));
    committer.submit(entry(Priority::Control, 2_000, None)).unwrap();
    release.send(()).unwrap();
    committer.stop();
    assert_eq!(read(folder.path(), 1).len(), 1 + 3072 + 1 + 2);
}

#[test]
fn an_entry_over_the_bound_passes_alone_and_one_over_the_format_never() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), Config::default()).unwrap();
    let committer = Committer::spawn(log, 10).unwrap();
    committer.submit(entry(Priority::Telemetry, 100, None)).unwrap();
    let bytes = segment::PAYLOAD_BYTES_MAX + 1;
    for priority in [Priority::Telemetry, Priority::Control] {
        let refused = committer.submit(entry(priority, bytes, None));
        assert_eq!(refused, Err(Refused::TooLarge { bytes }));
    }
    committer.stop();
}

/// A log of two records of which the second, which begins with `inner`, was cut short on disk.
fn torn_around(inner: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(folder.path(), Config::default()).unwrap();
    log.append(1, b"first").unwrap();
    log.append(1, &[inner, &[b'x'; 500]].concat()).unwrap();
    log.sync().unwrap();
    let path = last_segment(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    folder
}

#[test]
fn a_record_forged_inside_a_torn_one_is_not_believed() {
    let salts = [segment::Salt::new([0; 16]), segment::Salt::new([0xA5; 16])];
    let first_bytes = segment::RECORD_HEADER_BYTES + b"first".len();
    let place = segment::HEADER_BYTES + first_bytes + segment::RECORD_HEADER_BYTES;
    for salt in salts {
        for seq in [2, 3] {
            let mut forged = Vec::new();
            segment::write_record(&mut forged, place as u64, &salt, seq, 3, b"freeze");
            let folder = torn_around(&forged);
            assert_eq!(read(folder.path(), 1), [(1, b"first".to_vec())]);
            let (_, recovered) = Log::open(folder.path(), Config::default()).unwrap();
            assert_eq!((recovered.next_seq, recovered.damaged), (2, None));
            assert!(recovered.torn.is_some());
        }
    }
}

#[test]
fn not_even_a_true_record_is_looked_for_inside_a_torn_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(folder.path(), Config::default()).unwrap();
    log.append(1, b"first").unwrap();
    log.sync().unwrap();
    let path = last_segment(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let segment::Header::Good { salt, .. } = segment::read_header(&bytes) else { panic!() };
    let mut inner = Vec::new();
    let place = bytes.len() + segment::RECORD_HEADER_BYTES;
    segment::write_record(&mut inner, place as u64, &salt, 3, 3, b"freeze");
    log.append(1, &[&inner[..], &[b'x'; 500]].concat()).unwrap();
    log.sync().unwrap();
    drop(log);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    assert_eq!(read(folder.path(), 1), [(1, b"first".to_vec())]);

    // Whole but with damage in its payload, it hides what it holds and not what follows.
    let mut bytes = bytes;
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    segment::write_record(&mut bytes, 0, &salt, 3, 1, b"third");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(read(folder.path(), 1), [(1, b"first".to_vec()), (3, b"third".to_vec())]);
}

#[test]
fn damage_in_any_byte_of_a_record_costs_only_that_record() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(folder.path(), Config::default()).unwrap();
    for payload in [b"one", b"two", b"six"] {
        log.append(1, payload).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let path = last_segment(folder.path());
    let whole = std::fs::read(&path).unwrap();
    let record_bytes = segment::RECORD_HEADER_BYTES + 3;
    for place in 0..record_bytes {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[segment::HEADER_BYTES + record_bytes + place] ^= bit;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(folder.path(), 1), [(1, b"one".to_vec()), (3, b"six".to_vec())]);
        }
    }
}

#[test]
fn a_misplaced_copy_of_a_record_or_of_its_head_hides_none() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(folder.path(), Config::default()).unwrap();
    let payloads: Vec<Vec<u8>> = (1..=6u8).map(|n| vec![n; 300]).collect();
    for payload in &payloads {
        log.append(1, payload).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let path = last_segment(folder.path());
    let whole = std::fs::read(&path).unwrap();
    let record_bytes = segment::RECORD_HEADER_BYTES + 300;
    let start = |seq: usize| segment::HEADER_BYTES + record_bytes * (seq - 1);
    let mut expected: Vec<_> = (1..).zip(payloads.clone()).collect();
    expected.remove(2 - 1);
    for copied in 3..=6 {
        for copied_bytes in [segment::RECORD_HEADER_BYTES, record_bytes - 100] {
            let mut bytes = whole.clone();
            let copy = start(copied)..start(copied) + copied_bytes;
            bytes[start(2)..start(3)].fill(0);
            // So far inside that as many numbers could be missing.
            bytes.copy_within(copy.clone(), start(2) + 100);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(folder.path(), 1), expected, "{copied_bytes} bytes of {copied}");
        }
    }
}

#[test]
fn a_segment_of_version_2_is_read_and_appended_to_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = segment::header(1, &segment::Salt::new([7; 16])).to_vec();
    bytes[4..8].copy_from_slice(&2u32.to_le_bytes());
    let segment::Header::Good { salt, .. } = segment::read_header(&bytes) else { panic!() };
    // Whatever the place: version 2 does not know it.
    segment::write_record(&mut bytes, 9, &salt, 1, 7, b"first");
    let path = segment::path(folder.path(), 1);
    std::fs::write(&path, &bytes).unwrap();
    let (mut log, recovered) = Log::open(folder.path(), Config::default()).unwrap();
    assert_eq!((recovered.next_seq, recovered.torn, recovered.damaged), (2, None, None));
    log.append(7, b"second").unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(read(folder.path(), 1), [(1, b"first".to_vec()), (2, b"second".to_vec())]);
    assert!(std::fs::read(&path).unwrap().starts_with(&bytes));
}

#[test]
fn a_new_segment_that_a_power_cut_left_empty_is_written_anew() {
    for left in [0, 10, 16, segment::HEADER_BYTES, 4096] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[b"first".to_vec()]);
        std::fs::write(segment::path(folder.path(), 2), vec![0; left]).unwrap();
        let (mut log, recovered) = Log::open(folder.path(), Config::default()).unwrap();
        assert_eq!(recovered.next_seq, 2);
        assert_eq!(recovered.torn.unwrap().bytes_cut, left as u64);
        assert_eq!(read(folder.path(), 1), [(1, b"first".to_vec())]);
        log.append(1, b"second").unwrap();
        log.sync().unwrap();
        drop(log);
        let (_, recovered) = Log::open(folder.path(), Config::default()).unwrap();
        assert_eq!((recovered.next_seq, recovered.torn), (3, None));
        assert_eq!(read(folder.path(), 1).len(), 2);
    }
}

#[test]
fn a_zeroed_header_before_records_is_not_taken_for_an_empty_segment() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[b"first".to_vec()]);
    let path = last_segment(folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..segment::HEADER_BYTES].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let error = Log::open(folder.path(), Config::default()).unwrap_err();
    assert!(error.to_string().contains("not a log segment"), "{error}");
}

#[test]
fn another_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let header = [&b"IMWL"[..], &1u32.to_le_bytes(), &1u64.to_le_bytes()].concat();
    std::fs::write(segment::path(folder.path(), 1), header).unwrap();
    let error = Log::open(folder.path(), Config::default()).unwrap_err();
    assert!(error.to_string().contains("version 1; this program reads version 3"), "{error}");
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
        if length < segment::HEADER_BYTES && !garbage.is_empty() {
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
