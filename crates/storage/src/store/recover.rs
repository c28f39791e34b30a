//! Opening a store: the catalog is the truth, and the folder is made to agree with it.
//!
//! Files that no catalog names are left over from a crash (or from before a commit that failed) and
//! are deleted: what was in them is still in the log, or in the files that replaced them. Files
//! that the catalog names and that are not there, or not whole, are kept in it and told: nothing is
//! forgotten in silence. Names and sizes are looked at, never content.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::shelf::{self, FileEntry, Shelf};
use crate::catalog::{self, Catalog};
use crate::objects::Objects;
use crate::schema::Table;
use crate::{Error, durable};

use super::Opened;

/// Notes of one kind that are told one by one.
const NOTES_MAX: usize = 20;

pub(super) struct Recovered {
    pub lock: File,
    pub catalog: Catalog,
    pub shelf: Arc<Shelf>,
    pub files: BTreeMap<u64, Arc<FileEntry>>,
    pub opened: Opened,
}

/// `connect` gets the store's own number.
pub(super) fn open(
    folder: &Path,
    connect: impl FnOnce(u64) -> Result<Option<Objects>, Error>,
) -> Result<Recovered, Error> {
    durable::create_folder(folder)?;
    let lock = durable::lock_folder(folder)?
        .ok_or_else(|| Error::StoreLocked { path: folder.to_owned() })?;
    for table in Table::ALL {
        durable::create_folder(&folder.join(table.as_str()))?;
    }
    sync_folders(folder)?;
    let (catalog, mut notes) = Catalog::open(folder)?;
    let found = sweep(folder, &catalog, &mut notes)?;
    let objects = connect(catalog.content().store)?.map(Arc::new);
    let shelf = Arc::new(Shelf::new(folder.to_owned(), objects));
    let mut files = BTreeMap::new();
    let mut missing = Vec::new();
    for entry in catalog.content().files.values() {
        let local = found.get(&entry.id) == Some(&entry.bytes);
        let file = FileEntry::new(entry, local, shelf.clone());
        if entry.remote && !local {
            // A copy that is not whole is worth nothing.
            shelf::remove(&file.path())?;
        }
        if file.is_missing() {
            missing.push(why_missing(&file, found.get(&entry.id).copied()));
        }
        files.insert(entry.id, file);
    }
    tell(&mut notes, missing, "files of telemetry cannot be read; answers go without them");
    let opened = Opened { flushed: catalog.content().flushed, files: files.len(), notes };
    Ok(Recovered { lock, catalog, shelf, files, opened })
}

/// A folder that an earlier run has made and died over may be visible and not durable yet.
fn sync_folders(folder: &Path) -> Result<(), Error> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        durable::sync_folder(parent)?;
    }
    durable::sync_folder(folder)?;
    Table::ALL.iter().try_for_each(|table| durable::sync_folder(&folder.join(table.as_str())))
}

/// Deletes what no catalog names; ids and sizes of what is there and named.
fn sweep(
    folder: &Path,
    catalog: &Catalog,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<u64, u64>, Error> {
    for name in catalog::NAMES {
        shelf::remove(&part(&folder.join(name)))?;
    }
    let mut found = BTreeMap::new();
    let mut orphans = Vec::new();
    for table in Table::ALL {
        for day in catalog::list(&folder.join(table.as_str()))? {
            let mut is_empty = true;
            for path in catalog::list(&day)? {
                match judge(folder, &path, catalog) {
                    Verdict::Named(id) => {
                        let found_file = std::fs::metadata(&path);
                        let bytes = found_file.map_err(Error::io("look at", &path))?.len();
                        found.insert(id, bytes);
                        is_empty = false;
                    }
                    Verdict::Orphan => {
                        shelf::remove(&path)?;
                        orphans.push(path.display().to_string());
                    }
                    // Not ours: left alone.
                    Verdict::Foreign => is_empty = false,
                }
            }
            if is_empty {
                // Not if it is something else than a folder.
                let _ = std::fs::remove_dir(&day);
            }
        }
    }
    tell(notes, orphans, "files that an earlier run did not finish were deleted");
    Ok(found)
}

enum Verdict {
    Named(u64),
    Orphan,
    Foreign,
}

fn judge(folder: &Path, path: &Path, catalog: &Catalog) -> Verdict {
    let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
    if let Some(unfinished) = name.strip_suffix(durable::PART) {
        let is_ours = catalog::parse_name(unfinished).is_some();
        return if is_ours { Verdict::Orphan } else { Verdict::Foreign };
    }
    let Some((table, day, id)) = catalog::parse_name(&name) else { return Verdict::Foreign };
    match catalog.content().files.get(&id) {
        Some(entry) if entry.table == table && entry.day == day => Verdict::Named(id),
        _ => Verdict::Orphan,
    }
}

fn why_missing(file: &FileEntry, found: Option<u64>) -> String {
    let name = file.name();
    match found {
        Some(found) => format!("{name} has {found} bytes where {} were written", file.bytes),
        None if file.is_remote() => {
            format!("{name} is in the object store, which is not configured")
        }
        None => format!("{name} is not there"),
    }
}

fn tell(notes: &mut Vec<String>, of_a_kind: Vec<String>, what: &str) {
    if of_a_kind.is_empty() {
        return;
    }
    let count = of_a_kind.len();
    let mut listed = of_a_kind;
    listed.truncate(NOTES_MAX);
    let more = if count > NOTES_MAX { ", …" } else { "" };
    notes.push(format!("{count} {what}: {}{more}", listed.join(", ")));
}

fn part(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(durable::PART);
    part.into()
}
