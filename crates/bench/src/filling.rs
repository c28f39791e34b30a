//! Fills a data folder with the product's own store, without a server: telemetry of long ago, on
//! all cores.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use model::Timestamp;
use model::signal::Signal;
use receivers::Encoding;
use storage::reserve::{DiskConfig, DiskWatch};
use storage::schema::Table;
use storage::segment::{self, Salt};
use storage::store::{Config, Status, Store};
use tokio::time::Instant;

const FLUSHED_WITHIN: Duration = Duration::from_secs(600);
const SETTLED_WITHIN: Duration = Duration::from_secs(1_800);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A store that is being filled: a position of the log for each seal.
pub struct Filling {
    store: Store,
    data: PathBuf,
    position: u64,
}

/// One export request of the past.
pub struct Arrived {
    pub signal: Signal,
    /// Protobuf.
    pub body: Vec<u8>,
    pub at: Timestamp,
}

impl Filling {
    pub fn open(data: &Path, config: Config) -> Result<Filling> {
        let telemetry = data.join("telemetry");
        std::fs::create_dir_all(&telemetry)?;
        let disk = Arc::new(DiskWatch::open(data, DiskConfig::default())?);
        let (store, _) = Store::open(&telemetry, config, Arc::new(server::clock::now), disk)?;
        Ok(Filling { store, data: data.to_owned(), position: 1 })
    }

    /// Stores the requests 0 to `count`, made on all cores. Returns how many items they held.
    pub fn add(
        &mut self,
        count: usize,
        make: impl Fn(usize) -> Result<Arrived> + Sync,
    ) -> Result<u64> {
        let (mut items, next) = (0, AtomicUsize::new(0));
        while next.load(Ordering::Relaxed) < count {
            items += self.add_until_full(&next, count, &make)?;
            if self.store.wants_seal(server::clock::now()) {
                self.store.seal(self.position)?;
                self.position += 1;
            }
        }
        Ok(items)
    }

    /// Stores requests until it is time for a seal: all of one position have to be there by then.
    fn add_until_full(
        &self,
        next: &AtomicUsize,
        count: usize,
        make: &(impl Fn(usize) -> Result<Arrived> + Sync),
    ) -> Result<u64> {
        let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let work = || -> Result<u64> {
            let mut items = 0;
            while !self.store.wants_seal(server::clock::now()) {
                if !self.store.wait_room(LOOK_EVERY) {
                    continue;
                }
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    break;
                }
                let Arrived { signal, body, at } = make(number)?;
                let batch = receivers::decode(signal, Encoding::Protobuf, &body)?.batch;
                items += batch.len() as u64;
                self.store.append(self.position, at, Arc::new(batch), Box::new(()))?;
            }
            Ok(items)
        };
        std::thread::scope(|scope| {
            let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let join = |one: std::thread::ScopedJoinHandle<'_, Result<u64>>| match one.join() {
                Ok(items) => items,
                Err(_) => Err(anyhow::anyhow!("a worker panicked")),
            };
            working.into_iter().map(join).sum()
        })
    }

    /// Bytes and items of a table, as far as they are in files.
    pub fn in_files(&self, table: Table) -> (u64, u64) {
        let status = self.store.status();
        let found = status.tables.iter().find(|found| found.table == table.as_str());
        found.map_or((0, 0), |found| (found.bytes, found.points))
    }

    /// Everything into files, merged until nothing was for `quiet`; and a log that goes on after
    /// it.
    pub fn finish(self, quiet: Duration) -> Result<Status> {
        let deadline = Instant::now() + FLUSHED_WITHIN;
        loop {
            self.store.seal(self.position)?;
            if self.store.wait_flushed(self.position, LOOK_EVERY) {
                break;
            }
            if Instant::now() > deadline {
                bail!("the store does not write: {:?}", self.store.status().trouble);
            }
        }
        eprintln!("in files; waiting until they are merged");
        let begin = Instant::now();
        let (mut merges, mut since) = (self.store.status().merges, Instant::now());
        while since.elapsed() < quiet && begin.elapsed() < SETTLED_WITHIN {
            // Waits, and wakes up early when something happens.
            self.store.wait_flushed(u64::MAX, LOOK_EVERY);
            let now = self.store.status().merges;
            if now != merges {
                (merges, since) = (now, Instant::now());
            }
        }
        let status = self.store.status();
        self.store.stop();
        let log = self.data.join("log");
        std::fs::create_dir_all(&log)?;
        let first = self.position + 1;
        std::fs::write(segment::path(&log, first), segment::header(first, &Salt::new([7; 16])))?;
        Ok(status)
    }
}
