//! The files of telemetry as queries hold them: opened when asked for, and deleted when nobody
//! needs them any more.
//!
//! Invariant: the bytes of a [`FileEntry`] can be read for as long as somebody holds it. One that
//! the catalog dropped takes its file along when the last holder lets go of it; the object store's
//! copy is then noted for deletion, which the upload thread does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::Timestamp;

use super::plan::Candidate;
use crate::Error;
use crate::catalog::{self, Entry};
use crate::file::{Day, LocalFile, OpenFile, Source};
use crate::objects::{Objects, RemoteFile};
use crate::schema::Table;

/// Row groups of opened files that are kept: a footer takes about 40 KiB for each.
const OPEN_ROW_GROUPS_MAX: usize = 2048;

/// A file of telemetry.
pub struct FileEntry {
    pub id: u64,
    pub table: Table,
    pub day: Day,
    /// How often its rows were merged.
    pub level: u8,
    pub rows: u64,
    /// Spans, log records or points.
    pub points: u64,
    pub bytes: u64,
    /// First and last time of its rows, both inclusive.
    pub time_min: Timestamp,
    pub time_max: Timestamp,
    local: AtomicBool,
    remote: AtomicBool,
    dropped: AtomicBool,
    shelf: Arc<Shelf>,
}

impl std::fmt::Debug for FileEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl FileEntry {
    pub(super) fn new(entry: &Entry, local: bool, shelf: Arc<Shelf>) -> Arc<FileEntry> {
        Arc::new(FileEntry {
            id: entry.id,
            table: entry.table,
            day: entry.day,
            level: entry.level,
            rows: entry.rows,
            points: entry.points,
            bytes: entry.bytes,
            time_min: entry.time_min,
            time_max: entry.time_max,
            local: AtomicBool::new(local),
            remote: AtomicBool::new(entry.remote),
            dropped: AtomicBool::new(false),
            shelf,
        })
    }

    /// Opens it, or hands out the one that is open. Reads its footer, from the object store where
    /// this host has it no more: not for async threads.
    pub fn open(&self) -> Result<Arc<OpenFile>, Error> {
        if let Some(open) = self.shelf.opened(self.id) {
            return Ok(open);
        }
        let open = Arc::new(OpenFile::open(self.source()?)?);
        self.shelf.keep(self.id, &open);
        Ok(open)
    }

    /// Below the telemetry folder, and in the object store.
    pub fn name(&self) -> String {
        catalog::name(self.table, self.day, self.id)
    }

    pub fn is_local(&self) -> bool {
        self.local.load(Ordering::Acquire)
    }

    pub fn is_remote(&self) -> bool {
        self.remote.load(Ordering::Acquire)
    }

    /// Neither this host nor a known object store has it.
    pub(super) fn is_missing(&self) -> bool {
        let in_objects = self.is_remote() && self.shelf.objects.is_some();
        !self.is_local() && !in_objects
    }

    pub(super) fn overlaps(&self, first: Timestamp, end: Timestamp) -> bool {
        self.time_min < end && self.time_max >= first
    }

    pub(super) fn path(&self) -> PathBuf {
        self.shelf.folder.join(self.name())
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            id: self.id,
            table: self.table,
            day: self.day,
            bytes: self.bytes,
            time_min: self.time_min,
            time_max: self.time_max,
            local: self.is_local(),
            remote: self.is_remote(),
        }
    }

    pub(super) fn set_remote(&self) {
        self.remote.store(true, Ordering::Release);
    }

    /// The catalog has dropped it: the last holder deletes it.
    pub(super) fn set_dropped(&self) {
        self.dropped.store(true, Ordering::Release);
    }

    /// Deletes this host's copy. The caller knows that the catalog says `remote`.
    pub(super) fn evict(&self) -> Result<(), Error> {
        debug_assert!(self.is_remote());
        self.local.store(false, Ordering::Release);
        self.shelf.forget(self.id);
        remove(&self.path())
    }

    fn source(&self) -> Result<Arc<dyn Source>, Error> {
        let remote = self.shelf.objects.clone().filter(|_| self.is_remote());
        let in_objects = |objects| {
            Arc::new(RemoteFile::new(objects, self.id, self.name(), self.bytes)) as Arc<dyn Source>
        };
        if !self.is_local()
            && let Some(objects) = &remote
        {
            return Ok(in_objects(objects.clone()));
        }
        match (LocalFile::open(&self.path()), remote) {
            (Ok(file), _) => Ok(Arc::new(file)),
            // Evicted a moment ago.
            (Err(_), Some(objects)) => Ok(in_objects(objects)),
            (Err(error), None) => Err(error),
        }
    }
}

