//! A disk that forgets what was not synced, as a file system of its own (FUSE), held in memory.
//!
//! A process that is killed loses nothing that it wrote: the kernel has it. A power cut takes it,
//! in any order. This disk does so on demand: of all writes, lengths and names that no fsync has
//! made durable, chance keeps some and takes others, within what POSIX allows ([`volume`]). It can
//! also be full, and answer fsyncs without doing them, to show that each one is needed.
//!
//! Needs `/dev/fuse`, and to be root or to have `fusermount3`. Nothing of it is on a real disk.
//!
//! This process serves the disk, so it must never map a file of it into its own memory (and so not
//! open a SQLite database there): it would wait for itself. It reads and writes, and looks at
//! databases in a copy ([`Disk::copy`]).

mod content;

mod mounted;

mod names;

mod volume;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use fuser::{BackgroundSession, Config, MountOption};
use rustix::mount::{UnmountFlags, unmount};

use mounted::{Mounted, State, lock};
pub use names::Pattern;
pub use volume::Taken;
use volume::Volume;

/// What becomes of unsynced changes at a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// None of them is there.
    Lost,
    /// Some are.
    Mixed,
    /// The disk happened to have written them.
    Kept,
}

/// A mounted disk; dropping it unmounts it and forgets all.
pub struct Disk {
    at: PathBuf,
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
}

impl Disk {
    /// An empty disk, mounted on the folder `at`.
    pub fn mount(at: &Path, seed: u64) -> Result<Disk> {
        std::fs::create_dir_all(at).with_context(|| format!("cannot create {}", at.display()))?;
        let state = State {
            volume: Volume::new(seed),
            ignored: None,
            syncs: BTreeMap::new(),
            syncs_ignored: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let mut disk = Disk { at: at.to_owned(), state, session: None };
        disk.attach()?;
        Ok(disk)
    }

    pub fn at(&self) -> &Path {
        &self.at
    }

    /// fsyncs that match are answered and not done from now on.
    pub fn ignore(&self, pattern: Option<Pattern>) {
        lock(&self.state).ignored = pattern;
    }

    /// Fills the disk up to `free` bytes; `None`: there is ample space.
    pub fn leave_free(&self, free: Option<u64>) {
        let mut state = lock(&self.state);
        let used = state.volume.used();
        state.volume.capacity = free.map(|free| used + free);
    }

    #[cfg(test)]
    pub fn used(&self) -> u64 {
        lock(&self.state).volume.used()
    }

    /// How often what was synced, by the class of its path.
    pub fn syncs(&self) -> BTreeMap<String, u64> {
        lock(&self.state).syncs.clone()
    }

    pub fn syncs_ignored(&self) -> u64 {
        lock(&self.state).syncs_ignored
    }

    /// The power fails and comes back. Whoever has files open there must have ended: `None` while
    /// somebody has not.
    pub fn power_cut(&mut self) -> Result<Option<Taken>> {
        if !self.detach()? {
            return Ok(None);
        }
        let taken = lock(&self.state).volume.cut();
        self.attach()?;
        Ok(Some(taken))
    }

    /// One bit of the file turns over, durably; nothing where there is none.
    pub fn damage(&self, name: &str) -> Result<()> {
        let path = self.at.join(name);
        let mut content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let middle = content.len() / 2;
        if let Some(byte) = content.get_mut(middle) {
            *byte ^= 1;
        }
        let mut file = File::create(&path)?;
        file.write_all(&content)?;
        file.sync_all()?;
        Ok(())
    }

    /// Copies a folder of the disk to a real one.
    pub fn copy(from: &Path, to: &Path) -> Result<()> {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
            if kind.is_dir() {
                Disk::copy(&entry.path(), &to)?;
            } else if kind.is_file() {
                std::fs::write(&to, std::fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }

    fn attach(&mut self) -> Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("forgetful".to_owned()),
            MountOption::DefaultPermissions,
            MountOption::NoAtime,
        ];
        let mounted = Mounted { state: self.state.clone() };
        let session = fuser::spawn_mount(mounted, &self.at, &config).with_context(|| {
            format!("cannot mount on {}: it needs /dev/fuse and root", self.at.display())
        })?;
        self.session = Some(session);
        Ok(())
    }

    /// Unmounted, the kernel has nothing of it in its caches. False when it is in use.
    fn detach(&mut self) -> Result<bool> {
        let Some(session) = self.session.take() else { return Ok(true) };
        let ended = match unmount(&self.at, UnmountFlags::empty()) {
            // It is unmounted; how the kernel lets go of who served it depends on what went on.
            Ok(()) => match session.join() {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => Ok(()),
                ended => ended,
            },
            Err(rustix::io::Errno::BUSY) => {
                self.session = Some(session);
                return Ok(false);
            }
            // Who is not root has a helper that may.
            Err(_) => session.umount_and_join(),
        };
        ended.with_context(|| format!("cannot unmount {}", self.at.display()))?;
        Ok(true)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Ok(true) = self.detach() {
            return;
        }
        // Somebody is still there; the name goes now, the rest when they end.
        if let Err(error) = unmount(&self.at, UnmountFlags::DETACH) {
            eprintln!("bench: {} is left mounted: {error}", self.at.display());
        }
    }
}

#[cfg(test)]
mod tests;
