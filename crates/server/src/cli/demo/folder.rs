//! The work folder: one demo at a time, and nothing in it is ever deleted that the demo did not
//! make.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Marks a folder as the demo's own, and is locked while a demo runs in it.
const MARKER: &str = ".immune-demo";
/// All that a demo makes in its folder.
const MADE: &[&str] = &[
    "catalog.json",
    "data",
    "drills",
    "immune",
    "immune.yaml",
    "logs",
    "pids",
    "rate",
    "rate.taken-up",
    "release",
    "release.before",
    "users.jsonl",
];
/// Longest path of a Unix socket, less what the agent's adds to the folder.
const PATH_BYTES_MAX: usize = 107 - "/immune/agent/agent.sock".len();

/// A folder that is ours until this is dropped.
pub(super) struct Folder {
    /// Full path, without symbolic links.
    pub dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder; it is made when it is missing, refused when it holds something else.
    pub(super) fn take(dir: &Path) -> Result<Folder> {
        let shown = dir.display();
        fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {shown}"))?;
        let dir = dir.canonicalize().with_context(|| format!("cannot find {shown}"))?;
        let Some(text) = dir.to_str() else {
            bail!("the path {shown} is not UTF-8; choose another with --dir");
        };
        if text.len() > PATH_BYTES_MAX {
            bail!(
                "the path {shown} is longer than the {PATH_BYTES_MAX} bytes that a socket in it \
                 allows; choose a shorter one with --dir"
            );
        }
        let marker = dir.join(MARKER);
        match fs::symlink_metadata(&marker) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => bail!("{} is no plain file; choose another --dir", marker.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => refuse_foreign(&dir)?,
            Err(error) => return Err(error).context(format!("cannot look at {shown}")),
        }
        let lock = lock(&marker)?;
        Ok(Folder { dir, _lock: lock })
    }

    /// Removes what an earlier demo made, and makes the folders of this one.
    pub(super) fn make_new(&self) -> Result<()> {
        for name in MADE {
            let path = self.dir.join(name);
            let removed = match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => Err(error),
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        for name in ["data", "drills", "logs", "pids"] {
            let path = self.dir.join(name);
            fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(())
    }
}

fn refuse_foreign(dir: &Path) -> Result<()> {
    let mut entries =
        fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    if entries.next().is_some() {
        bail!(
            "{} holds things that no demo made; choose an empty or a new folder with --dir",
            dir.display()
        );
    }
    Ok(())
}

fn lock(marker: &Path) -> Result<File> {
    let shown = marker.display();
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(marker)
        .with_context(|| format!("cannot write {shown}"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            bail!("another `immune demo` runs in this folder; end it, or choose another --dir")
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).context(format!("cannot lock {shown}"));
        }
    }
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        file.write_all(b"`immune demo` works in this folder and replaces what it made in it.\n")
            .with_context(|| format!("cannot write {shown}"))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_things_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.jsonl");
        fs::write(&file, "mine").unwrap();
        assert!(Folder::take(folder.path()).is_err());
        assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    }

    #[test]
    fn only_what_a_demo_makes_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        let taken = Folder::take(&dir).unwrap();
        taken.make_new().unwrap();
        fs::write(dir.join("logs/gateway.log"), "old").unwrap();
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        drop(taken);
        Folder::take(&dir).unwrap().make_new().unwrap();
        assert!(!dir.join("logs/gateway.log").exists());
        assert!(dir.join("notes.txt").exists());
    }

    #[test]
    fn two_demos_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let taken = Folder::take(folder.path()).unwrap();
        let refused = Folder::take(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("another `immune demo` runs"), "{refused}");
        drop(taken);
        Folder::take(folder.path()).unwrap();
    }
}
