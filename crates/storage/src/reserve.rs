//! Room on the disk: how much is free, and a reserve that keeps the journal, undo records and the
//! catalog writable when it is full.
//!
//! [`DiskWatch`] holds a preallocated file in the data folder. Below `free_min` the disk is *low*:
//! ingest is to be refused, while what was acknowledged can still be written out. When hardly
//! anything is left it is *full*: the reserve is given back to the file system, for small records
//! only. Both heal by themselves: the reserve is made again once there is room for it.
//!
//! Invariants: asking costs an atomic load; the state does not flap (leaving it needs more room
//! than entering it did); trouble in measuring leaves the state as it was. It does not delete
//! anything but its own reserve.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the reserve in the data folder.
pub const RESERVE: &str = "reserve";

/// Even without a reserve the disk counts as full below this.
const FULL_BELOW_BYTES_MIN: u64 = 4 << 20;

/// Bytes, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// Size of the reserve; none when zero.
    pub reserve: u64,
    /// Below this much free space, beside the reserve, ingest is refused.
    pub free_min: u64,
}

impl Default for DiskConfig {
    fn default() -> Self {
        DiskConfig { reserve: 64 << 20, free_min: 512 << 20 }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    Ok,
    /// Ingest is refused.
    Low,
    /// The reserve was given back; only small records are to be written.
    Full,
}

/// What the disk looked like when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiskStatus {
    pub state: DiskState,
    pub free_bytes: u64,
    pub needed_bytes: u64,
    pub reserve_held: bool,
}

impl fmt::Display for DiskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = Size(self.free_bytes);
        let needed = Size(self.needed_bytes);
        match self.state {
            DiskState::Ok => write!(f, "{free} of disk space are free"),
            DiskState::Low => {
                write!(f, "disk space is low: {free} are free, {needed} are needed")
            }
            DiskState::Full => {
                write!(f, "the disk is full: {free} are free, {needed} are needed")
            }
        }
    }
}

/// Tells the free bytes of the file system that holds a folder.
pub(crate) type Measure = Box<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// Watches the disk that holds a folder. Someone has to call [`DiskWatch::poll`] now and then.
pub struct DiskWatch {
    folder: PathBuf,
    config: DiskConfig,
    measure: Measure,
    /// One look at a time.
    looking: Mutex<()>,
    state: AtomicU8,
    free_bytes: AtomicU64,
    reserve_held: AtomicBool,
}

