//! A client's log that grows while a drill runs: read as far as it has whole lines, from where the
//! drill began.
//!
//! It is opened once: what stands under its name later may be another file. One that was cut, or
//! moved away for a new one, is taken up again from the new one's beginning.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chaos::ClientLog;
use rustix::fs::OFlags;

/// Read at most this much in one look.
const READ_MAX: u64 = 8 << 20;

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    offset: u64,
    log: ClientLog,
}

impl LogFile {
    /// Begins at the end of what is there: what came before the drill is none of its business.
    pub(super) fn open(path: &str) -> Result<LogFile, String> {
        let path = PathBuf::from(path);
        let fail = |error| format!("client log {}: {error}", path.display());
        let file = open(&path).map_err(fail)?;
        let offset = file.metadata().map_err(fail)?.len();
        Ok(LogFile { path, file, offset, log: ClientLog::default() })
    }

    pub(super) fn log(&self) -> &ClientLog {
        &self.log
    }

    /// Takes in the whole lines that were added.
    pub(super) fn read(mut self) -> LogFile {
        let read = self.take_in().and_then(|()| self.follow());
        if let Err(error) = read {
            tracing::warn!(path = %self.path.display(), %error, "client log");
        }
        self
    }

    fn take_in(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.offset {
            self.offset = 0;
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        (&self.file).take(READ_MAX).read_to_end(&mut bytes)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        // What is that long and no line is passed over, else it would be read for ever.
        let endless = bytes.len() as u64 == READ_MAX;
        let used = end.unwrap_or(if endless { bytes.len() } else { 0 });
        self.log.read(&String::from_utf8_lossy(&bytes[..used]));
        self.offset += used as u64;
        Ok(())
    }

    /// Goes over to the file that took this one's place, once there is nothing left in this one.
    fn follow(&mut self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let there = match std::fs::symlink_metadata(&self.path) {
            Ok(there) => there,
            // Moved away, and the new one is not there yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let same = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        if same || ours.len().saturating_sub(self.offset) >= READ_MAX {
            return Ok(());
        }
        self.file = open(&self.path)?;
        self.offset = 0;
        self.take_in()
    }
}

/// Only a regular file, and nothing that a link leads to; opening it never waits.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn offset_after(log: LogFile) -> (LogFile, u64) {
        let log = log.read();
        let offset = log.offset;
        (log, offset)
    }

    #[test]
    fn a_log_that_is_cut_or_replaced_is_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.log");
        append(&path, "before\n");
        let log = LogFile::open(path.to_str().unwrap()).unwrap();
        append(&path, "one\nhalf");
        let (log, offset) = offset_after(log);
        assert_eq!(offset, 11, "whole lines only");
        std::fs::write(&path, "cut\n").unwrap();
        let (log, offset) = offset_after(log);
        assert_eq!(offset, 4);
        std::fs::rename(&path, folder.path().join("client.log.1")).unwrap();
        let (log, _) = offset_after(log);
        append(&path, "replaced\n");
        assert_eq!(offset_after(log).1, 9);
    }

    #[test]
    fn only_a_regular_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        append(&real, "");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [link, pipe, folder.path().to_owned(), "/dev/zero".into()] {
            assert!(LogFile::open(path.to_str().unwrap()).is_err(), "{}", path.display());
        }
    }
}
