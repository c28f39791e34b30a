//! `--power`: the power is cut while a fault is there that outlives it.
//!
//! The agent's folder lies on a disk that forgets what was not synced; what the fault did lies
//! elsewhere. Agent, keeper and the server's part end at once, and only an agent comes back: it has
//! to know from its ledger what to undo.

use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use super::parts::Stage;
use super::{DEADLINE, GONE_WITHIN, LOOK_EVERY, kill, kinds, signal};
use crate::disk::{Disk, Pattern};
use crate::figures::{Outcome, count};
use crate::programs::Programs;

/// The kind whose effect no kernel takes back.
const KIND: &str = "command";
const UNMOUNTED_WITHIN: Duration = Duration::from_secs(10);

struct Cut {
    was_there: bool,
    undone: bool,
    syncs_ignored: u64,
}

pub async fn cuts(
    folder: &Path,
    cuts: u32,
    seed: u64,
    ignored: Option<&Pattern>,
) -> Result<Outcome> {
    let mut generator = StdRng::seed_from_u64(seed);
    let mut all = Vec::new();
    for number in 0..cuts {
        let delay = DEADLINE.mul_f64(generator.random_range(0.0..0.95));
        let folder = folder.join(number.to_string());
        let cut = one(&folder, seed + u64::from(number), delay, ignored.cloned()).await?;
        let told = if cut.undone { "undone" } else { "NOT undone" };
        eprintln!("undo: power cut {number} after {delay:.1?}: {told}");
        all.push(cut);
    }
    let undone = count(&all, |cut| cut.undone);
    let mut outcome = Outcome::new(json!({
        "power_cuts": all.len(),
        "there_at_the_cut": count(&all, |cut| cut.was_there),
        "undone": undone,
        "fsyncs_ignored": all.iter().map(|cut| cut.syncs_ignored).sum::<u64>(),
    }));
    let left = all.len() - undone;
    outcome.promise(left == 0, format!("{left} faults were not undone after a power cut"));
    outcome.promise(all.iter().any(|cut| cut.was_there), "no fault was there at a power cut");
    Ok(outcome)
}

async fn one(folder: &Path, seed: u64, delay: Duration, ignored: Option<Pattern>) -> Result<Cut> {
    let kind = kinds::ALL.iter().find(|kind| kind.name == KIND).context("no such kind")?;
    let mut disk = Disk::mount(&folder.join("disk"), seed)?;
    let data = disk.at().join("immune");
    std::fs::create_dir(&data)?;
    File::open(disk.at())?.sync_all()?;
    let agent_folder = data.join("agent");
    std::fs::DirBuilder::new().mode(0o700).create(&agent_folder)?;
    File::open(&data)?.sync_all()?;
    disk.ignore(ignored);

    let immune = Programs::find()?.immune()?;
    let mut stage = Stage::set(kind, &immune, &folder.join("work"), &agent_folder, None).await?;
    let ordered = server::clock::now();
    let deadline = ordered + DEADLINE;
    stage.order(deadline)?;
    while server::clock::now() < ordered + delay {
        sleep(LOOK_EVERY).await;
    }
    // Nobody may have the time to undo anything.
    signal(stage.agent.id(), Signal::STOP)?;
    for keeper in stage.keepers() {
        kill(keeper)?;
    }
    kill(stage.server.id())?;
    kill(stage.agent.id())?;
    stage.agent.wait()?;
    let was_there = (kind.is_there)(&stage);
    let give_up = server::clock::now() + UNMOUNTED_WITHIN;
    while disk.power_cut()?.is_none() {
        if server::clock::now() > give_up {
            bail!("somebody has files open in {}", disk.at().display());
        }
        sleep(LOOK_EVERY).await;
    }
    stage.start_agent(&immune)?;
    while server::clock::now() < deadline + GONE_WITHIN && (kind.is_there)(&stage) {
        sleep(LOOK_EVERY).await;
    }
    let undone = !(kind.is_there)(&stage);
    drop(stage);
    Ok(Cut { was_there, undone, syncs_ignored: disk.syncs_ignored() })
}
