//! A crash at every step of flush, merge, retention, upload and eviction.
//!
//! At each step the folder is copied as a killed process would leave it. Each copy is opened, the
//! log is read again from where the catalog says, and every item has to be there once. Copies are
//! also changed as a power cut may have them: one copy of the catalog not renamed yet, and deleted
//! files back again.

use super::*;

/// What a crash leaves.
struct Image {
    step: String,
    folder: tempfile::TempDir,
    objects: Arc<InMemory>,
    /// Entries of the log at that time.
    logged: usize,
    /// Whether the first day was expiring.
    expiring: bool,
}

/// A store that lives through a day and more, with an image of each step.
struct Life {
    folder: tempfile::TempDir,
    time: Time,
    objects: Arc<InMemory>,
    manual: Manual,
    log: Vec<Entry>,
    images: Arc<Mutex<Vec<Image>>>,
    /// Length of the log, and whether the first day expires.
    now: Arc<Mutex<(usize, bool)>>,
}

fn keep_two_days() -> Config {
    let keep = Retention { keep: Duration::from_secs(2 * 86_400), size_max: None };
    let objects = Objects { store: Default::default(), local_size_max: 0 };
    Config { traces: keep, logs: keep, metrics: keep, objects: Some(objects), ..config() }
}

impl Life {
    fn begin() -> Life {
        let folder = tempfile::tempdir().unwrap();
        let time = Time::new(at(0, 100));
        let objects = Arc::new(InMemory::new());
        let watch = disk(folder.path());
        let manual = open_with(folder.path(), keep_two_days(), &time, watch, Some(objects.clone()));
        let life = Life {
            time,
            objects,
            manual,
            log: Vec::new(),
            images: Arc::default(),
            now: Arc::default(),
            folder,
        };
        life.watch();
        life
    }

    fn watch(&self) {
        let path = self.folder.path().to_owned();
        let (objects, images) = (self.objects.clone(), self.images.clone());
        let now = self.now.clone();
        self.manual.on_step(Arc::new(move |step| {
            let mut images = lock(&images);
            let (logged, expiring) = *lock(&now);
            let step = format!("image {} at `{step}`", images.len());
            let folder = copy_of(&path);
            let objects = Arc::new(objects.fork());
            images.push(Image { step, folder, objects, logged, expiring });
        }));
    }

    fn flush(&mut self, count: u64, arrival: Timestamp) {
        let first = self.log.len() as u64 + 1;
        let more = entries(first, count, 6, arrival);
        self.manual.append(&more);
        self.log.extend(more);
        lock(&self.now).0 = self.log.len();
        self.manual.flush(self.log.len() as u64);
    }
}

/// Opens an image and compares it with what has to be there.
fn check_image(image: &Image, log: &[Entry]) {
    let time = Time::new(at(1, 1000));
    let watch = disk(image.folder.path());
    let objects = Some(image.objects.clone());
    let mut manual = open_with(image.folder.path(), keep_two_days(), &time, watch, objects);
    let log = &log[..image.logged];
    assert!(manual.opened.flushed as usize <= log.len(), "{}", image.step);
    manual.append(log);
    let left = |log: &[Entry]| {
        let stays = |entry: &&Entry| !image.expiring || Day::of(entry.arrival) != Day(TODAY);
        log.iter().filter(stays).cloned().collect::<Vec<_>>()
    };
    for table in Table::ALL {
        let (wanted, seen) = (expected(log, *table), seen(&manual.store, *table));
        let complete = difference(&wanted, &seen);
        let expired = difference(&expected(&left(log), *table), &seen);
        let is_as_it_was = complete.is_empty() || expired.is_empty();
        assert!(is_as_it_was, "{}: {complete}; {expired}", image.step);
    }
    // It goes on from there, and nothing of the crash stays behind.
    manual.flush(log.len() as u64);
    manual.keeper.look();
    manual.uploader.as_mut().unwrap().look().unwrap();
    for table in Table::ALL {
        let seen = seen(&manual.store, *table);
        assert!(seen.values().all(|times| *times == 1), "{}", image.step);
        assert!(seen.len() >= expected(&left(log), *table).len(), "{}", image.step);
    }
    let strays = strays(&image.folder.path().join("telemetry"), &manual.store);
    assert_eq!(strays, Vec::<String>::new(), "{}", image.step);
    let remote = manual.store.shared.shelf.objects.clone().unwrap();
    let names = remote.list(|_| true, 10_000, &|| false).unwrap();
    let known: Vec<String> =
        lock(&manual.store.shared.state).files.values().map(|file| file.name()).collect();
    assert!(names.iter().all(|name| known.contains(name)), "{}: orphans", image.step);
}