impl fmt::Debug for DiskWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskWatch")
            .field("folder", &self.folder)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl DiskWatch {
    /// Makes the reserve in `folder` where there is room for it, and looks for the first time. A
    /// full disk is a state, not an error.
    pub fn open(folder: &Path, config: DiskConfig) -> Result<DiskWatch, crate::Error> {
        std::fs::create_dir_all(folder).map_err(crate::Error::io("create folder", folder))?;
        DiskWatch::with_measure(folder, config, Box::new(free_bytes))
    }

    pub(crate) fn with_measure(
        folder: &Path,
        config: DiskConfig,
        measure: Measure,
    ) -> Result<DiskWatch, crate::Error> {
        let watch = DiskWatch {
            folder: folder.to_owned(),
            config,
            measure,
            looking: Mutex::new(()),
            state: AtomicU8::new(encode(DiskState::Ok)),
            free_bytes: AtomicU64::new(0),
            reserve_held: AtomicBool::new(false),
        };
        (watch.measure)(folder).map_err(crate::Error::io("measure free space of", folder))?;
        watch.poll();
        Ok(watch)
    }

    /// Looks at the disk, gives the reserve back or makes it again, and tells the new state.
    pub fn poll(&self) -> DiskState {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.state();
        let mut free = match (self.measure)(&self.folder) {
            Ok(free) => free,
            Err(error) => {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "cannot measure free disk space");
                return before;
            }
        };
        let mut held = self.holds_reserve();
        if held && free < self.full_below() {
            self.release();
            held = false;
        } else if !held && free >= self.config.reserve + 2 * self.full_below() {
            held = self.allocate();
        }
        if held != self.reserve_held.load(Ordering::Acquire) {
            // The reserve itself has just changed what is free.
            free = (self.measure)(&self.folder).unwrap_or(free);
        }
        let after = self.judge(before, free, held);
        self.free_bytes.store(free, Ordering::Release);
        self.reserve_held.store(held, Ordering::Release);
        self.state.store(encode(after), Ordering::Release);
        if after != before {
            self.tell(before, after);
        }
        after
    }

    /// The state at the last look. Costs an atomic load.
    pub fn state(&self) -> DiskState {
        match self.state.load(Ordering::Acquire) {
            0 => DiskState::Ok,
            1 => DiskState::Low,
            _ => DiskState::Full,
        }
    }

    pub fn status(&self) -> DiskStatus {
        DiskStatus {
            state: self.state(),
            free_bytes: self.free_bytes.load(Ordering::Acquire),
            needed_bytes: self.ok_from(),
            reserve_held: self.reserve_held.load(Ordering::Acquire),
        }
    }

    /// Bytes that may be written now without making the disk low; by the last look.
    pub fn spare_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Acquire).saturating_sub(self.config.free_min)
    }

    pub fn config(&self) -> DiskConfig {
        self.config
    }

    fn judge(&self, before: DiskState, free: u64, held: bool) -> DiskState {
        if !held || free < self.full_below() {
            DiskState::Full
        } else if free < self.config.free_min || (before != DiskState::Ok && free < self.ok_from())
        {
            DiskState::Low
        } else {
            DiskState::Ok
        }
    }

    /// What takes the disk out of *low* again.
    fn ok_from(&self) -> u64 {
        self.config.free_min.saturating_add(self.config.free_min / 4)
    }

    fn full_below(&self) -> u64 {
        (self.config.reserve / 4).max(FULL_BELOW_BYTES_MIN).min(self.config.free_min)
    }

    fn holds_reserve(&self) -> bool {
        if self.config.reserve == 0 {
            return true;
        }
        let path = self.folder.join(RESERVE);
        std::fs::metadata(path).is_ok_and(|found| found.len() == self.config.reserve)
    }

    fn release(&self) {
        let path = self.folder.join(RESERVE);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot give the disk reserve back");
        }
    }

    /// Whether the reserve is there now. What was begun and not finished is taken away again.
    fn allocate(&self) -> bool {
        let path = self.folder.join(RESERVE);
        match allocate_file(&path, self.config.reserve) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot make the disk reserve");
                self.release();
                false
            }
        }
    }

    fn tell(&self, before: DiskState, after: DiskState) {
        let status = self.status();
        let folder = self.folder.display();
        if after > before {
            tracing::warn!(%folder, "{status}");
        } else {
            tracing::info!(%folder, "{status}");
        }
    }
}

fn encode(state: DiskState) -> u8 {
    match state {
        DiskState::Ok => 0,
        DiskState::Low => 1,
        DiskState::Full => 2,
    }
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// A file whose blocks are really there. File systems that cannot preallocate get it written, with
/// bytes that do not compress. It is only room: one that a power cut took is made again.
fn allocate_file(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(file, bytes),
        Err(error) => Err(error.into()),
    }
}

fn fill(mut file: File, bytes: u64) -> io::Result<()> {
    let mut chunk = vec![0u8; 1 << 20];
    let mut noise = 0x9e37_79b9_7f4a_7c15u64;
    let mut left = bytes;
    while left > 0 {
        for word in chunk.chunks_exact_mut(8) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            word.copy_from_slice(&noise.to_le_bytes());
        }
        let step = left.min(chunk.len() as u64);
        file.write_all(&chunk[..step as usize])?;
        left -= step;
    }
    // Some allocate only then.
    file.sync_all()
}

