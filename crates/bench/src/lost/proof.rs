//! `--prove-fsyncs`: each kind of fsync is left out once, and the run must fail.
//!
//! The kinds are those that a first run shows: names of files and folders in which digits stand for
//! any. A run that does not fail says that this fsync is not needed for what is checked, or that
//! too few cuts were made to meet its absence.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::{Lost, verdict};
use crate::disk::Pattern;
use crate::figures::Outcome;

/// Cuts with one seed that are tried before an fsync is held to be unneeded.
const SEEDS: u64 = 3;
/// Files of which one stands in for the other: left out together.
const TOGETHER: [&str; 1] = ["immune/telemetry/catalog*"];

pub async fn prove(lost: &Lost, folder: &Path) -> Result<Outcome> {
    eprintln!("a run with every fsync done");
    let (whole, syncs) = lost.cut_off(&folder.join("whole"), true, None).await?;
    let mut rows = Vec::new();
    let mut needed = 0;
    let mut kinds: Vec<(String, u64)> = syncs.into_iter().collect();
    kinds.extend(TOGETHER.map(|pattern| (pattern.to_owned(), 0)));
    for (number, (kind, times)) in kinds.iter().enumerate() {
        let mut told = json!(null);
        let mut fails = false;
        for seed in 0..SEEDS {
            eprintln!("without fsyncs of {kind}");
            let folder = folder.join(format!("without-{number}-{seed}"));
            let lost = lost.with_seed(lost.seed + seed);
            let found = lost.cut_off(&folder, true, Some(Pattern::new(kind))).await;
            (fails, told) = verdict(&found.map(|(outcome, _)| outcome));
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
        "fsyncs_of_kinds": kinds.len(),
    }));
    outcome.promise(whole.broken.is_empty(), "the run with every fsync failed");
    outcome.promise(needed == kinds.len(), "some fsyncs could be left out unnoticed");
    Ok(outcome)
}

impl Lost {
    fn with_seed(&self, seed: u64) -> Lost {
        Lost {
            cuts: self.cuts,
            seed,
            disk: true,
            ignore_fsync: None,
            prove_fsyncs: false,
            only: self.only,
            no_bucket: self.no_bucket,
            dir: None,
            keep: false,
        }
    }
}
