//! `bench lost`: does the server lose anything that it acknowledged?
//!
//! It is cut off again and again: under load, in the middle of a start (and so of a replay), while
//! it saves its state, and while files of telemetry are written, merged, deleted and uploaded; and
//! started again on the same folder. A cut is SIGKILL; with `--disk` it is a power cut as well: the
//! data folder lies on a disk that forgets what was not synced, and that is full now and then
//! (`disk`). Four connections send items that are each numbered once and never sent twice. In the
//! end the server is asked for all of them: every acknowledged item must be in its answers exactly
//! once. So it must be in the input log, as far as that goes back; the journal must have no gap and
//! nothing that was seen of it may have changed, and a replay must give the same journal byte for
//! byte.
//!
//! `--prove-fsyncs` shows that each fsync is needed: once for each kind of file and folder that the
//! server syncs, the disk ignores just those, and the run has to fail.

pub mod answers;

mod bucket;

mod cuts;

mod known;

pub mod items;

pub mod load;

mod proof;

mod readback;

mod run;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::disk::Pattern;
use crate::figures::{Outcome, quantile};
use crate::programs::Workplace;
use crate::serving::replay;
use cuts::Cut;
use run::{Ended, Plan, Run};

#[derive(Args)]
pub struct Lost {
    /// How many times the server is cut off
    #[arg(long, default_value_t = 20)]
    cuts: u32,
    /// The same seed cuts at the same delays
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The power is cut: the data folder lies on a disk that forgets what was not synced (needs
    /// /dev/fuse and root)
    #[arg(long)]
    disk: bool,
    /// That disk ignores fsyncs of these files, or folders (which end with a slash); `*` stands for
    /// anything within a name
    #[arg(long, value_name = "PATTERN", requires = "disk")]
    ignore_fsync: Option<String>,
    /// Ignore each kind of fsync once, and show that each run then fails
    #[arg(long, conflicts_with = "ignore_fsync")]
    prove_fsyncs: bool,
    /// Cut at these moments only
    #[arg(long, value_enum)]
    only: Option<Cut>,
    /// No object store, though `weed` is there
    #[arg(long)]
    no_bucket: bool,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary folder
    #[arg(long)]
    keep: bool,
}

impl Lost {
    pub async fn run(self) -> Result<Outcome> {
        let workplace = Workplace::new(self.dir.as_deref(), self.keep)?;
        let folder = workplace.path();
        let mut outcome = if self.prove_fsyncs {
            proof::prove(&self, folder).await?
        } else {
            let pattern = self.ignore_fsync.as_deref().map(Pattern::new);
            self.cut_off(self.plan(folder), pattern).await?.0
        };
        outcome.figures["dir"] = json!(workplace.kept());
        Ok(outcome)
    }

    fn plan(&self, folder: &Path) -> Plan {
        Plan {
            folder: folder.to_owned(),
            seed: self.seed,
            on_disk: self.disk,
            with_bucket: self.disk && !self.no_bucket,
            only: self.only,
            damaged: None,
        }
    }

    /// One run of all cuts. Also how often what was synced.
    async fn cut_off(
        &self,
        plan: Plan,
        ignored: Option<Pattern>,
    ) -> Result<(Outcome, std::collections::BTreeMap<String, u64>)> {
        let seed = plan.seed;
        let mut run = Run::begin(plan).await?;
        if let Some(disk) = &run.disk {
            disk.ignore(ignored);
        }
        for number in 1..=self.cuts {
            let cut = run.cut().await.with_context(|| format!("cut {number}"))?;
            let acknowledged = run.load.acknowledged();
            eprintln!("cut {number}/{}: {cut}; {acknowledged} items acknowledged", self.cuts);
        }
        let (run, ended) = run.finish().await.context("after the last cut")?;
        let syncs = run.disk.as_ref().map(|disk| disk.syncs()).unwrap_or_default();
        Ok((self.outcome(run, ended, seed).await?, syncs))
    }

    async fn outcome(&self, run: Run, ended: Ended, seed: u64) -> Result<Outcome> {
        let Ended { sent, answers, data, storage } = ended;
        eprintln!("reading back the log");
        let found = readback::read(&data, sent.numbered)?;
        let log_is_whole = found.first == 1;
        let journal = run.known.compare(&data)?;
        let answered = answers.tally(&sent.acknowledged);
        let mut figures = json!({
            "bench": "lost",
            "profile": run.programs.profile(),
            "seed": seed,
            "cuts": self.cuts,
            "power_cuts": run.disk.is_some(),
            "uploads": run.bucket.is_some(),
            "numbered": sent.numbered,
            "acknowledged": answered.acknowledged,
            "missing": answered.missing,
            "duplicates": answered.duplicates,
            "not_acknowledged_but_there": answered.extra,
            "never_numbered": answers.strangers,
            "answers": {
                "spans": answers.spans,
                "log_records": answers.records,
                "points": answers.points,
                "wrong": answers.examples(&sent.acknowledged),
            },
            "log_entries": found.entries,
            "log_gaps": found.gaps,
            "log_first": found.first,
            "journal": journal,
            "storage": storage,
            "start_p50_s": quantile(&run.starts_s, 0.5),
            "start_max_s": quantile(&run.starts_s, 1.0),
        });
        for (cut, count) in Cut::ALL.iter().zip(run.cuts) {
            figures[format!("cuts_{}", cut.as_str())] = count.into();
        }
        if let Some(disk) = &run.disk {
            figures["taken_by_cuts"] = json!({
                "changes_of_names": run.taken.changes_of_names,
                "files_changed": run.taken.files_changed,
            });
            figures["times_full"] = run.times_full.into();
            figures["fsyncs"] = json!(disk.syncs());
            figures["fsyncs_ignored"] = disk.syncs_ignored().into();
        }
        let mut outcome = Outcome::new(figures);
        outcome.promise(answered.missing == 0, "acknowledged items are missing in answers");
        outcome.promise(answered.duplicates == 0, "items are in answers more than once");
        outcome.promise(answers.strangers == 0, "answers hold items that were never sent");
        outcome.promise(found.gaps == 0, "log entries cannot be read");
        outcome.promise(found.strangers == 0, "items bear numbers that were never sent");
        outcome.promise(journal.is_whole(), "journal or incidents lost something");
        outcome.promise(!run.state_was_lost()?, "a start found no snapshot, and a trimmed log");
        if log_is_whole {
            let tally = found.tally(&sent.acknowledged);
            outcome.promise(tally.missing == 0, "acknowledged items are missing in the log");
            outcome.promise(tally.duplicates == 0, "items are in the log more than once");
            eprintln!("replaying");
            let (identical, report) = replay(&run.programs, &data).await?;
            outcome.figures["log_missing"] = tally.missing.into();
            outcome.figures["log_duplicates"] = tally.duplicates.into();
            outcome.figures["replay_identical"] = identical.into();
            outcome.figures["replay"] = report;
            outcome.promise(identical, "the replay differs from the journal");
        }
        Ok(outcome)
    }
}

/// What is told of one run whose fsyncs of a kind were ignored.
fn verdict(found: &Result<Outcome>) -> (bool, Value) {
    match found {
        Ok(outcome) => (!outcome.broken.is_empty(), json!(outcome.broken)),
        Err(error) => (true, json!([format!("{error:#}")])),
    }
}
