//! The agent's folder: private, one agent at a time, with files that are replaced whole, and the
//! targets that came with the last hello.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::config::Target;
use crate::ledger::sync_parent;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    targets: Vec<Target>,
}

/// Makes the folder, for its owner only. One that others may enter is not used: who can reach the
/// socket can restart and kill.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::metadata(path)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("belongs to another user"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("is open to others; run `chmod 700` on it"));
    }
    Ok(())
}

/// The lock that one agent holds while it runs; `None` when another has it.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Puts a file of this content in its place, through to the disk: after a power cut there is the
/// old one or the new one, and never half of either.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file =
        File::options().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_parent(path)
}

/// Replaces the file, if it says something else. Returns the CRC-32C of the targets.
pub fn save_targets(path: &Path, targets: &[Target]) -> io::Result<u32> {
    let hash = crc32c::crc32c(&serde_json::to_vec(targets)?);
    let json = serde_json::to_vec(&Saved { version: VERSION, targets: targets.to_vec() })?;
    if fs::read(path).is_ok_and(|before| before == json) {
        return Ok(hash);
    }
    replace(path, &json)?;
    Ok(hash)
}

/// The targets that were in force before; none at the first start.
pub fn load_targets(path: &Path) -> io::Result<Vec<Target>> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let saved: Saved = serde_json::from_slice(&json)?;
    match saved.version {
        VERSION => Ok(saved.targets),
        version => Err(io::Error::other(format!("version {version} is unknown"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("processes.json");
        // What a crash left of an earlier replacement.
        fs::write(dir.path().join("processes.new"), "longer than what comes").unwrap();
        for content in [&b"old"[..], b"new and longer", b""] {
            replace(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("processes.json");
        replace(&path, b"old").unwrap();
        fs::create_dir(dir.path().join("processes.new")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
