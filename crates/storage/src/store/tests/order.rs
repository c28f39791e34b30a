//! Seals, restarts, merges and retention in a healthy store.

use super::*;

#[test]
fn what_is_appended_is_seen_at_once_and_after_each_step_to_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let mut manual = open(folder.path(), config(), &time);
    let mut log = entries(1, 30, 20, time.now());
    manual.append(&log);
    check_all(&manual.store, &log, "in memory");
    assert_eq!(manual.store.status().hot_rows, 600);
    manual.flush(30);
    check_all(&manual.store, &log, "in files");
    assert_eq!((manual.store.flushed(), manual.files()), (30, 3));
    assert_eq!(manual.store.shared.sealed_bytes.load(Ordering::Relaxed), 0);
    let more = entries(31, 9, 5, time.now());
    manual.append(&more);
    log.extend(more);
    check_all(&manual.store, &log, "in both");
    manual.keeper.look();
    manual.store.stop();
}

#[test]
fn a_view_is_limited_to_its_time_and_metric() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(1, 100));
    let manual = open(folder.path(), config(), &time);
    manual.append(&entries(1, 6, 5, at(0, 50)));
    manual.append(&entries(7, 6, 5, at(1, 50)));
    manual.flush(12);
    let days = |range| manual.store.view(Table::Spans, range, None).unwrap().files.len();
    assert_eq!(days(at(0, 0)..at(2, 0)), 2);
    assert_eq!(days(at(0, 51)..at(1, 50)), 0);
    assert_eq!(days(at(0, 50)..at(0, 51)), 1);
    manual.append(&entries(13, 6, 5, at(1, 60)));
    let all = Timestamp::ZERO..Timestamp(u64::MAX);
    for sealed in [false, true] {
        let view = manual.store.view(Table::Samples, all.clone(), Some("metric_1")).unwrap();
        let hot = View { files: Vec::new(), ..view };
        let ids = seen_in(hot, Table::Samples);
        assert!(!ids.is_empty() && ids.keys().all(|id| id % 3 == 1), "sealed: {sealed}");
        if !sealed {
            // Sealed, and kept from the files.
            let ledger = lock(&manual.store.shared.ledger);
            manual.store.seal(18).unwrap();
            while lock(&manual.store.shared.state).delivered != [2, 2] {
                drop(manual.store.shared.wait(LONG, |state| state.delivered == [2, 2]));
            }
            let view = manual.store.view(Table::Samples, all.clone(), Some("metric_1")).unwrap();
            let hot = View { files: Vec::new(), ..view };
            assert_eq!(seen_in(hot, Table::Samples), ids);
            drop(ledger);
            assert!(manual.store.wait_flushed(18, LONG));
            manual.append(&entries(19, 6, 5, at(1, 70)));
        }
    }
}

#[test]
fn a_restart_reads_again_only_what_is_not_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let log = entries(1, 40, 10, time.now());
    let manual = open(folder.path(), config(), &time);
    assert_eq!(manual.opened, Opened::default());
    manual.append(&log[..30]);
    manual.flush(30);
    manual.append(&log[30..]);
    drop(manual);
    let manual = open(folder.path(), config(), &time);
    assert_eq!((manual.opened.flushed, manual.opened.files), (30, 3));
    assert!(manual.opened.notes.is_empty(), "{:?}", manual.opened.notes);
    check_all(&manual.store, &log[..30], "before the log is read again");
    manual.append(&log);
    check_all(&manual.store, &log, "after all of the log was read again");
}

#[test]
fn a_seal_of_nothing_moves_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 0));
    let manual = open(folder.path(), config(), &time);
    manual.flush(17);
    manual.flush(17);
    assert_eq!((manual.store.flushed(), manual.files()), (17, 0));
    drop(manual);
    assert_eq!(open(folder.path(), config(), &time).opened.flushed, 17);
}

