//! `--prove-fsyncs`: each kind of fsync is left out once, and the run must fail.
//!
//! The kinds are those that a first run shows: names of files and folders in which digits stand for
//! any. A run that does not fail says that this fsync is not needed for what is checked, or that
//! too few cuts were made to meet its absence.
//!
//! Some are only missed in runs of their own. Of two copies one stands in for the other, so the
//! other is damaged at each cut. What the agent writes is missed when it has something to undo
//! (`bench undo --power`). Of each such run there is one with every fsync, which must not fail.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::cuts::Cut;
use super::run::Plan;
use super::{Lost, verdict};
use crate::disk::Pattern;
use crate::figures::Outcome;
use crate::undo::power;

/// Cuts with one seed that are tried before an fsync is held to be unneeded.
const SEEDS: u64 = 3;
/// Files of which another stands in for the one, and where that lies.
const COPIES: [(&str, &str); 2] = [
    ("immune/telemetry/catalog.part", "immune/telemetry/catalog.copy"),
    ("immune/telemetry/catalog.copy.part", "immune/telemetry/catalog"),
];
const AGENT: &str = "immune/agent/";
/// Missed once the log was trimmed in the belief that a snapshot is there.
const SNAPSHOTS: &str = "immune/snapshots/";

pub async fn prove(lost: &Lost, folder: &Path) -> Result<Outcome> {
    let mut proof = Proof { lost, folder, runs: 0 };
    eprintln!("runs with every fsync done");
    let (whole, syncs) = lost.cut_off(proof.plan(0), None).await?;
    let mut broken = whole.broken;
    for (_, copy) in COPIES {
        let plan = Plan { damaged: Some(copy), ..proof.plan(0) };
        broken.extend(lost.cut_off(plan, None).await?.0.broken);
    }
    broken.extend(proof.hands(0, None).await?.broken);

    let mut rows = Vec::new();
    let mut needed = 0;
    for (kind, times) in &syncs {
        let (mut fails, mut told) = (false, json!(null));
        for seed in 0..SEEDS {
            eprintln!("without fsyncs of {kind}");
            (fails, told) = verdict(&proof.without(kind, seed).await);
            if fails {
                break;
            }
        }
        needed += usize::from(fails);
        let seen = if fails { "noticed" } else { "NOT noticed" };
        eprintln!("{kind:<50} {times:>8} {seen}: {told}");
        rows.push(json!({ "fsync": kind, "times": times, "noticed": fails, "told": told }));
    }
    let mut outcome = Outcome::new(json!({
        "bench": "lost",
        "cuts": lost.cuts,
        "seed": lost.seed,
        "with_all_fsyncs": whole.figures,
        "fsyncs": rows,
        "fsyncs_noticed": needed,
        "fsyncs_of_kinds": syncs.len(),
    }));
    let told = format!("a run with every fsync failed: {}", broken.join("; "));
    outcome.promise(broken.is_empty(), told);
    outcome.promise(needed == syncs.len(), "some fsyncs could be left out unnoticed");
    Ok(outcome)
}

struct Proof<'a> {
    lost: &'a Lost,
    folder: &'a Path,
    runs: u32,
}

impl Proof<'_> {
    /// A run that misses fsyncs of this kind.
    async fn without(&mut self, kind: &str, seed: u64) -> Result<Outcome> {
        let ignored = Pattern::new(kind);
        if kind.starts_with(AGENT) {
            return self.hands(seed, Some(&ignored)).await;
        }
        let damaged = COPIES.iter().find(|(one, _)| *one == kind).map(|(_, other)| *other);
        let only = (kind == SNAPSHOTS).then_some(Cut::Saving);
        let plan = Plan { damaged, only, ..self.plan(seed) };
        Ok(self.lost.cut_off(plan, Some(ignored)).await?.0)
    }

    async fn hands(&mut self, seed: u64, ignored: Option<&Pattern>) -> Result<Outcome> {
        let folder = self.fresh_folder();
        power::cuts(&folder, self.lost.cuts, self.lost.seed + seed, ignored).await
    }

    fn plan(&mut self, seed: u64) -> Plan {
        let mut plan = self.lost.plan(&self.fresh_folder());
        plan.seed += seed;
        plan.on_disk = true;
        plan.with_bucket = !self.lost.no_bucket;
        plan
    }

    fn fresh_folder(&mut self) -> PathBuf {
        self.runs += 1;
        self.folder.join(self.runs.to_string())
    }
}