/// Bytes as people read them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1 << 20;
        match self.0 {
            bytes if bytes >= 10 << 30 => write!(f, "{} GiB", bytes >> 30),
            bytes if bytes >= MIB => write!(f, "{} MiB", bytes / MIB),
            bytes => write!(f, "{} KiB", bytes >> 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const MIB: u64 = 1 << 20;
    const CONFIG: DiskConfig = DiskConfig { reserve: 32 * MIB, free_min: 100 * MIB };

    /// A disk whose free space is told by the test; the reserve takes its part of it.
    struct Disk {
        folder: tempfile::TempDir,
        free: Arc<AtomicU64>,
        watch: DiskWatch,
    }

    fn disk(free_mib: u64) -> Disk {
        let folder = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(free_mib * MIB));
        let told = free.clone();
        let measure = move |folder: &Path| {
            let reserve = std::fs::metadata(folder.join(RESERVE)).map_or(0, |found| found.len());
            Ok(told.load(Ordering::Relaxed).saturating_sub(reserve))
        };
        let watch = DiskWatch::with_measure(folder.path(), CONFIG, Box::new(measure)).unwrap();
        Disk { folder, free, watch }
    }

    impl Disk {
        fn poll_at(&self, free_mib: u64) -> DiskState {
            self.free.store(free_mib * MIB, Ordering::Relaxed);
            self.watch.poll()
        }
        fn has_reserve(&self) -> bool {
            self.folder.path().join(RESERVE).exists()
        }
    }

    #[test]
    fn a_disk_with_room_holds_a_preallocated_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let config = DiskConfig { reserve: MIB, free_min: 2 * MIB };
        let watch = DiskWatch::open(folder.path(), config).unwrap();
        assert_eq!(watch.state(), DiskState::Ok);
        let found = std::fs::metadata(folder.path().join(RESERVE)).unwrap();
        assert_eq!(found.len(), MIB);
        assert!(std::os::unix::fs::MetadataExt::blocks(&found) * 512 >= MIB);
    }

    #[test]
    fn a_low_disk_says_what_is_free_and_needed_and_does_not_flap() {
        let disk = disk(1000);
        assert_eq!(disk.watch.state(), DiskState::Ok);
        assert_eq!(disk.poll_at(131), DiskState::Low, "99 MiB beside the reserve");
        assert_eq!(
            disk.watch.status().to_string(),
            "disk space is low: 99 MiB are free, 125 MiB are needed"
        );
        assert_eq!(disk.poll_at(132), DiskState::Low, "leaving needs a quarter more");
        assert_eq!(disk.poll_at(157), DiskState::Ok);
        assert_eq!(disk.poll_at(132), DiskState::Ok);
        assert!(disk.has_reserve());
    }

    #[test]
    fn a_full_disk_gives_the_reserve_back_and_makes_it_again_when_there_is_room() {
        let disk = disk(1000);
        assert_eq!(disk.poll_at(32 + 7), DiskState::Full);
        assert!(!disk.has_reserve(), "its 32 MiB are free for the journal now");
        assert_eq!(
            disk.poll_at(40),
            DiskState::Full,
            "the reserve does not fit with room to spare"
        );
        assert_eq!(disk.poll_at(32 + 16), DiskState::Low);
        assert!(disk.has_reserve());
        assert_eq!(disk.poll_at(1000), DiskState::Ok);
    }

    #[test]
    fn it_opens_on_a_full_disk() {
        let disk = disk(3);
        assert_eq!(disk.watch.state(), DiskState::Full);
        assert!(!disk.has_reserve());
        assert_eq!(disk.poll_at(1000), DiskState::Ok);
        assert!(disk.has_reserve());
    }

    #[test]
    fn a_reserve_of_another_size_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(RESERVE), b"short").unwrap();
        let config = DiskConfig { reserve: MIB, free_min: 2 * MIB };
        let watch = DiskWatch::open(folder.path(), config).unwrap();
        assert!(watch.status().reserve_held);
        assert_eq!(std::fs::metadata(folder.path().join(RESERVE)).unwrap().len(), MIB);
    }

    #[test]
    fn without_preallocation_the_reserve_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESERVE);
        fill(File::create(&path).unwrap(), 3 * MIB + 5).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3 * MIB + 5);
    }
}