impl Drop for FileEntry {
    fn drop(&mut self) {
        if !self.dropped.load(Ordering::Acquire) {
            return;
        }
        self.shelf.forget(self.id);
        if let Err(error) = remove(&self.path()) {
            // The next start deletes it: no catalog names it.
            tracing::warn!(%error, "an old file of telemetry stays behind");
        }
        // Without an object store the next start that has one deletes it.
        if self.is_remote() && self.shelf.objects.is_some() {
            self.shelf.doom(self.name());
        }
    }
}

/// Deletes a file; one that is not there is deleted.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("delete", path)(error))
        }
        _ => Ok(()),
    }
}

/// What the files of a store share.
pub(super) struct Shelf {
    pub folder: PathBuf,
    pub objects: Option<Arc<Objects>>,
    open: Mutex<OpenFiles>,
    /// Names of objects to delete. At most as many as files were ever uploaded.
    doomed: Mutex<Vec<String>>,
}

#[derive(Default)]
struct OpenFiles {
    /// With the use at which each was used last.
    by_id: BTreeMap<u64, (Arc<OpenFile>, u64)>,
    row_groups: usize,
    uses: u64,
    /// `uses` at the last [`Shelf::trim`].
    trimmed_at: u64,
}

impl OpenFiles {
    fn remove(&mut self, id: u64) {
        if let Some((file, _)) = self.by_id.remove(&id) {
            self.row_groups -= weight(&file);
        }
    }
}

/// Of no row group, it is still a file.
fn weight(file: &OpenFile) -> usize {
    file.row_groups().max(1)
}

impl Shelf {
    pub fn new(folder: PathBuf, objects: Option<Arc<Objects>>) -> Shelf {
        Shelf { folder, objects, open: Mutex::default(), doomed: Mutex::default() }
    }

    fn opened(&self, id: u64) -> Option<Arc<OpenFile>> {
        let mut open = self.lock();
        open.uses += 1;
        let uses = open.uses;
        let (file, used) = open.by_id.get_mut(&id)?;
        *used = uses;
        Some(file.clone())
    }

    fn keep(&self, id: u64, file: &Arc<OpenFile>) {
        let mut open = self.lock();
        open.uses += 1;
        let uses = open.uses;
        open.remove(id);
        open.row_groups += weight(file);
        open.by_id.insert(id, (file.clone(), uses));
        while open.row_groups > OPEN_ROW_GROUPS_MAX && open.by_id.len() > 1 {
            let oldest = open.by_id.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            oldest.into_iter().for_each(|id| open.remove(id));
        }
    }

    fn forget(&self, id: u64) {
        self.lock().remove(id);
    }

    /// Closes what was not used since the last call.
    pub fn trim(&self) {
        let mut open = self.lock();
        let trimmed_at = open.trimmed_at;
        let unused = open.by_id.iter().filter(|(_, (_, used))| *used <= trimmed_at);
        let unused: Vec<u64> = unused.map(|(id, _)| *id).collect();
        unused.into_iter().for_each(|id| open.remove(id));
        let nothing_asked = open.uses == trimmed_at;
        open.trimmed_at = open.uses;
        drop(open);
        if nothing_asked && let Some(objects) = &self.objects {
            objects.forget_blocks();
        }
    }

    fn doom(&self, name: String) {
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    /// Names of objects to delete; whoever takes them and fails hands them back.
    pub fn take_doomed(&self) -> Vec<String> {
        std::mem::take(&mut *self.doomed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn hand_back(&self, names: impl IntoIterator<Item = String>) {
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
    }

    pub fn doomed_count(&self) -> usize {
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
