//! A store under crashes, full disks and concurrent readers.
//!
//! Every span, log record and point bears a number of its own; whatever is done, a view has to show
//! the numbers that were appended, each once.

mod crash;

mod disk;

mod order;

mod remote;

mod stress;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::Timestamp;
use model::signal::{
    AnyValue, Batch, Group, InstrumentationScope, LogRecord, Metric, MetricData, Number,
    NumberPoint, PointHeader, Resource, Span,
};
use object_store::memory::InMemory;

use super::keep::Keeper;
use super::upload::Uploader;
use super::*;
use crate::file::{Day, Scan};
use crate::objects::Objects as ObjectStore;
use crate::reserve::DiskConfig;
use crate::rows;

/// Called at each named step of a commit, with what a crash would find on disk.
pub(super) type OnStep = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Days since 1970 of the first item.
const TODAY: u32 = 20_000;
const LONG: Duration = Duration::from_secs(60);

/// A time in the day `days` after the first.
fn at(days: u32, seconds: u64) -> Timestamp {
    Timestamp(Day(TODAY + days).start().0 + seconds * model::time::SECOND)
}

/// A clock that the test sets.
#[derive(Clone)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn new(now: Timestamp) -> Time {
        Time(Arc::new(AtomicU64::new(now.0)))
    }
    fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
    fn clock(&self) -> Clock {
        let time = self.clone();
        Arc::new(move || time.now())
    }
}

fn config() -> Config {
    Config { writers: 2, file_bytes: 1 << 20, ..Config::default() }
}

/// A disk with plenty of room.
fn disk(folder: &Path) -> Arc<DiskWatch> {
    let config = DiskConfig { reserve: 0, free_min: 0 };
    let measure = Box::new(|_: &Path| Ok(u64::MAX / 2));
    Arc::new(DiskWatch::with_measure(folder, config, measure).unwrap())
}

/// A store of which the test itself does what its threads for order in the files do.
struct Manual {
    store: Store,
    opened: Opened,
    keeper: Keeper,
    uploader: Option<Uploader>,
}

fn open(folder: &Path, config: Config, time: &Time) -> Manual {
    open_with(folder, config, time, disk(folder), None)
}

fn open_with(
    folder: &Path,
    config: Config,
    time: &Time,
    disk: Arc<DiskWatch>,
    objects: Option<Arc<InMemory>>,
) -> Manual {
    let connect = |store| match objects {
        Some(objects) => ObjectStore::with_store(objects, "test", store).map(Some),
        None => Ok(None),
    };
    let recovered = recover::open(&folder.join("telemetry"), connect).unwrap();
    let (store, opened, keeper, uploader) =
        Store::prepare(config, time.clock(), disk, recovered).unwrap();
    Manual { store, opened, keeper, uploader }
}

impl Manual {
    fn append(&self, log: &[Entry]) {
        for entry in log {
            self.store.append(entry.seq, entry.arrival, entry.batch.clone(), Box::new(())).unwrap();
        }
    }

    /// Seals and waits until all is in files.
    fn flush(&self, position: u64) {
        self.store.seal(position).unwrap();
        assert!(self.store.wait_flushed(position, LONG), "{:?}", self.store.status().trouble);
    }

    fn files(&self) -> usize {
        lock(&self.store.shared.state).files.len()
    }

    /// Lets time pass, half a day at a time, so that the clock does not seem to jump.
    fn pass(&mut self, time: &Time, until: Timestamp) {
        while time.now() < until {
            time.set(until.min(time.now() + Duration::from_secs(43_200)));
            self.keeper.look();
        }
        (0..31).for_each(|_| self.keeper.look());
    }

    fn on_step(&self, on_step: OnStep) {
        *lock(&self.store.shared.on_step) = Some(on_step);
    }
}

/// A record of the input log.
#[derive(Clone)]
struct Entry {
    seq: u64,
    arrival: Timestamp,
    batch: Arc<Batch>,
    table: Table,
    /// Of its items.
    ids: Range<u64>,
}

/// Entries numbered from `first`, of spans, log records and samples in turn, `items` each.
fn entries(first: u64, count: u64, items: u64, arrival: Timestamp) -> Vec<Entry> {
    (first..first + count).map(|seq| entry(seq, items, arrival)).collect()
}

fn entry(seq: u64, items: u64, arrival: Timestamp) -> Entry {
    let ids = seq * 1000..seq * 1000 + items;
    let table = Table::ALL[(seq % 3) as usize];
    let batch = Arc::new(batch(table, ids.clone(), arrival));
    Entry { seq, arrival, batch, table, ids }
}