#[test]
fn it_wants_a_seal_by_age_by_size_and_when_one_was_put_off() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 0));
    let memory = 4 << 20;
    let manual = open(folder.path(), Config { memory, ..config() }, &time);
    let store = &manual.store;
    assert!(!store.wants_seal(at(9, 0)), "nothing is there");
    manual.append(&entries(1, 1, 1, at(0, 0)));
    assert!(!store.wants_seal(at(0, 299)));
    assert!(store.wants_seal(at(0, 300)), "it is old");
    // Nothing gets into files now.
    let ledger = lock(&store.shared.ledger);
    store.seal(1).unwrap();
    assert!(!store.wants_seal(at(0, 300)));
    let mut seq = 2;
    while !store.wants_seal(at(0, 0)) {
        manual.append(&entries(seq, 10, 900, at(0, 0)));
        // Answered once all of it is in columns.
        store.view(Table::Spans, at(0, 0)..at(0, 1), None).unwrap();
        seq += 10;
        assert!(seq < 10_000, "it never wants one by size");
    }
    store.seal(seq - 1).unwrap();
    manual.append(&entries(seq, 1, 1, at(0, 0)));
    store.seal(seq).unwrap();
    assert!(!store.wants_seal(at(9, 0)), "two are on their way");
    assert_eq!(lock(&store.shared.state).generations.len(), GENERATIONS_MAX);
    drop(ledger);
    assert!(store.wait_flushed(seq - 1, LONG));
    assert!(store.wants_seal(at(0, 0)), "it was put off");
    manual.flush(seq);
}

#[test]
fn too_much_in_memory_is_pressure_until_it_is_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 0));
    let manual = open(folder.path(), Config { memory: 1 << 20, ..config() }, &time);
    let store = &manual.store;
    assert_eq!(store.pressure(), None);
    let mut seq = 1;
    while store.pressure().is_none() {
        manual.append(&entries(seq, 10, 900, at(0, 0)));
        store.view(Table::Spans, at(0, 0)..at(0, 1), None).unwrap();
        seq += 10;
        assert!(seq < 10_000, "there is no bound");
    }
    assert!(matches!(store.pressure(), Some(Pressure::Memory { .. })));
    assert!(!store.wait_room(Duration::ZERO));
    manual.flush(seq - 1);
    assert_eq!(store.pressure(), None);
    assert!(store.wait_room(Duration::ZERO));
}

#[test]
fn what_holds_a_batch_in_memory_is_let_go_once_it_is_in_columns() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 0));
    let manual = open(folder.path(), config(), &time);
    let held = Arc::new(());
    for entry in entries(1, 9, 3, at(0, 0)) {
        let guard = Box::new(held.clone());
        manual.store.append(entry.seq, entry.arrival, entry.batch, guard).unwrap();
    }
    check_all(&manual.store, &entries(1, 9, 3, at(0, 0)), "");
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn small_files_are_merged_and_a_view_keeps_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let mut manual = open(folder.path(), config(), &time);
    let mut log = Vec::new();
    for round in 0..9 {
        let more = entries(1 + round * 30, 30, 7, at(0, 100 + round));
        manual.append(&more);
        manual.flush(30 + round * 30);
        log.extend(more);
    }
    assert_eq!(manual.files(), 27);
    let all = Timestamp::ZERO..Timestamp(u64::MAX);
    let held = manual.store.view(Table::Spans, all, None).unwrap();
    manual.keeper.look();
    assert_eq!(manual.files(), 3, "{:?}", manual.store.status().trouble);
    check_all(&manual.store, &log, "after merging");
    assert!(held.files.iter().all(|file| file.path().exists()));
    assert_eq!(difference(&expected(&log, Table::Spans), &seen_in(held, Table::Spans)), "");
    let parquet = walk(folder.path()).iter().filter(|path| path.ends_with(".parquet")).count();
    assert_eq!(parquet, 3, "what nobody holds is gone");
    assert_eq!(manual.store.status().merges, 3);
    drop(manual);
    let manual = open(folder.path(), config(), &time);
    check_all(&manual.store, &log, "after a restart");
}

#[test]
fn days_expire_whole_and_a_jump_of_the_clock_waits() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let keep = Retention { keep: Duration::from_secs(86_400), size_max: None };
    let config = Config { traces: keep, logs: keep, metrics: keep, ..config() };
    let mut manual = open(folder.path(), config.clone(), &time);
    let old = entries(1, 6, 5, at(0, 50));
    let new = entries(7, 6, 5, at(1, 50));
    manual.append(&old);
    manual.append(&new);
    manual.flush(12);
    let look = |keeper: &mut Keeper, times: usize| (0..times).for_each(|_| keeper.look());
    time.set(at(1, 86_399));
    look(&mut manual.keeper, 31);
    assert_eq!(manual.files(), 6);
    // The clock runs a month ahead for a while.
    time.set(at(30, 0));
    look(&mut manual.keeper, 1000);
    assert_eq!(manual.files(), 6);
    assert!(manual.store.status().trouble[0].contains("the clock jumped"));
    time.set(at(2, 0));
    look(&mut manual.keeper, 3000);
    assert_eq!(manual.files(), 6, "it has jumped back only now");
    look(&mut manual.keeper, 1000);
    assert_eq!(manual.files(), 3);
    check_all(&manual.store, &new, "after the first day has expired");
    assert!(!folder.path().join(format!("telemetry/spans/{}", Day(TODAY))).exists());
    assert_eq!(manual.store.status().trouble, Vec::<String>::new());
}

