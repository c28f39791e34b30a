//! The catalog: which files hold the telemetry, and up to which position of the input log they do.
//!
//! One small file, written whole at each commit and kept twice (`catalog`, `catalog.copy`). A
//! commit is made when both copies are durable; whoever deletes a file, or part of the input log,
//! does so only after that. So either copy alone describes a folder in which everything is there,
//! and a damaged one is replaced by the other without loss: the log still holds what it lacks.
//!
//! Invariants: of two whole copies the later commit counts; a file is named by at most one entry;
//! ids are never used twice, whatever crashes; when no copy is whole, or both are gone while data
//! files are there, opening fails and nothing is deleted. Reading is bounded and never panics.
//!
//! Not here: the data files themselves (`file`), and when which of them come and go (`store`).

mod codec;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::Timestamp;

use crate::file::{Day, Written};
use crate::schema::Table;
use crate::{Error, durable};

pub use codec::{VERSION, decode, encode};

/// Names of the two copies in the telemetry folder.
pub const NAMES: [&str; 2] = ["catalog", "catalog.copy"];

/// More files than this are never kept: at the usual sizes that is more than 100 TB.
pub const FILES_MAX: usize = 1_000_000;

/// A file of telemetry. Where it lies follows from table, day and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub table: Table,
    pub day: Day,
    /// How often its rows were merged.
    pub level: u8,
    /// The object store has it, too, or alone.
    pub remote: bool,
    pub rows: u64,
    /// Spans, log records or points.
    pub points: u64,
    pub bytes: u64,
    /// First and last time of its rows, both inclusive.
    pub time_min: Timestamp,
    pub time_max: Timestamp,
}

impl Entry {
    pub fn of(id: u64, table: Table, level: u8, written: &Written) -> Entry {
        Entry {
            id,
            table,
            day: written.day,
            level,
            remote: false,
            rows: written.rows,
            points: written.points,
            bytes: written.bytes,
            time_min: written.time_min,
            time_max: written.time_max,
        }
    }

    /// Its path below the telemetry folder, and its key below the prefix of the object store.
    pub fn name(&self) -> String {
        name(self.table, self.day, self.id)
    }
}

/// `spans/2026-11-22/000000000000002a.parquet`.
pub fn name(table: Table, day: Day, id: u64) -> String {
    format!("{}/{day}/{id:016x}.parquet", table.as_str())
}

/// Reads what [`name`] writes; nothing else.
pub fn parse_name(text: &str) -> Option<(Table, Day, u64)> {
    let mut parts = text.split('/');
    let (table, day, file) = (parts.next()?, parts.next()?, parts.next()?);
    let table = Table::ALL.iter().copied().find(|known| known.as_str() == table)?;
    let day = parse_day(day)?;
    let id = u64::from_str_radix(file.strip_suffix(".parquet")?, 16).ok()?;
    (parts.next().is_none() && name(table, day, id) == text).then_some((table, day, id))
}

/// `Day::parse` ends with the year 2500, times in 2554. The calendar repeats itself every 400
/// years.
fn parse_day(text: &str) -> Option<Day> {
    const YEARS: u32 = 400;
    const DAYS: u32 = 146_097;
    Day::parse(text).or_else(|| {
        let (year, rest) = text.split_at_checked(4)?;
        let year = year.parse::<u32>().ok()?.checked_sub(YEARS)?;
        Day::parse(&format!("{year}{rest}")).map(|day| Day(day.0 + DAYS))
    })
}

/// What a catalog says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Number of the commit that wrote it; 0 before the first.
    pub commit: u64,
    /// Drawn when the store was made; names its part of an object store.
    pub store: u64,
    /// Everything in the input log up to and with this number is in the files.
    pub flushed: u64,
    /// Above all ids that were ever committed.
    pub next_id: u64,
    pub files: BTreeMap<u64, Entry>,
}

/// One change, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    pub add: Vec<Entry>,
    /// Ids of files that are no more.
    pub remove: Vec<u64>,
    /// Ids of files that the object store has now.
    pub remote: Vec<u64>,
    pub flushed: Option<u64>,
}

/// The catalog of an opened store, as it is on disk.
#[derive(Debug)]
pub struct Catalog {
    folder: PathBuf,
    content: Content,
}

