//! Where data is kept, how much of it, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use model::human::HumanDuration;
use receivers::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::reserve::DiskConfig;
use storage::{objects, store};

use super::problems::Found;

/// Where data is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Folder for the input log, the journal, snapshots and telemetry.
    pub path: PathBuf,
    /// The oldest input log segments are deleted above this, once a snapshot covers them and their
    /// telemetry is in files.
    pub log_size_max: ByteSize,
    /// How often the state is saved and telemetry goes to files, so that a restart has little to
    /// replay.
    pub snapshot_every: HumanDuration,
    /// How long the journal keeps events; above 2 GiB the oldest go before.
    pub journal_keep: HumanDuration,
    pub traces: Retention,
    pub logs: Retention,
    pub metrics: Retention,
    /// Files of telemetry are merged until they are about this large.
    pub file_size: ByteSize,
    pub disk: Disk,
    /// An object store to which files of telemetry go.
    pub objects: Option<Objects>,
    pub queries: Queries,
}

/// How long telemetry of one signal is kept, whichever is reached first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days are deleted whole, this long after they ended.
    pub keep: HumanDuration,
    /// Of all its files; the oldest days go first.
    pub size_max: ByteSize,
}

/// What is to stay free on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// A file that is given back when the disk is full, so that the journal and undo records can
    /// still be written.
    pub reserve: ByteSize,
    /// Telemetry is refused while less is free, beside the reserve.
    pub free_min: ByteSize,
    /// Delete the oldest telemetry when the disk is low, rather than refuse the newest.
    pub delete_when_low: bool,
}

/// An S3-compatible object store, and how much stays on this host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    pub s3: objects::Config,
    /// Files that the object store has are deleted here, the oldest first, above this.
    #[serde(default = "local_size_max")]
    pub local_size_max: ByteSize,
}

/// What a query of telemetry may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Queries {
    pub timeout: HumanDuration,
}

const fn days(days: u64) -> HumanDuration {
    HumanDuration::from_secs(days * 24 * 3600)
}

const fn gib(gib: u64) -> ByteSize {
    ByteSize(gib << 30)
}

fn local_size_max() -> ByteSize {
    gib(20)
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            path: PathBuf::from("immune-data"),
            log_size_max: gib(4),
            snapshot_every: HumanDuration::from_secs(60),
            journal_keep: days(90),
            traces: Retention { keep: days(14), size_max: gib(20) },
            logs: Retention { keep: days(14), size_max: gib(20) },
            metrics: Retention { keep: days(90), size_max: gib(20) },
            file_size: ByteSize::mib(128),
            disk: Disk::default(),
            objects: None,
            queries: Queries::default(),
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        let DiskConfig { reserve, free_min } = DiskConfig::default();
        Disk { reserve: ByteSize(reserve), free_min: ByteSize(free_min), delete_when_low: false }
    }
}

impl Default for Queries {
    fn default() -> Self {
        Queries { timeout: HumanDuration::from_secs(30) }
    }
}

impl Storage {
    pub fn disk(&self) -> DiskConfig {
        DiskConfig { reserve: self.disk.reserve.0, free_min: self.disk.free_min.0 }
    }

    /// What the store of telemetry is told; `memory` is for what is not in files yet.
    pub(super) fn store(&self, memory: usize) -> store::Config {
        let retention =
            |of: &Retention| store::Retention { keep: of.keep.0, size_max: Some(of.size_max.0) };
        store::Config {
            traces: retention(&self.traces),
            logs: retention(&self.logs),
            metrics: retention(&self.metrics),
            memory,
            // Each snapshot seals what is before it; this is for when there is none.
            seal_after: 2 * self.snapshot_every.0,
            file_bytes: self.file_size.0,
            delete_when_low: self.disk.delete_when_low,
            objects: self.objects.as_ref().map(|objects| store::Objects {
                store: objects.s3.clone(),
                local_size_max: objects.local_size_max.0,
            }),
            after_work: crate::allocator::give_back,
            ..store::Config::default()
        }
    }

    pub(super) fn check(&self, found: &mut Found) {
        let seconds = Duration::from_secs;
        let day = seconds(24 * 3600);
        let snapshots = self.snapshot_every;
        found.between("storage.snapshot_every", snapshots, seconds(5), seconds(3600));
        found.between("storage.journal_keep", self.journal_keep, day, 3650 * day);
        let tables = [("traces", &self.traces), ("logs", &self.logs), ("metrics", &self.metrics)];
        for (name, table) in tables {
            found.between(&format!("storage.{name}.keep"), table.keep, day, 3650 * day);
        }
        let timeout = self.queries.timeout;
        found.between("storage.queries.timeout", timeout, seconds(1), seconds(3600));
        found.at_least("storage.file_size", self.file_size, ByteSize::mib(1));
        if let Some(objects) = &self.objects
            && let Err(problem) = objects.s3.check()
        {
            found.add("storage.objects.s3".to_owned(), problem);
        }
    }
}
