//! Telemetry in an object store: outages, eviction, deletion, and a real S3 server.

use super::*;
use crate::objects::tests::server;

fn with_objects(local_size_max: u64) -> Config {
    let objects = Objects { store: Default::default(), local_size_max };
    Config { objects: Some(objects), ..config() }
}

/// Names in the object store.
fn names(manual: &Manual) -> Vec<String> {
    let objects = manual.store.shared.shelf.objects.clone().unwrap();
    objects.list(|_| true, 1000, &|| false).unwrap()
}

#[test]
fn merging_and_retention_delete_objects_too() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let objects = Arc::new(InMemory::new());
    let keep = Retention { keep: Duration::from_secs(86_400), size_max: None };
    let config = Config { traces: keep, ..with_objects(u64::MAX) };
    let mut manual = open_with(folder.path(), config, &time, disk(folder.path()), Some(objects));
    let mut uploader = manual.uploader.take().unwrap();
    let log = entries(1, 6, 20, at(0, 50));
    manual.append(&log);
    manual.flush(6);
    manual.pass(&time, at(1, 4000));
    uploader.look().unwrap();
    assert_eq!(names(&manual).len(), 3);
    // Late telemetry of the same day, merged with what was uploaded.
    manual.append(&entries(7, 6, 20, at(0, 60)));
    manual.flush(12);
    manual.keeper.look();
    assert_eq!((manual.files(), names(&manual).len()), (3, 3));
    uploader.look().unwrap();
    assert_eq!(names(&manual).len(), 3, "the old ones are gone, the new ones there");
    manual.pass(&time, at(2, 0));
    assert_eq!(manual.files(), 2);
    uploader.look().unwrap();
    assert_eq!(names(&manual).len(), 2);
    let status = manual.store.status();
    assert_eq!((status.uploads, status.objects_to_delete, status.files_evicted), (6, 0, 0));
    assert!(status.tables[1].local_bytes > 0 && status.tables[1].remote_bytes > 0);
}

#[test]
fn objects_of_a_crashed_upload_are_deleted_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(1, 7200));
    let objects = Arc::new(InMemory::new());
    let open_again = || {
        let objects = Some(objects.clone());
        open_with(folder.path(), with_objects(u64::MAX), &time, disk(folder.path()), objects)
    };
    let mut manual = open_again();
    manual.append(&entries(1, 6, 20, at(0, 50)));
    manual.flush(6);
    manual.uploader.as_mut().unwrap().look().unwrap();
    let mut kept = names(&manual);
    assert_eq!(kept.len(), 3);
    // Of a merge that has replaced it, of a later run, and nothing of ours.
    let file = manual.store.shared.shelf.folder.join("lock");
    let store = manual.store.shared.shelf.objects.clone().unwrap();
    let orphan = crate::catalog::name(Table::Spans, Day(TODAY), 0);
    let later = crate::catalog::name(Table::Spans, Day(TODAY), 1 << 40);
    for name in [orphan.as_str(), later.as_str(), "spans/notes.txt"] {
        store.upload(name, &file, &|| false).unwrap();
    }
    drop((store, manual));
    let mut manual = open_again();
    manual.uploader.as_mut().unwrap().look().unwrap();
    kept.extend([later, "spans/notes.txt".to_owned()]);
    let (mut found, mut kept) = (names(&manual), kept);
    found.sort();
    kept.sort();
    assert_eq!(found, kept);
}

#[test]
fn without_the_object_store_configured_evicted_files_are_told_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(1, 7200));
    let objects = Arc::new(InMemory::new());
    let open_again =
        |objects| open_with(folder.path(), with_objects(0), &time, disk(folder.path()), objects);
    let mut manual = open_again(Some(objects.clone()));
    let log = entries(1, 6, 20, at(0, 50));
    manual.append(&log);
    manual.flush(6);
    manual.uploader.as_mut().unwrap().look().unwrap();
    drop(manual);
    let manual = open_again(None);
    assert!(manual.opened.notes[0].contains("which is not configured"));
    let all = Timestamp::ZERO..Timestamp(u64::MAX);
    assert_eq!(manual.store.view(Table::Spans, all, None).unwrap().missing, 1);
    drop(manual);
    check_all(&open_again(Some(objects)).store, &log, "with it again");
}

#[test]
fn a_disk_that_is_low_evicts_what_the_object_store_has() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(1, 7200));
    let free = Arc::new(AtomicU64::new(1000 << 20));
    let told = free.clone();
    let watch = DiskWatch::with_measure(
        folder.path(),
        DiskConfig { reserve: 0, free_min: 100 << 20 },
        Box::new(move |_: &Path| Ok(told.load(Ordering::Relaxed))),
    );
    let objects = Some(Arc::new(InMemory::new()));
    let config = with_objects(u64::MAX);
    let mut manual = open_with(folder.path(), config, &time, Arc::new(watch.unwrap()), objects);
    let log = entries(1, 6, 20, at(0, 50));
    manual.append(&log);
    manual.flush(6);
    manual.uploader.as_mut().unwrap().look().unwrap();
    assert_eq!(manual.store.status().files_evicted, 0);
    free.store(50 << 20, Ordering::Relaxed);
    manual.keeper.look();
    assert_eq!(manual.store.status().files_evicted, 3);
    check_all(&manual.store, &log, "from the object store");
}

#[test]
fn a_real_s3_server_keeps_telemetry_through_outage_and_restart() {
    let Some(mut server) = server::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let time = Time::new(at(0, 100));
    let objects = Objects { store: server.config("telemetry/of/test"), local_size_max: 0 };
    // Of another store below the same prefix: it makes the bucket, and has to stay.
    let other = ObjectStore::open(&objects.store, 1).unwrap();
    let name = "spans/2026-11-22/0000000000000001.parquet";
    other.upload(name, server.some_file(), &|| false).unwrap();
    let config = Config { objects: Some(objects), ..config() };
    let open_again = || {
        let connect = |store| {
            let objects = config.objects.as_ref().unwrap();
            ObjectStore::open(&objects.store, store).map(Some)
        };
        let recovered = recover::open(&folder.path().join("telemetry"), connect).unwrap();
        let watch = disk(folder.path());
        let (store, opened, keeper, uploader) =
            Store::prepare(config.clone(), time.clock(), watch, recovered).unwrap();
        Manual { store, opened, keeper, uploader }
    };
    let mut manual = open_again();
    let mut uploader = manual.uploader.take().unwrap();
    let mut log = entries(1, 30, 100, at(0, 50));
    manual.append(&log);
    manual.flush(30);
    time.set(at(1, 7200));
    uploader.look().unwrap();
    assert_eq!(manual.store.status().tables[0].local_bytes, 0, "all is there and nothing here");
    check_all(&manual.store, &log, "from the server");

    server.stop();
    let more = entries(31, 30, 100, at(0, 60));
    manual.append(&more);
    manual.flush(60);
    log.extend(more);
    assert!(uploader.look().is_err(), "the server is out");
    assert_eq!(manual.store.pressure(), None, "which does not hurt ingest");
    drop(manual);
    let mut manual = open_again();
    assert_eq!(manual.opened.flushed, 60);
    assert_eq!(manual.files(), 6);

    server.resume();
    manual.uploader.as_mut().unwrap().look().unwrap();
    check_all(&manual.store, &log, "after outage and restart");
    assert_eq!(names(&manual).len(), 6);
    assert_eq!(other.list(|_| true, 10, &|| false).unwrap(), [name]);
}