#[test]
fn a_table_over_its_budget_loses_its_oldest_day() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(2, 100));
    let mut manual = open(folder.path(), config(), &time);
    for day in 0..3 {
        manual.append(&entries(1 + 6 * u64::from(day), 6, 50, at(day, 50)));
        manual.flush(6 + 6 * u64::from(day));
    }
    let bytes = manual.store.status().tables[0].bytes;
    drop(manual);
    let traces = Retention { size_max: Some(bytes - 1), ..Retention::default() };
    manual = open(folder.path(), Config { traces, ..config() }, &time);
    manual.keeper.look();
    let status = manual.store.status();
    assert_eq!(status.tables[0].first_day, Some(Day(TODAY + 1).to_string()));
    assert_eq!(status.tables[1].files, 3);
    assert_eq!(status.files_expired, 1);
}

#[test]
fn opening_reads_no_data_file_and_tells_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let manual = open(folder.path(), config(), &time);
    manual.append(&entries(1, 6, 50, at(0, 50)));
    manual.flush(6);
    drop(manual);
    let mut files: Vec<_> =
        walk(folder.path()).into_iter().filter(|path| path.ends_with(".parquet")).collect();
    files.sort();
    let [logs, samples, spans] = files.as_slice() else { panic!("{files:?}") };
    // Of the right size and no content; cut; gone.
    let bytes = std::fs::metadata(logs).unwrap().len();
    std::fs::write(logs, vec![0; bytes as usize]).unwrap();
    std::fs::write(samples, b"PAR1").unwrap();
    std::fs::remove_file(spans).unwrap();
    let manual = open(folder.path(), config(), &time);
    let [note] = manual.opened.notes.as_slice() else { panic!("{:?}", manual.opened.notes) };
    assert!(note.contains("2 files of telemetry cannot be read"), "{note}");
    assert!(note.contains("has 4 bytes where") && note.contains("is not there"), "{note}");
    let all = Timestamp::ZERO..Timestamp(u64::MAX);
    assert_eq!(manual.store.view(Table::Spans, all.clone(), None).unwrap().missing, 1);
    let view = manual.store.view(Table::Logs, all, None).unwrap();
    let error = view.files[0].open().err().unwrap().to_string();
    assert!(error.contains("logs/"), "{error}");
    assert_eq!(manual.store.status().tables[0].missing, 1);
    assert!(std::path::Path::new(samples).exists(), "it is left for people to look at");
}

#[test]
fn a_folder_is_used_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _manual = open(folder.path(), config(), &Time::new(at(0, 0)));
    let error = recover::open(&folder.path().join("telemetry"), |_| Ok(None)).err().unwrap();
    assert!(matches!(error, Error::StoreLocked { .. }), "{error}");
}

#[test]
fn its_own_threads_flush_merge_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let telemetry = folder.path().join("telemetry");
    let (store, _) = Store::open(&telemetry, config(), time.clock(), disk(folder.path())).unwrap();
    let log = entries(1, 90, 7, time.now());
    for (round, part) in log.chunks(10).enumerate() {
        for entry in part {
            store.append(entry.seq, entry.arrival, entry.batch.clone(), Box::new(())).unwrap();
        }
        let position = 10 + 10 * round as u64;
        store.seal(position).unwrap();
        assert!(store.wait_flushed(position, LONG));
    }
    // Eight files of each table become one, while the ninth may come before or after.
    let merged = |state: &shared::State| state.files.len() <= 6;
    let files = store.shared.wait(LONG, merged).files.len();
    assert!(files <= 6, "{:?}", store.status().trouble);
    check_all(&store, &log, "");
    store.stop();
    assert!(store.view(Table::Spans, at(0, 0)..at(1, 0), None).is_err());
}