impl Catalog {
    /// Reads the catalog in `folder`, or begins one where there is no telemetry. Says what was
    /// unusual.
    pub fn open(folder: &Path) -> Result<(Catalog, Vec<String>), Error> {
        let mut notes = Vec::new();
        let mut copies = Vec::new();
        for name in NAMES {
            copies.push(read(&folder.join(name))?);
        }
        let same = copies[0] == copies[1];
        let mut damaged = Vec::new();
        let mut latest: Option<Content> = None;
        for copy in copies {
            match copy {
                Copy::Whole(found) => {
                    if latest.as_ref().is_none_or(|other| other.commit < found.commit) {
                        latest = Some(found);
                    }
                }
                Copy::Damaged(reason) => damaged.push(reason),
                Copy::Absent => {}
            }
        }
        let mut catalog = Catalog { folder: folder.to_owned(), content: Content::default() };
        match latest {
            Some(found) => {
                catalog.content = found;
                let lost = damaged.iter().map(|reason| format!("{reason}; its copy is used"));
                notes.extend(lost);
                if !same {
                    // A commit was cut short, or a copy is damaged: make both whole and the same
                    // before anything may be deleted.
                    catalog.write()?;
                }
            }
            None if !damaged.is_empty() => {
                let reason = damaged.join("; ");
                return Err(Error::Catalog { folder: folder.to_owned(), reason });
            }
            None => catalog.begin()?,
        }
        Ok((catalog, notes))
    }

    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Makes `edit` durable. After an error it is unknown which of the two states is on disk: what
    /// either of them names must be left alone until a later commit has succeeded.
    pub fn commit(&mut self, edit: Edit) -> Result<(), Error> {
        let before = self.content.clone();
        let result = self.apply(edit).and_then(|()| self.write());
        if result.is_err() {
            // The number stays used, so that a later commit is later than whatever is on disk.
            let commit = self.content.commit;
            self.content = Content { commit, ..before };
        }
        result
    }

    fn apply(&mut self, edit: Edit) -> Result<(), Error> {
        let content = &mut self.content;
        content.commit += 1;
        for id in &edit.remove {
            if content.files.remove(id).is_none() {
                return Err(self.refused(format!("file {id:016x} to be removed is not in it")));
            }
        }
        for entry in edit.add {
            let id = entry.id;
            content.next_id = content.next_id.max(id.saturating_add(1));
            if content.files.insert(id, entry).is_some() {
                return Err(self.refused(format!("file {id:016x} to be added is in it")));
            }
        }
        for id in &edit.remote {
            match content.files.get_mut(id) {
                Some(entry) => entry.remote = true,
                None => return Err(self.refused(format!("uploaded file {id:016x} is not in it"))),
            }
        }
        if let Some(flushed) = edit.flushed {
            content.flushed = content.flushed.max(flushed);
        }
        if content.files.len() > FILES_MAX {
            return Err(self.refused(format!("it would name more than {FILES_MAX} files")));
        }
        Ok(())
    }

    fn refused(&self, reason: String) -> Error {
        Error::Catalog {
            folder: self.folder.clone(),
            reason: format!("a change is wrong: {reason}"),
        }
    }

    fn write(&self) -> Result<(), Error> {
        let bytes = encode(&self.content);
        for name in NAMES {
            durable::write(&self.folder.join(name), &bytes)?;
        }
        Ok(())
    }

    /// The first catalog of a folder, unless telemetry lies in it already.
    fn begin(&mut self) -> Result<(), Error> {
        if let Some(path) = any_data_file(&self.folder)? {
            let reason = format!(
                "it is missing, but {} is there; put back the files `catalog` and `catalog.copy`, \
                 or move the folder away to begin anew",
                path.display()
            );
            return Err(Error::Catalog { folder: self.folder.clone(), reason });
        }
        let mut random = [0; 8];
        let path = Path::new("/dev/urandom");
        let mut file = std::fs::File::open(path).map_err(Error::io("open", path))?;
        std::io::Read::read_exact(&mut file, &mut random).map_err(Error::io("read", path))?;
        self.content =
            Content { store: u64::from_le_bytes(random), next_id: 1, ..Content::default() };
        self.write()
    }
}

#[derive(PartialEq)]
enum Copy {
    Whole(Content),
    Damaged(String),
    Absent,
}

/// An I/O error is not damage: it fails the opening, and may pass.
fn read(path: &Path) -> Result<Copy, Error> {
    let bytes = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Copy::Absent),
        Err(error) => return Err(Error::io("look at", path)(error)),
        Ok(found) => found.len(),
    };
    if bytes > codec::BYTES_MAX {
        return Ok(Copy::Damaged(format!("{} is too large", path.display())));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    match decode(&bytes) {
        Ok(content) => Ok(Copy::Whole(content)),
        Err(codec::Unreadable::Version(found)) => {
            Err(Error::CatalogVersion { path: path.to_owned(), found })
        }
        Err(codec::Unreadable::Damaged(reason)) => {
            Ok(Copy::Damaged(format!("{} is damaged: {reason}", path.display())))
        }
    }
}

fn any_data_file(folder: &Path) -> Result<Option<PathBuf>, Error> {
    for table in Table::ALL {
        for day in list(&folder.join(table.as_str()))? {
            for file in list(&day)? {
                if file.extension().is_some_and(|ending| ending == "parquet") {
                    return Ok(Some(file));
                }
            }
        }
    }
    Ok(None)
}

/// What a folder holds; nothing where it is not there or not a folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let entries = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        other => other.map_err(Error::io("list", folder))?,
    };
    entries.map(|entry| Ok(entry.map_err(Error::io("list", folder))?.path())).collect()
}