/// Files that the store does not know.
fn strays(folder: &Path, store: &Store) -> Vec<String> {
    let state = lock(&store.shared.state);
    let known: Vec<_> = state.files.values().map(|file| file.path()).collect();
    let is_stray = |path: &String| {
        path.contains(".parquet") && !known.iter().any(|known| known == Path::new(path))
    };
    walk(folder).into_iter().filter(is_stray).collect()
}

fn check_all_images(life: Life, steps: &[&str]) {
    let Life { images, log, .. } = life;
    let images = std::mem::take(&mut *lock(&images));
    for step in steps {
        assert!(images.iter().any(|image| image.step.contains(step)), "never at `{step}`");
    }
    for image in &images {
        check_image(image, &log);
    }
    for pair in images.windows(2) {
        for (variant, folder) in power_cuts(&pair[0], &pair[1]) {
            let step = format!("{}, {variant}", pair[1].step);
            let objects = Arc::new(pair[1].objects.fork());
            let (logged, expiring) = (pair[1].logged, pair[1].expiring);
            check_image(&Image { step, folder, objects, logged, expiring }, &log);
        }
    }
}

/// What a power cut may make of the time between two images.
fn power_cuts(before: &Image, after: &Image) -> Vec<(String, tempfile::TempDir)> {
    let mut variants = Vec::new();
    for name in crate::catalog::NAMES {
        let old = before.folder.path().join("telemetry").join(name);
        let new = after.folder.path().join("telemetry").join(name);
        if std::fs::read(&old).unwrap() == std::fs::read(&new).unwrap() {
            continue;
        }
        // Nothing is deleted between a commit's two renames, so that what was before is there.
        let folder = copy_of(after.folder.path());
        std::fs::copy(&old, folder.path().join("telemetry").join(name)).unwrap();
        variants.push((format!("`{name}` not renamed"), folder));
    }
    // A deletion that did not reach the disk, though what came after it did.
    let folder = copy_of(before.folder.path());
    copy_into(after.folder.path(), folder.path());
    variants.push(("deleted files are back".to_owned(), folder));
    variants
}

#[test]
fn a_crash_at_any_step_of_a_flush_loses_and_doubles_nothing() {
    let mut life = Life::begin();
    life.flush(7, at(0, 200));
    // Of two days, so that a table has two files.
    life.flush(4, at(0, 300));
    life.flush(6, at(1, 300));
    check_all_images(life, &["table written", "before commit", "committed"]);
}

#[test]
fn a_crash_at_any_step_of_a_merge_loses_and_doubles_nothing() {
    let mut life = Life::begin();
    for round in 0..8 {
        life.flush(3, at(0, 200 + round));
    }
    lock(&life.images).clear();
    life.manual.keeper.look();
    assert_eq!(life.manual.files(), 3);
    let steps = ["merged", "before commit", "committed", "before deletion", "deleted"];
    check_all_images(life, &steps);
}

#[test]
fn a_crash_at_any_step_of_retention_brings_nothing_back_twice() {
    let mut life = Life::begin();
    life.flush(6, at(0, 200));
    life.manual.pass(&life.time, at(1, 200));
    life.flush(6, at(1, 200));
    life.manual.pass(&life.time, at(2, 100));
    life.flush(3, at(2, 100));
    lock(&life.images).clear();
    lock(&life.now).1 = true;
    life.manual.pass(&life.time, at(3, 10));
    assert_eq!(life.manual.store.status().files_expired, 3);
    check_all_images(life, &["before commit", "committed", "before deletion", "deleted"]);
}

#[test]
fn a_crash_at_any_step_of_an_upload_loses_and_doubles_nothing() {
    let mut life = Life::begin();
    life.flush(6, at(0, 200));
    life.time.set(at(1, 7200));
    lock(&life.images).clear();
    let mut uploader = life.manual.uploader.take().unwrap();
    uploader.look().unwrap();
    assert_eq!(life.manual.store.status().uploads, 3);
    assert_eq!(life.manual.store.status().tables[0].local_bytes, 0, "it was evicted");
    check_all(&life.manual.store, &life.log, "from the object store");
    check_all_images(life, &["uploaded", "before commit", "committed", "evicted"]);
}
