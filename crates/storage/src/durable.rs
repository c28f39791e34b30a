//! Files that are whole or not there, whatever happens to power and process.
//!
//! Written beside their place as `NAME.part`, fsynced, renamed, and the folder fsynced: once
//! [`Durable::commit`] returns, the file survives a power cut. What is left of a write that did not
//! get so far ends in [`PART`] and may be deleted ([`sweep`]).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// Ending of a file that is being written.
pub const PART: &str = ".part";

/// A file being written. Dropped before its commit, it leaves nothing behind.
pub struct Durable {
    file: File,
    path: PathBuf,
    part: PathBuf,
    committed: bool,
}

impl Durable {
    pub fn create(path: &Path) -> Result<Durable, Error> {
        let part = part_of(path);
        let file = File::create(&part).map_err(Error::io("create", &part))?;
        Ok(Durable { file, path: path.to_owned(), part, committed: false })
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file in its place, durably; replaces what was there. Returns its size.
    pub fn commit(mut self) -> Result<u64, Error> {
        self.file.sync_all().map_err(Error::io("fsync", &self.part))?;
        let bytes = self.file.metadata().map_err(Error::io("look at", &self.part))?.len();
        fs::rename(&self.part, &self.path).map_err(Error::io("rename", &self.part))?;
        self.committed = true;
        sync_folder_of(&self.path)?;
        Ok(bytes)
    }
}

impl Write for Durable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now is swept away at the next start.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Takes the lock of a folder, which is held until the file is dropped or the process ends; `None`
/// while another process has it.
pub fn lock_folder(folder: &Path) -> Result<Option<File>, Error> {
    let path = folder.join("lock");
    let opened = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(Error::io("open", &path))?;
    let lock = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    match rustix::fs::flock(&file, lock) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(Error::io("lock", &path)(error.into())),
    }
}

/// Writes a small file durably.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut durable = Durable::create(path)?;
    durable.write_all(content).map_err(Error::io("write", &durable.part))?;
    durable.commit().map(drop)
}

/// Makes creations, renames and removals in `folder` durable.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    let open = File::open(folder).map_err(Error::io("open", folder))?;
    open.sync_all().map_err(Error::io("fsync", folder))
}

/// Creates `folder` and what is missing above it, durably.
pub fn create_folder(folder: &Path) -> Result<(), Error> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create", folder)(error))
        }
        _ => sync_folder_of(folder),
    }
}

/// Deletes what unfinished writes left in `folder`; says how many files that were.
pub fn sweep(folder: &Path) -> Result<usize, Error> {
    let mut swept = 0;
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.to_string_lossy().ends_with(PART) && path.is_file() {
            fs::remove_file(&path).map_err(Error::io("delete", &path))?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn sync_folder_of(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut part = OsString::from(path);
    part.push(PART);
    part.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_file_is_in_its_place_and_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("file");
        create_folder(path.parent().unwrap()).unwrap();
        let mut durable = Durable::create(&path).unwrap();
        durable.write_all(b"text").unwrap();
        assert!(!path.exists());
        assert_eq!(durable.commit().unwrap(), 4);
        assert_eq!(fs::read(&path).unwrap(), b"text");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_abandoned_file_leaves_nothing_and_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        let mut durable = Durable::create(&path).unwrap();
        durable.write_all(b"half of the new").unwrap();
        drop(durable);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn parts_of_a_killed_process_are_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.parquet.part"), b"").unwrap();
        fs::write(folder.path().join("b.parquet"), b"").unwrap();
        assert_eq!(sweep(folder.path()).unwrap(), 1);
        assert!(folder.path().join("b.parquet").exists());
    }
}
