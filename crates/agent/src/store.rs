//! The agent's folder: private, one agent at a time, with files that are replaced whole, and the
//! targets that came with the last hello.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

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
pub fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let (file, fresh) = write_beside(path, content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_parent(path)
}

/// The same for what a power cut makes worthless, or somebody brings again: whoever dies, the file
/// is whole; of what a power cut leaves, an empty one stands for none.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let (_, fresh) = write_beside(path, content)?;
    fs::rename(&fresh, path)
}

fn write_beside(path: &Path, content: &[u8]) -> io::Result<(File, PathBuf)> {
    let fresh = path.with_extension("new");
    let mut file =
        File::options().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    Ok((file, fresh))
}

/// Reads what [`replace`] wrote; `None` when it is not there.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) if content.iter().all(|byte| *byte == 0) => Ok(None),
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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
    let Some(json) = read(path)? else { return Ok(Vec::new()) };
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
        for (content, into) in [
            (&b"old"[..], replace as fn(&Path, &[u8]) -> io::Result<()>),
            (b"new and longer", replace_durably),
            (b"last", replace),
        ] {
            into(&path, content).unwrap();
            assert_eq!(read(&path).unwrap().unwrap(), content);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_power_cut_left_of_a_file_stands_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.json");
        for left in [&b""[..], &[0; 4096]] {
            fs::write(&path, left).unwrap();
            assert_eq!(load_targets(&path).unwrap(), Vec::new());
        }
        fs::write(&path, b"{").unwrap();
        assert!(load_targets(&path).is_err());
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
