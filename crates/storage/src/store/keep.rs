//! The thread that keeps the files in order: merges them, deletes what has expired, and looks after
//! the disk. It works at low priority, on one thing at a time.
//!
//! Invariants: a merge's output replaces its inputs in one commit; nothing is deleted but after the
//! commit that drops it; a merge begins only with room for its output beside what ingest needs; a
//! clock that jumps deletes nothing by age for an hour.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::Timestamp;

use super::plan;
use super::shared::{Shared, chain, count, lock};
use super::shelf::{self, FileEntry};
use crate::catalog::{self, Edit, Entry};
use crate::file::{self, Day, OpenFile, Options};
use crate::reserve::{DiskState, DiskStatus};
use crate::{Error, durable};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two looks for what has expired, and at files that nobody uses.
const RETENTION_EVERY: u64 = 30;
/// Looks for which nothing is deleted by age after the clock has jumped.
const JUMP_LOOKS: u64 = 3600;
/// More than this between two looks is a jump.
const JUMP: Duration = Duration::from_secs(86_400);
/// Looks between two looks for merges where no file has come or gone.
const PLAN_EVERY: u64 = 60;
const RETRY_MERGE_LOOKS: u64 = 60;
/// Files that cannot be merged, remembered so that the others are.
const SKIPPED_MAX: usize = 10_000;
/// Looks after which they are tried again.
const FORGIVE_EVERY: u64 = 6 * 3600;
const NICE: i32 = 10;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    looks: u64,
    last_look: Timestamp,
    /// Nothing is deleted by age before this look.
    trusts_clock_at: u64,
    merges_at: u64,
    /// The number of commits at which merges were looked for.
    planned_at: Option<u64>,
    skip: BTreeSet<u64>,
    /// Outputs of merges whose commit failed: deleted after the next commit that succeeds.
    unsure: Vec<Arc<FileEntry>>,
}

impl Keeper {
    pub fn new(shared: Arc<Shared>) -> Keeper {
        let now = shared.now();
        let newest = shared.candidates().iter().map(|file| file.day).max();
        // A start long after the last telemetry: either the server was off, or the clock is wrong.
        let jumped = newest.is_some_and(|day| now.since(day.end()) > JUMP);
        Keeper {
            shared,
            looks: 0,
            last_look: now,
            trusts_clock_at: if jumped { JUMP_LOOKS } else { 0 },
            merges_at: 0,
            planned_at: None,
            skip: BTreeSet::new(),
            unsure: Vec::new(),
        }
    }

    pub fn run(mut self) {
        // Of this thread alone. Where it is not allowed, merging competes with ingest.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
        while !self.shared.is_stopping() {
            self.look();
            self.shared.pause(LOOK_EVERY);
        }
    }

    /// What is done every second.
    pub fn look(&mut self) {
        let now = self.shared.now();
        if now.since(self.last_look) > JUMP || self.last_look.since(now) > JUMP {
            self.trusts_clock_at = self.looks + JUMP_LOOKS;
        }
        self.last_look = now;
        let disk = self.shared.disk.poll();
        if self.looks.is_multiple_of(RETENTION_EVERY) {
            self.shared.shelf.trim();
            self.expire(now);
        }
        if disk != DiskState::Ok {
            self.free();
        }
        if self.looks.is_multiple_of(FORGIVE_EVERY) {
            self.skip.clear();
        }
        if disk == DiskState::Ok && self.looks >= self.merges_at {
            self.merge(now);
        }
        self.looks += 1;
    }

    fn expire(&mut self, now: Timestamp) {
        let files = self.shared.candidates();
        let config = &self.shared.config;
        let mut gone: BTreeSet<u64> =
            plan::over_budget(&files, |table| config.retention(table).size_max)
                .into_iter()
                .collect();
        let expired = plan::expired(&files, now, |table| config.retention(table).keep);
        let wait = self.trusts_clock_at.saturating_sub(self.looks);
        let rests = wait > 0 && !expired.is_empty();
        let told = format!(
            "the clock jumped by more than a day: {} files that have expired are kept for another \
             {} minutes",
            expired.len(),
            wait.div_ceil(60)
        );
        self.shared.set_trouble(|trouble| &mut trouble.retention, rests.then_some(told));
        if !rests {
            gone.extend(expired);
        }
        self.drop_files(&gone);
    }

    /// Makes room on a disk that is low: first by what the object store has, too, and only where
    /// it is configured so by deleting the oldest telemetry.
    fn free(&mut self) {
        let missing = |status: DiskStatus| status.needed_bytes.saturating_sub(status.free_bytes);
        let needed = missing(self.shared.disk.status());
        if let Err(error) = self.shared.evict(&self.shared.candidates(), needed) {
            tracing::warn!(error = %chain(&error), "local copies cannot be deleted");
        }
        if self.shared.disk.poll() == DiskState::Ok || !self.shared.config.delete_when_low {
            return;
        }
        let needed = missing(self.shared.disk.status());
        let oldest = plan::to_free(&self.shared.candidates(), needed);
        self.drop_files(&oldest.into_iter().collect());
        self.shared.disk.poll();
    }

    fn drop_files(&mut self, ids: &BTreeSet<u64>) {
        if ids.is_empty() {
            return;
        }
        let days: BTreeSet<_> =
            self.shared.files(ids).iter().map(|file| (file.table, file.day)).collect();
        let edit = Edit { remove: ids.iter().copied().collect(), ..Edit::default() };
        match self.commit(edit) {
            Ok(()) => {
                count(&self.shared.counters.files_expired, ids.len() as u64);
                for (table, day) in days {
                    let folder = self.shared.shelf.folder.join(table.as_str());
                    // Only if it is empty now.
                    let _ = std::fs::remove_dir(folder.join(day.to_string()));
                }
            }
            Err(error) => tracing::warn!(error = %chain(&error), "old telemetry is kept for now"),
        }
    }

