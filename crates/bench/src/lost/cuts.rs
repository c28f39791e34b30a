//! When the server is killed.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

/// A snapshot must be under way within this time.
const SAVING_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// While it takes telemetry.
    Loaded,
    /// Before it is ready: in start, recovery or replay.
    Starting,
    /// While it writes a snapshot, or just after.
    Saving,
}

impl Cut {
    pub const ALL: [Cut; 3] = [Cut::Loaded, Cut::Starting, Cut::Saving];

    /// Half of all cuts under load, the rest in the two places where state is rebuilt and saved.
    pub fn draw(generator: &mut StdRng) -> Cut {
        match generator.random_range(0..10) {
            0..5 => Cut::Loaded,
            5..8 => Cut::Starting,
            _ => Cut::Saving,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Cut::Loaded => "loaded",
            Cut::Starting => "starting",
            Cut::Saving => "saving",
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
    let folder = super::snapshots(data);
    let before = newest(&folder);
    let deadline = Instant::now() + SAVING_WITHIN;
    while Instant::now() < deadline {
        if newest(&folder) != before {
            sleep(delay).await;
            return Ok(());
        }
        // Shorter than the fsync that lies between the first byte of a snapshot and its name.
        sleep(Duration::from_millis(1)).await;
    }
    bail!("no snapshot was written within 30 s");
}

/// Name of the newest snapshot, finished or not.
fn newest(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).max()
}
