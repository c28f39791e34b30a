//! Telemetry in an S3-compatible object store: uploads, ranged reads, deletion.
//!
//! Callers are plain threads and block; the requests run on a small runtime of their own, so that a
//! caller never blocks an async thread of the server, wherever it is called from. Keys are
//! `PREFIX/STORE/TABLE/DAY/ID.parquet`, STORE being what the catalog drew when it was made: two
//! servers may share a bucket and prefix, and neither ever deletes what is the other's.
//!
//! Invariants: an object is visible only when all of it was taken and checked for its size; every
//! request ends, by [`REQUEST_TIMEOUT`] and a bounded number of retries; outage is an error for the
//! caller and never a panic. Not here: what is uploaded and when (`store::upload`).

mod config;

mod remote;

#[cfg(test)]
pub(crate) mod tests;

use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::path::Path as LocalPath;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};

use crate::Error;

pub use config::{Config, Problem};
pub use remote::RemoteFile;

use remote::Blocks;

/// Of one attempt. An upload's request carries a part at most.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// No further attempt is made after this.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES_MAX: usize = 3;
/// Larger files are sent in parts of this size (S3 allows 10,000 of them, of 5 MiB at least).
const PART_BYTES: usize = 8 << 20;
/// How often a waiting caller looks whether it is to give up.
const CANCEL_EVERY: Duration = Duration::from_millis(100);
const THREADS: usize = 2;

/// An object store, and this store's part of it.
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    root: Path,
    /// Taken on drop only.
    runtime: Option<Runtime>,
    blocks: Mutex<Blocks>,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Objects {
    /// Does not speak to the object store yet: it may be out, and the server starts all the same.
    pub fn open(config: &Config, store: u64) -> Result<Objects, Error> {
        let (client, prefix) = config.build()?;
        Objects::with_store(Arc::new(client), &prefix, store)
    }

    pub(crate) fn with_store(
        client: Arc<dyn ObjectStore>,
        prefix: &str,
        store: u64,
    ) -> Result<Objects, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(Error::io("start threads for", LocalPath::new("the object store")))?;
        let root = Path::from(format!("{prefix}/{store:016x}"));
        let blocks = Mutex::new(Blocks::default());
        Ok(Objects { store: client, root, runtime: Some(runtime), blocks })
    }

    /// Where an object lies in its bucket. `name` is as `catalog::name` makes it.
    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.root))
    }

    /// Sends a local file; returns when the object store has all of it. `cancelled` is asked often.
    pub fn upload(
        &self,
        name: &str,
        file: &LocalPath,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<u64, Error> {
        let mut local = File::open(file).map_err(Error::io("open", file))?;
        let bytes = local.metadata().map_err(Error::io("look at", file))?.len();
        if bytes <= PART_BYTES as u64 {
            let mut content = Vec::with_capacity(bytes as usize);
            local.read_to_end(&mut content).map_err(Error::io("read", file))?;
            let (store, path) = (self.store.clone(), self.path(name));
            let put = async move { store.put(&path, content.into()).await.map(drop) };
            self.run("upload", name, cancelled, put)?;
        } else {
            self.upload_parts(name, file, local, cancelled)?;
        }
        let (store, path) = (self.store.clone(), self.path(name));
        let found = self.run("check", name, cancelled, async move { store.head(&path).await })?;
        if found.size != bytes {
            let told = format!("it has {} bytes where {bytes} were sent", found.size);
            let source = object_store::Error::Generic { store: "S3", source: told.into() };
            return Err(Error::Objects { operation: "upload", key: name.to_owned(), source });
        }
        Ok(bytes)
    }

    fn upload_parts(
        &self,
        name: &str,
        file: &LocalPath,
        mut local: File,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let (store, path) = (self.store.clone(), self.path(name));
        let begin = async move { store.put_multipart(&path).await };
        let mut upload = self.run("upload", name, cancelled, begin)?;
        let result = loop {
            let mut part = Vec::with_capacity(PART_BYTES);
            let read = (&mut local).take(PART_BYTES as u64).read_to_end(&mut part);
            match read.map_err(Error::io("read", file)) {
                Err(error) => break Err(error),
                Ok(0) => break Ok(()),
                Ok(_) => {}
            }
            let sent = upload.put_part(part.into());
            if let Err(error) = self.run("upload", name, cancelled, sent) {
                break Err(error);
            }
        };
        match result {
            Ok(()) => {
                let end = async move { upload.complete().await.map(drop) };
                self.run("upload", name, cancelled, end)
            }
            Err(error) => {
                // Parts that stay behind are invisible, but may cost. Trouble here adds nothing.
                let _ = self.run("give up", name, &|| false, async move { upload.abort().await });
                Err(error)
            }
        }
    }

    /// Reads exactly `len` bytes from `offset`.
    fn read(&self, name: &str, offset: u64, len: usize) -> Result<Bytes, Error> {
        let (store, path) = (self.store.clone(), self.path(name));
        let get = async move { store.get_range(&path, offset..offset + len as u64).await };
        self.run("read", name, &|| false, get)
    }

    /// Deletes an object. One that is not there is deleted.
    pub fn delete(&self, name: &str, cancelled: &dyn Fn() -> bool) -> Result<(), Error> {
        let (store, path) = (self.store.clone(), self.path(name));
        let delete = async move {
            match store.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                other => other,
            }
        };
        self.run("delete", name, cancelled, delete)
    }

    /// Names below this store's root that `wanted` picks, at most `count_max` of them.
    pub fn list(
        &self,
        wanted: impl Fn(&str) -> bool + Send + 'static,
        count_max: usize,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<String>, Error> {
        let (store, root) = (self.store.clone(), self.root.clone());
        let list = async move {
            let mut names = Vec::new();
            let mut objects = store.list(Some(&root));
            while names.len() < count_max
                && let Some(found) = objects.next().await
            {
                let location = found?.location;
                let Some(parts) = location.prefix_match(&root) else { continue };
                let name = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
                if wanted(&name) {
                    names.push(name);
                }
            }
            Ok(names)
        };
        self.run("list", "objects", cancelled, list)
    }

    /// Gives back what reads keep in memory.
    pub fn forget_blocks(&self) {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Runs a request to its end on the runtime, while the caller waits.
    fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        cancelled: &dyn Fn() -> bool,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, Error> {
        let runtime = self.runtime.as_ref().expect("the runtime is taken on drop only");
        let (done, wait) = sync_channel(1);
        let task = runtime.spawn(async move {
            // Nobody waits any more when it was cancelled.
            let _ = done.send(request.await);
        });
        loop {
            match wait.recv_timeout(CANCEL_EVERY) {
                Ok(result) => {
                    let failed = |source| Error::Objects { operation, key: key.to_owned(), source };
                    return result.map_err(failed);
                }
                Err(RecvTimeoutError::Timeout) if !cancelled() => {}
                Err(_) => {
                    task.abort();
                    return Err(Error::Cancelled);
                }
            }
        }
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting here could block an async thread, which tokio answers with a panic.
            runtime.shutdown_background();
        }
    }
}
