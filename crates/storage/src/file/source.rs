//! Where the bytes of a file come from: a local file, or an object store (elsewhere).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;

use crate::Error;

/// A file that does not change, read in pieces.
#[allow(clippy::len_without_is_empty)] // The length of a file; nobody asks whether it is empty.
pub trait Source: Send + Sync {
    /// What errors call it: its path or address.
    fn name(&self) -> &str;

    fn len(&self) -> u64;

    /// Exactly `len` bytes from `offset`; an error where the file has fewer.
    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes>;
}

/// A file of this host, read by `pread`: many threads may read at once.
pub struct LocalFile {
    file: File,
    name: String,
    len: u64,
}

impl LocalFile {
    pub fn open(path: &Path) -> Result<LocalFile, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let len = file.metadata().map_err(Error::io("look at", path))?.len();
        Ok(LocalFile { file, name: path.display().to_string(), len })
    }
}

impl Source for LocalFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        // Checked first, so that a damaged offset cannot ask for all memory.
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the file"));
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

/// Bytes in memory: what a test damages.
impl Source for (String, Bytes) {
    fn name(&self) -> &str {
        &self.0
    }

    fn len(&self) -> u64 {
        self.1.len() as u64
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match start.checked_add(len) {
            Some(end) if end <= self.1.len() => Ok(self.1.slice(start..end)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
