//! What targets are like beside their processes: a look at each declared database and disk every
//! five seconds.
//!
//! Databases are asked side by side, at most `ASKED_MAX` at a time, by tasks that end; disks are
//! looked at by a thread of their own, for a file system that hangs takes along who asks it. A look
//! that has not ended is not begun again. A report tells nothing of faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::condition::{Condition, ConditionReport, Disk};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::bench::Bench;
use crate::clock;
use crate::config::Target;
use crate::outbox::Outbox;
use crate::postgres::{self, Sight};
use crate::protocol::{FromAgent, Level, REPORT_MAX};

const LOOK_EVERY: Duration = Duration::from_secs(5);
const ASKED_MAX: usize = 16;
/// Folders of one target that are looked at.
const DISKS_MAX: usize = 16;

/// Looks at databases until the agent ends, and has `disks` looked at.
pub async fn watch(bench: Arc<Bench>, outbox: Arc<Outbox>, disks: mpsc::Sender<()>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut blind = BTreeMap::new();
    loop {
        looks.tick().await;
        if !outbox.connected() {
            continue;
        }
        // A thread that is still busy with the last one needs no other.
        let _ = disks.try_send(());
        look_at_databases(&bench, &outbox, &mut blind).await;
    }
}

/// `blind`: why nothing was seen of a target the last time; said once.
async fn look_at_databases(bench: &Bench, outbox: &Outbox, blind: &mut BTreeMap<String, String>) {
    let permits = Arc::new(Semaphore::new(ASKED_MAX));
    let mut asked = JoinSet::new();
    for target in bench.targets().values().filter(|target| target.postgres.is_some()) {
        let (target, permits) = (target.clone(), permits.clone());
        asked.spawn(async move {
            let _permit = permits.acquire().await;
            let sight = match &target.postgres {
                Some(postgres) => Some(postgres::look(postgres).await),
                None => None,
            };
            (target, sight)
        });
    }
    let mut reports = Vec::new();
    while let Some(joined) = asked.join_next().await {
        let Ok((target, Some(sight))) = joined else { continue };
        match sight {
            Sight::Seen(condition) => {
                blind.remove(&target.name);
                reports.push(report(&target, Condition::Database(condition)));
            }
            Sight::Blind(why) => {
                if blind.insert(target.name.clone(), why.clone()).as_ref() != Some(&why) {
                    let message = format!("target {}: {why}", target.name);
                    let (at, level) = (clock::now(), Level::Warning);
                    let _ = outbox.send(FromAgent::Log { at, level, message });
                }
            }
        }
    }
    send(outbox, reports);
}

/// The thread that looks at disks.
pub fn watch_disks(bench: &Bench, outbox: &Outbox, mut looks: mpsc::Receiver<()>) {
    while looks.blocking_recv().is_some() {
        let targets = bench.targets();
        let with_disks = targets.values().filter(|target| !target.disks.is_empty());
        let reports = with_disks.filter_map(|target| {
            let disks: Vec<Disk> = target.disks.iter().take(DISKS_MAX).filter_map(disk).collect();
            (!disks.is_empty()).then(|| report(target, Condition::Disks(disks)))
        });
        send(outbox, reports.collect());
    }
}

/// `None` for a folder that is not there: of it nothing can be told.
fn disk(folder: &std::path::PathBuf) -> Option<Disk> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Disk {
        folder: folder.display().to_string(),
        bytes: bytes(found.f_blocks),
        free_bytes: bytes(found.f_bavail),
    })
}

fn report(target: &Target, condition: Condition) -> ConditionReport {
    let (target, entity) = (target.name.clone(), target.entity());
    ConditionReport { at: clock::now(), target, entity, condition }
}

/// One that is not sent is told again by the next look.
fn send(outbox: &Outbox, reports: Vec<ConditionReport>) {
    for conditions in reports.chunks(REPORT_MAX) {
        let _ = outbox.send(FromAgent::Conditions(conditions.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let seen = disk(&dir.path().to_owned()).unwrap();
        assert!(seen.bytes > 0 && seen.free_bytes <= seen.bytes);
        assert_eq!(disk(&dir.path().join("none")), None);
    }
}
