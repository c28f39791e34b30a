//! Full disks, and folders that cannot be written.

use super::*;

const MIB: u64 = 1 << 20;

/// A disk of which the test says how much is free, in MiB.
fn disk_with(folder: &Path, free: &Arc<AtomicU64>) -> Arc<DiskWatch> {
    let config = DiskConfig { reserve: 32 * MIB, free_min: 100 * MIB };
    let told = free.clone();
    let measure = Box::new(move |_: &Path| Ok(told.load(Ordering::Relaxed) * MIB));
    Arc::new(DiskWatch::with_measure(folder, config, measure).unwrap())
}

#[test]
fn a_full_disk_refuses_ingest_keeps_answering_and_heals_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let free = Arc::new(AtomicU64::new(1000));
    let watch = disk_with(folder.path(), &free);
    let mut manual = open_with(folder.path(), config(), &time, watch, None);
    let log = entries(1, 30, 20, time.now());
    manual.append(&log[..15]);
    manual.flush(15);
    free.store(50, Ordering::Relaxed);
    manual.keeper.look();
    let pressure = manual.store.pressure().unwrap();
    assert_eq!(pressure.to_string(), "disk space is low: 50 MiB are free, 125 MiB are needed");
    // What was acknowledged before is written all the same.
    manual.append(&log[15..20]);
    manual.flush(20);
    free.store(2, Ordering::Relaxed);
    manual.keeper.look();
    assert!(!folder.path().join(crate::reserve::RESERVE).exists(), "it was given back");
    manual.append(&log[20..]);
    manual.store.seal(30).unwrap();
    let in_trouble = |state: &shared::State| state.trouble.flush.is_some();
    drop(manual.store.shared.wait(LONG, in_trouble));
    assert!(manual.store.status().trouble[0].contains("the disk is full"));
    check_all(&manual.store, &log, "on a full disk");
    assert_eq!(manual.store.flushed(), 20);
    free.store(1000, Ordering::Relaxed);
    manual.keeper.look();
    assert_eq!(manual.store.pressure(), None);
    assert!(manual.store.wait_flushed(30, LONG));
    check_all(&manual.store, &log, "after it has healed");
    assert_eq!(manual.store.status().trouble, Vec::<String>::new());
    assert!(folder.path().join(crate::reserve::RESERVE).exists());
}

#[test]
fn a_disk_that_is_low_loses_its_oldest_telemetry_where_that_is_configured() {
    for delete_when_low in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let time = Time::new(at(1, 100));
        let free = Arc::new(AtomicU64::new(1000));
        let watch = disk_with(folder.path(), &free);
        let config = Config { delete_when_low, ..config() };
        let mut manual = open_with(folder.path(), config, &time, watch, None);
        let log = entries(1, 12, 20, at(0, 50));
        manual.append(&log);
        manual.append(&entries(13, 12, 20, at(1, 50)));
        manual.flush(24);
        free.store(50, Ordering::Relaxed);
        manual.keeper.look();
        assert_eq!(manual.files(), if delete_when_low { 3 } else { 6 });
    }
}

#[test]
fn merging_waits_for_room() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let free = Arc::new(AtomicU64::new(100));
    let watch = disk_with(folder.path(), &free);
    let mut manual = open_with(folder.path(), config(), &time, watch, None);
    for round in 0..8 {
        manual.append(&entries(1 + round, 1, 20, time.now()));
        manual.flush(1 + round);
    }
    for round in 8..24 {
        manual.append(&entries(1 + round, 1, 20, time.now()));
        manual.flush(1 + round);
    }
    manual.keeper.look();
    assert_eq!(manual.files(), 24);
    assert!(manual.store.status().trouble[0].contains("merging waits for"));
    free.store(1000, Ordering::Relaxed);
    (0..61).for_each(|_| manual.keeper.look());
    assert_eq!(manual.files(), 3);
    assert_eq!(manual.store.status().trouble, Vec::<String>::new());
}

#[test]
fn a_flush_that_fails_forgets_nothing_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let manual = open(folder.path(), config(), &time);
    let log = entries(1, 30, 20, time.now());
    manual.append(&log);
    // A file where the folder of the day should be, for one table of the three.
    let in_the_way = folder.path().join(format!("telemetry/logs/{}", Day(TODAY)));
    std::fs::write(&in_the_way, b"").unwrap();
    manual.store.seal(30).unwrap();
    let in_trouble = |state: &shared::State| state.trouble.flush.is_some();
    drop(manual.store.shared.wait(LONG, in_trouble));
    check_all(&manual.store, &log, "while it fails");
    assert_eq!((manual.store.flushed(), manual.files()), (0, 0));
    assert!(manual.store.status().flush_failures > 0);
    std::fs::remove_file(&in_the_way).unwrap();
    assert!(manual.store.wait_flushed(30, LONG));
    check_all(&manual.store, &log, "once it does not");
    drop(manual);
    let manual = open(folder.path(), config(), &time);
    assert!(manual.opened.notes.is_empty(), "nothing stays behind: {:?}", manual.opened.notes);
    check_all(&manual.store, &log, "after a restart");
}

#[test]
fn a_commit_that_fails_half_way_is_tried_again_with_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let manual = open(folder.path(), config(), &time);
    let log = entries(1, 30, 20, time.now());
    manual.append(&log);
    // The first copy of the catalog can be written, the second cannot.
    let copy = folder.path().join("telemetry").join(crate::catalog::NAMES[1]);
    std::fs::remove_file(&copy).unwrap();
    std::fs::create_dir_all(copy.join("in the way")).unwrap();
    manual.store.seal(30).unwrap();
    let in_trouble = |state: &shared::State| state.trouble.flush.is_some();
    drop(manual.store.shared.wait(LONG, in_trouble));
    check_all(&manual.store, &log, "while it fails");
    assert_eq!(manual.store.flushed(), 0, "it is not told before it is certain");
    let image = copy_of(folder.path());
    std::fs::remove_dir_all(&copy).unwrap();
    assert!(manual.store.wait_flushed(30, LONG));
    check_all(&manual.store, &log, "once it does not");
    assert_eq!(manual.files(), 3);
    // A crash in between: whichever copy counts, all is there.
    std::fs::remove_dir_all(image.path().join("telemetry").join(crate::catalog::NAMES[1])).unwrap();
    let manual = open(image.path(), config(), &time);
    manual.append(&log);
    check_all(&manual.store, &log, "after a crash");
}
