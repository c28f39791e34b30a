//! Telemetry stored in memory and in files, for tests of queries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::{Attributes, Batch, Group, InstrumentationScope, Resource, Span};
use tempfile::TempDir;

use super::Limits;
use super::reading::{Sources, StoredFile};
use crate::Error;
use crate::columns::Hot;
use crate::file::{self, LocalFile, OpenFile, Options, Source};
use crate::schema::Table;

/// All test data lies within the day after this.
pub const DAY: Timestamp = Timestamp::from_secs(1_700_006_400);

pub struct TestFile {
    open: Arc<OpenFile>,
    times: (Timestamp, Timestamp),
}

impl TestFile {
    pub fn open(written: &file::Written, source: impl Source + 'static) -> TestFile {
        let open = Arc::new(OpenFile::open(Arc::new(source)).unwrap());
        TestFile { open, times: (written.time_min, written.time_max) }
    }
}

impl StoredFile for TestFile {
    fn times(&self) -> (Timestamp, Timestamp) {
        self.times
    }

    fn rows(&self) -> u64 {
        self.open.rows()
    }

    fn open(&self) -> Result<Arc<OpenFile>, Error> {
        Ok(Arc::clone(&self.open))
    }
}

/// What was read of files.
#[derive(Default)]
pub struct Counts {
    pub reads: AtomicU64,
    pub bytes: AtomicU64,
}

struct Counting {
    local: LocalFile,
    counts: Arc<Counts>,
}

impl Source for Counting {
    fn name(&self) -> &str {
        self.local.name()
    }

    fn len(&self) -> u64 {
        self.local.len()
    }

    fn read(&self, offset: u64, len: usize) -> std::io::Result<bytes::Bytes> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(len as u64, Ordering::Relaxed);
        self.local.read(offset, len)
    }
}

pub struct Stored {
    pub counts: Arc<Counts>,
    table: Table,
    hot: Vec<RecordBatch>,
    files: Vec<TestFile>,
    folder: TempDir,
}

impl Stored {
    pub fn new(table: Table) -> Stored {
        let folder = tempfile::tempdir().unwrap();
        Stored { counts: Arc::default(), table, hot: Vec::new(), files: Vec::new(), folder }
    }

    fn batches(&self, batch: &Batch) -> Vec<RecordBatch> {
        let mut hot = Hot::new();
        hot.append(batch, DAY + Duration::from_secs(86_000)).unwrap();
        hot.take().unwrap().table(self.table).to_vec()
    }

    pub fn add_hot(&mut self, batch: &Batch) {
        let batches = self.batches(batch);
        self.hot.extend(batches);
    }

    /// As files of small row groups and pages.
    pub fn add_file(&mut self, batch: &Batch) {
        let keep = Duration::from_secs(86_400 * 30);
        let options = Options { row_group_rows: Some(7), page_rows: 3, ..Options::fresh(keep) };
        self.add_file_with(batch, &options);
    }

    pub fn add_file_with(&mut self, batch: &Batch, options: &Options) {
        let number = self.files.len();
        let folder = self.folder.path().to_owned();
        let mut place = |day: file::Day| folder.join(format!("{number}-{day}.parquet"));
        let written = file::write(self.table, self.batches(batch), &mut place, options).unwrap();
        for file in written {
            let local = LocalFile::open(&file.path).unwrap();
            let source = Counting { local, counts: Arc::clone(&self.counts) };
            self.files.push(TestFile::open(&file, source));
        }
    }

    pub fn sources(&self) -> Sources<'_> {
        let files = self.files.iter().map(|file| file as &dyn StoredFile).collect();
        Sources::new(&self.hot, files)
    }
}

/// A second of the test's day.
pub fn second(seconds: u64) -> Timestamp {
    DAY + Duration::from_secs(seconds)
}

/// Limits that are never reached.
pub fn limits() -> Limits {
    Limits::new(Arc::new(|| DAY), Duration::from_secs(60), 1 << 30, 1 << 30)
}

pub fn resource(service: &str, host: &str) -> Arc<Resource> {
    let attributes =
        Attributes::default().with_str("service.name", service).with_str("host.name", host);
    Arc::new(Resource { attributes })
}

pub fn spans(resource: &Arc<Resource>, spans: Vec<Span>) -> Group<Span> {
    let scope = InstrumentationScope { name: "test".into(), ..InstrumentationScope::default() };
    Group { resource: Arc::clone(resource), scope, items: spans }
}