fn batch(table: Table, ids: Range<u64>, arrival: Timestamp) -> Batch {
    match table {
        Table::Spans => Batch::Traces(group(ids.map(|id| span(id, arrival)))),
        Table::Logs => Batch::Logs(group(ids.map(|id| log_record(id, arrival)))),
        Table::Samples => Batch::Metrics(group(ids.map(|id| metric(id, arrival)))),
    }
}

fn group<T>(items: impl Iterator<Item = T>) -> Vec<Group<T>> {
    let mut resource = Resource::default();
    resource.attributes.push("service.name", AnyValue::String("shop".into()));
    let scope = InstrumentationScope::default();
    vec![Group { resource: Arc::new(resource), scope, items: items.collect() }]
}

fn span(id: u64, at: Timestamp) -> Span {
    let mut trace_id = [7; 16];
    trace_id[8..].copy_from_slice(&id.to_be_bytes());
    Span {
        trace_id,
        span_id: id.to_be_bytes(),
        name: "GET /".into(),
        start_unix_nanos: at.0,
        end_unix_nanos: at.0 + 1_000_000,
        ..Span::default()
    }
}

fn log_record(id: u64, at: Timestamp) -> LogRecord {
    LogRecord {
        time_unix_nanos: at.0,
        body: AnyValue::String(format!("line {id}").into()),
        span_id: id.to_be_bytes(),
        ..LogRecord::default()
    }
}

/// A point of one of three metrics.
fn metric(id: u64, at: Timestamp) -> Metric {
    let header = PointHeader { time_unix_nanos: at.0 + id, ..PointHeader::default() };
    let point = NumberPoint { header, value: Some(Number::Double(id as f64)) };
    let data = MetricData::Gauge(vec![point]);
    Metric { name: format!("metric_{}", id % 3).into(), data, ..Metric::default() }
}

/// How often each item of a table is seen, by its number.
fn seen(store: &Store, table: Table) -> BTreeMap<u64, usize> {
    seen_in(store.view(table, Timestamp::ZERO..Timestamp(u64::MAX), None).unwrap(), table)
}

fn seen_in(view: View, table: Table) -> BTreeMap<u64, usize> {
    let mut batches = view.hot;
    for file in view.files {
        let open = file.open().unwrap();
        batches.extend(open.scan(Scan::default()).map(|batch| batch.unwrap()));
    }
    let mut seen = BTreeMap::new();
    for id in batches.iter().flat_map(|batch| ids_of(batch, table)) {
        *seen.entry(id).or_insert(0) += 1;
    }
    seen
}

fn ids_of(batch: &RecordBatch, table: Table) -> Vec<u64> {
    match table {
        Table::Spans => {
            let spans = rows::spans(batch).unwrap();
            spans.iter().map(|stored| u64::from_be_bytes(stored.span.span_id)).collect()
        }
        Table::Logs => {
            let logs = rows::logs(batch).unwrap();
            logs.iter().map(|stored| u64::from_be_bytes(stored.record.span_id)).collect()
        }
        Table::Samples => {
            let series = rows::series(batch).unwrap();
            let points = series.iter().flat_map(|stored| match &stored.metric.data {
                MetricData::Gauge(points) => points.clone(),
                _ => Vec::new(),
            });
            points.map(|point| point.value.unwrap().as_f64() as u64).collect()
        }
    }
}

/// Each item of `log` once, and nothing else.
#[track_caller]
fn check_all(store: &Store, log: &[Entry], when: &str) {
    for table in Table::ALL {
        let wanted = expected(log, *table);
        let seen = seen(store, *table);
        assert_eq!(difference(&wanted, &seen), "", "{} {when}", table.as_str());
    }
}

fn expected(log: &[Entry], table: Table) -> BTreeMap<u64, usize> {
    let of_table = log.iter().filter(|entry| entry.table == table);
    of_table.flat_map(|entry| entry.ids.clone()).map(|id| (id, 1)).collect()
}

/// In words, a few at most.
fn difference(wanted: &BTreeMap<u64, usize>, seen: &BTreeMap<u64, usize>) -> String {
    let keys: std::collections::BTreeSet<_> = wanted.keys().chain(seen.keys()).collect();
    let count = |of: &BTreeMap<u64, usize>, id| of.get(id).copied().unwrap_or(0);
    let wrong = keys.into_iter().filter(|id| count(wanted, id) != count(seen, id));
    let told = wrong.map(|id| format!("{id}: {} times", count(seen, id)));
    told.take(5).collect::<Vec<_>>().join(", ")
}

/// A copy of a folder as it is at this moment.
fn copy_of(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(folder, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_into(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Paths of all files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in crate::catalog::list(folder).unwrap() {
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}