    /// Merges while there is something to merge. Looks for it only when files have come or gone,
    /// and now and then since a day may have ended.
    fn merge(&mut self, now: Timestamp) {
        let commits = || self.shared.commits.load(Ordering::Relaxed);
        if Some(commits()) == self.planned_at && !self.looks.is_multiple_of(PLAN_EVERY) {
            return;
        }
        self.planned_at = Some(commits());
        while !self.shared.is_stopping() && self.merge_next(now) {
            (self.shared.config.after_work)();
        }
    }

    /// Whether there was something to merge.
    fn merge_next(&mut self, now: Timestamp) -> bool {
        let files = self.shared.candidates();
        let file_bytes = self.shared.config.file_bytes;
        let Some(group) = plan::merge(&files, now, file_bytes, &self.skip) else { return false };
        let ids: BTreeSet<u64> = group.iter().copied().collect();
        let bytes: u64 =
            files.iter().filter(|file| ids.contains(&file.id)).map(|file| file.bytes).sum();
        if self.shared.disk.spare_bytes() < bytes {
            let told = format!("merging waits for {bytes} bytes of disk space");
            self.shared.set_trouble(|trouble| &mut trouble.merge, Some(told));
            self.put_off_merging();
            return false;
        }
        match self.merge_group(&ids) {
            Ok(()) => {
                count(&self.shared.counters.merges, 1);
                self.shared.set_trouble(|trouble| &mut trouble.merge, None);
                true
            }
            Err(Error::Cancelled) => false,
            Err(error) => {
                self.merge_failed(&ids, &error);
                false
            }
        }
    }

    fn merge_group(&mut self, ids: &BTreeSet<u64>) -> Result<(), Error> {
        let inputs = self.shared.files(ids);
        let Some(first) = inputs.first() else { return Err(Error::Cancelled) };
        debug_assert_eq!(inputs.len(), ids.len(), "only this thread drops files");
        let (table, day) = (first.table, first.day);
        let level = inputs.iter().map(|file| file.level).max().unwrap_or(0).saturating_add(1);
        let mut opened: Vec<OpenFile> = Vec::new();
        for input in &inputs {
            opened.push((*input.open()?).clone());
        }
        let id = self.shared.next_id();
        let path = self.output(table.as_str(), day, &catalog::name(table, day, id))?;
        let options = Options::merged(self.shared.config.retention(table).keep);
        let shared = self.shared.clone();
        let cancelled = move || shared.is_stopping() || shared.disk.poll() != DiskState::Ok;
        let written = file::merge(&opened, &path, table, &options, &cancelled)?;
        drop(opened);
        // Rows stay in the day in which they were, whatever their times are.
        let entry = Entry { day, ..Entry::of(id, table, level, &written) };
        let points: u64 = inputs.iter().map(|file| file.points).sum();
        if written.points != points {
            shelf::remove(&path)?;
            let reason = format!("{} points became {}", points, written.points);
            return Err(Error::Damaged { file: path.display().to_string(), reason });
        }
        self.shared.step("merged");
        let edit = Edit {
            add: vec![entry.clone()],
            remove: ids.iter().copied().collect(),
            ..Edit::default()
        };
        let committed = self.commit(edit);
        if committed.is_err() {
            self.unsure.push(FileEntry::new(&entry, true, self.shared.shelf.clone()));
        }
        committed
    }

    fn output(&self, table: &str, day: Day, name: &str) -> Result<std::path::PathBuf, Error> {
        let folder = &self.shared.shelf.folder;
        durable::create_folder(&folder.join(table).join(day.to_string()))?;
        Ok(folder.join(name))
    }

    fn put_off_merging(&mut self) {
        self.merges_at = self.looks + RETRY_MERGE_LOOKS;
        self.planned_at = None;
    }

    /// Those that cannot be opened are set aside; if that is not it, all of the group are.
    fn merge_failed(&mut self, ids: &BTreeSet<u64>, error: &Error) {
        let told = chain(error);
        tracing::warn!(error = %told, "files cannot be merged");
        count(&self.shared.counters.merge_failures, 1);
        self.shared.set_trouble(|trouble| &mut trouble.merge, Some(told));
        self.put_off_merging();
        if is_full(error) || matches!(error, Error::Catalog { .. }) {
            return;
        }
        let inputs = self.shared.files(ids);
        let unreadable: Vec<u64> =
            inputs.iter().filter(|file| file.open().is_err()).map(|file| file.id).collect();
        if self.skip.len() > SKIPPED_MAX {
            self.skip.clear();
        }
        if unreadable.is_empty() {
            self.skip.extend(ids);
        } else {
            self.skip.extend(unreadable);
        }
    }

    fn commit(&mut self, edit: Edit) -> Result<(), Error> {
        self.shared.commit(edit, |_| {})?;
        // What an earlier, failed commit may have named is named by no catalog now.
        let state = lock(&self.shared.state);
        let unsure = std::mem::take(&mut self.unsure);
        let stray: Vec<_> =
            unsure.into_iter().filter(|file| !state.files.contains_key(&file.id)).collect();
        drop(state);
        stray.iter().for_each(|file| file.set_dropped());
        Ok(())
    }
}

/// The disk, and no file, is to blame.
fn is_full(error: &Error) -> bool {
    let full = |source: &std::io::Error| {
        matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    };
    matches!(error, Error::Io { source, .. } if full(source))
}
