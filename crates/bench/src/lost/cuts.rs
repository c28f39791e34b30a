//! When the server is killed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

/// A snapshot must be under way within this time.
const SAVING_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cut {
    /// While it takes telemetry.
    Loaded,
    /// Before it is ready: in start, recovery or replay.
    Starting,
    /// While it writes a snapshot, or just after.
    Saving,
    /// While files of telemetry are written, merged, deleted or uploaded, or just after.
    Storing,
}

impl Cut {
    pub const ALL: [Cut; 4] = [Cut::Loaded, Cut::Starting, Cut::Saving, Cut::Storing];

    /// Some under load, the rest where state is rebuilt and saved, most where files change.
    pub fn draw(generator: &mut StdRng) -> Cut {
        match generator.random_range(0..10) {
            0..3 => Cut::Loaded,
            3..5 => Cut::Starting,
            5..6 => Cut::Saving,
            _ => Cut::Storing,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Cut::Loaded => "loaded",
            Cut::Starting => "starting",
            Cut::Saving => "saving",
            Cut::Storing => "storing",
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Waits until a snapshot is being written (or has just been), and then `delay`.
pub async fn wait_for_saving(data: &Path, delay: Duration) -> Result<()> {
    wait_for_change(|| newest(&data.join("snapshots")), delay).await
}

/// Waits until files of telemetry change, and then `delay`.
pub async fn wait_for_storing(data: &Path, delay: Duration) -> Result<()> {
    wait_for_change(|| names(&data.join("telemetry")), delay).await
}

async fn wait_for_change<T: PartialEq>(look: impl Fn() -> T, delay: Duration) -> Result<()> {
    let before = look();
    let deadline = Instant::now() + SAVING_WITHIN;
    while Instant::now() < deadline {
        if look() != before {
            sleep(delay).await;
            return Ok(());
        }
        // Shorter than the fsync that lies between the first byte of a file and its name.
        sleep(Duration::from_millis(1)).await;
    }
    bail!("nothing was written within 30 s");
}

/// Name of the newest file, finished or not.
fn newest(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).max()
}

/// All files in a folder and those below.
fn names(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found
}
