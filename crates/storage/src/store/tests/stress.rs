//! Appends, seals, merges and views at once.

use std::sync::atomic::AtomicBool;

use super::*;

/// Entries of the log.
const ENTRIES: u64 = 3000;
const ITEMS: u64 = 4;
const VIEWERS: usize = 3;

/// A view has all that was appended before it was asked for, and nothing twice.
fn check_view(store: &Store, table: Table, appended: &AtomicU64) {
    let before = appended.load(Ordering::Acquire);
    let seen = seen(store, table);
    let log: Vec<Entry> = (1..=before).map(|seq| entry(seq, ITEMS, at(0, 100))).collect();
    for id in expected(&log, table).keys() {
        assert!(seen.contains_key(id), "{} {id} of {before} is not there", table.as_str());
    }
    let twice = seen.iter().find(|(_, times)| **times != 1);
    assert_eq!(twice, None, "{}", table.as_str());
}

/// Seals as soon as there is room for a seal, and waits for it.
fn flush(store: &Store, position: u64) {
    while !store.wait_flushed(position, Duration::from_millis(20)) {
        store.seal(position).unwrap();
    }
}

#[test]
fn every_view_has_each_item_once_whatever_happens_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    // Of this size all files are small.
    let config = Config { file_bytes: 128 << 20, ..config() };
    let Manual { store, mut keeper, .. } = open(folder.path(), config, &time);
    let (appended, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (store, appended, done) = (&store, &appended, &done);
    std::thread::scope(|scope| {
        for viewer in 0..VIEWERS {
            scope.spawn(move || {
                let mut turn = viewer;
                while !done.load(Ordering::Acquire) {
                    check_view(store, Table::ALL[turn % 3], appended);
                    turn += 1;
                }
            });
        }
        scope.spawn(move || {
            while !done.load(Ordering::Acquire) {
                keeper.look();
            }
        });
        for seq in 1..=ENTRIES {
            let entry = entry(seq, ITEMS, at(0, 100));
            store.append(seq, entry.arrival, entry.batch, Box::new(())).unwrap();
            appended.store(seq, Ordering::Release);
            if seq % 37 == 0 || store.wants_seal(at(0, 100)) {
                store.seal(seq).unwrap();
            }
            if seq % 150 == 0 {
                // Files enough for merges.
                flush(store, seq);
            }
        }
        done.store(true, Ordering::Release);
    });
    let log: Vec<Entry> = (1..=ENTRIES).map(|seq| entry(seq, ITEMS, at(0, 100))).collect();
    check_all(store, &log, "at the end");
    flush(store, ENTRIES);
    check_all(store, &log, "in files");
    let status = store.status();
    assert!(status.merges > 0 && status.flushes > 3, "{status:?}");
}
