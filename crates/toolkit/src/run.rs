//! A run of an experiment, from its first line to its verdict.
//!
//! The order of things is chaoslib's (`Runner._run`), and so is what each kind of error ends; the
//! strict verdict differs where `Verdict` says so. One task is the foreground: signals are raised
//! in what it does. Background activities and the continuous hypothesis are tasks of their own.

mod activity;

mod controls;

mod hypothesis;

mod method;

mod prepare;

mod recover;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock;
use crate::durable;
use crate::journal::{Journal, has_hypothesis};
use crate::raise::Raise;
use crate::signals::Signals;
use crate::strategy::{Dry, Hypothesis, Rollbacks, Schedule, Verdict};
use crate::substitute::Variables;
use crate::undo::Record;
use crate::value::Value;
use crate::variables::Given;
use crate::verdict;
use crate::worker::{Thread, Worker};

pub use prepare::{named_controls, read_value, run, validate};
pub use recover::{Recovery, recover};

/// How a run is wanted.
pub struct Options {
    pub verdict: Verdict,
    /// Where the journal is written.
    pub journal: PathBuf,
    pub dry: Option<Dry>,
    /// By name, where the command line says; else the experiment or the settings do.
    pub hypothesis: Option<String>,
    pub rollbacks: Option<String>,
    pub schedule: Schedule,
    /// The interpreter for Python activities and controls; for a recovery, `None` is the run's own.
    pub python: Option<String>,
    pub given: Given,
    /// Chaos Toolkit's settings.
    pub settings: Value,
    /// Further controls for all levels, by name.
    pub controls: Vec<Value>,
    /// Whether the experiment is validated before it is run.
    pub validate: bool,
    pub tell: Tell,
}

/// Called with each line of progress.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub journal: Value,
    /// What went wrong; empty: it passed.
    pub failures: Vec<String>,
}

/// A run that goes on.
struct Run {
    verdict: Verdict,
    dry: Option<Dry>,
    schedule: Schedule,
    hypothesis: Hypothesis,
    rollbacks: Rollbacks,
    settings: Value,
    added: Vec<(String, String)>,
    journal_path: PathBuf,
    shared: Mutex<Shared>,
    /// Held while the journal's file is written, so that no older state overwrites a newer.
    writing: Mutex<()>,
    worker: Worker,
    signals: Signals,
    /// Set when what runs in the background is given up.
    abandoned: watch::Sender<bool>,
    /// Set when the continuous hypothesis is to end.
    method_over: watch::Sender<bool>,
    tell: Tell,
}

struct Shared {
    experiment: Value,
    variables: Variables,
    journal: Journal,
    global_controls: Vec<Value>,
}

impl Run {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn variables(&self) -> Variables {
        self.shared().variables.clone()
    }

    fn environment(&self, name: &str) -> Option<String> {
        let added = self.added.iter().rev().find(|(added, _)| added == name);
        added.map(|(_, value)| value.clone()).or_else(|| std::env::var(name).ok())
    }

    fn tell(&self, line: impl AsRef<str>) {
        (self.tell)(line.as_ref());
    }

    fn status(&self) -> Option<String> {
        self.shared().journal.status().map(str::to_owned)
    }

    fn set_status(&self, status: &str) {
        self.shared().journal.set("status", status);
    }

    fn is_ending(&self) -> bool {
        matches!(self.status().as_deref(), Some("aborted" | "failed" | "interrupted"))
    }

    /// Writes the journal on the way. That it cannot be written is told and ends nothing: least of
    /// all rollbacks.
    fn note_progress(&self) {
        if let Err(problem) = self.save() {
            self.tell(problem.text());
        }
    }

    /// Writes the journal as it is by now, to the disk.
    fn save(&self) -> Result<(), Raise> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = {
            let mut shared = self.shared();
            let Shared { experiment, journal, .. } = &mut *shared;
            journal.refresh(experiment);
            journal.value().clone()
        };
        self.write(&journal)
    }

    fn write(&self, journal: &Value) -> Result<(), Raise> {
        let path = &self.journal_path;
        let text = serde_json::to_vec_pretty(journal)
            .map_err(|error| Raise::Error(format!("cannot write the journal: {error}")))?;
        durable::write(path, &text, false).map_err(|error| {
            Raise::Error(format!("cannot write the journal {}: {error}", path.display()))
        })
    }

    /// Conducts the run. An error: it broke, and in `compat` there is no verdict.
    async fn conduct(self: &Arc<Run>) -> Result<Outcome, Raise> {
        let begun = clock::monotonic();
        self.save()?;
        self.configure_controls().await?;
        let ended = self.steps(begun).await;
        if let Err(raise) = &ended {
            self.finish_broken(raise);
        }
        let cleaned = self.clean_up_controls().await;
        self.abandoned.send_replace(true);
        self.worker.kill().await;
        ended?;
        cleaned?;
        let shared = self.shared();
        let failures = match self.verdict {
            Verdict::Compat => verdict::failures(&shared.journal, Verdict::Compat),
            Verdict::Strict => verdict_lines(shared.journal.value()),
        };
        Ok(Outcome { journal: shared.journal.value().clone(), failures })
    }

    /// Everything between the configuration of the controls and their clean-up.
    async fn steps(self: &Arc<Run>, begun: std::time::Instant) -> Result<(), Raise> {
        let with_rollbacks = self.experiment().await?;
        if with_rollbacks {
            self.roll_back().await?;
        } else {
            self.tell("rollbacks are left out, as the signal said");
        }
        {
            let mut shared = self.shared();
            let journal = &mut shared.journal;
            journal.set("end", clock::written(clock::now()));
            journal.set("duration", begun.elapsed().as_secs_f64());
            if !matches!(journal.status(), Some("completed" | "failed" | "aborted" | "interrupted"))
            {
                journal.set("status", "completed");
            }
            if self.verdict == Verdict::Strict {
                add_verdict(journal);
            }
        }
        self.save()?;
        let journal = self.shared().journal.value().clone();
        match self.controls("experiment", "after", &Vec::new(), Some(journal), Thread::Main).await {
            Ok(Some(changed)) => self.set_journal(changed),
            Ok(None) | Err(Raise::Interrupt(_)) => {}
            Err(raise) => return Err(raise),
        }
        let journal = self.shared().journal.value().clone();
        self.write(&journal)
    }

    /// Hypothesis and method; says whether rollbacks may follow.
    async fn experiment(self: &Arc<Run>) -> Result<bool, Raise> {
        let mut continuous = None;
        let ended = self.experiment_steps(&mut continuous).await;
        let mut with_rollbacks = true;
        let broken = match ended {
            Ok(()) => None,
            Err(Raise::Error(problem)) => {
                if self.verdict == Verdict::Strict {
                    self.tell(format!("the run broke: {problem}"));
                    self.set_status("aborted");
                    None
                } else {
                    Some(Raise::Error(problem))
                }
            }
            Err(raise) => {
                self.tell(format!("interrupted: {}", raise.text()));
                self.set_status("interrupted");
                with_rollbacks = raise != Raise::Exit(Raise::EXIT_WITHOUT_ROLLBACKS);
                None
            }
        };
        if broken.is_some() {
            self.method_over.send_replace(true);
        }
        if let Some(continuous) = continuous
            && let Err(raise) = self.wait(continuous).await
        {
            if self.verdict == Verdict::Compat {
                return Err(raise);
            }
            self.set_status("interrupted");
        }
        self.note_progress();
        broken.map_or(Ok(with_rollbacks), Err)
    }

    async fn experiment_steps(
        self: &Arc<Run>,
        continuous: &mut Option<JoinHandle<()>>,
    ) -> Result<(), Raise> {
        self.controls("experiment", "before", &Vec::new(), None, Thread::Main).await?;
        let with_hypothesis =
            self.hypothesis != Hypothesis::Skip && has_hypothesis(&self.shared().experiment);
        if with_hypothesis && self.hypothesis.before() && !self.gate().await? {
            return Ok(());
        }
        if with_hypothesis && self.hypothesis.during() {
            *continuous = Some(self.start_continuous_hypothesis());
        }
        self.record_rollbacks()?;
        let completed = self.method().await?;
        self.method_over.send_replace(true);
        let is_over = matches!(self.status().as_deref(), Some("interrupted" | "aborted"));
        if with_hypothesis && completed && !is_over && self.hypothesis.after() {
            self.deviation().await?;
        }
        Ok(())
    }

    /// Waits for a task of the background; a signal ends the wait.
    async fn wait(&self, task: JoinHandle<()>) -> Result<(), Raise> {
        tokio::select! {
            biased;
            _ended = task => Ok(()),
            signal = self.signals.next() => Err(signal.raise()),
        }
    }

    /// Leaves a journal that says how far it came.
    fn finish_broken(&self, raise: &Raise) {
        self.tell(format!("the run broke: {}", raise.text()));
        {
            let mut shared = self.shared();
            shared.journal.set("status", "aborted");
            shared.journal.set("end", clock::written(clock::now()));
        }
        self.note_progress();
    }

    /// Before the method of a strict run: what has to be rolled back, on the disk.
    fn record_rollbacks(&self) -> Result<(), Raise> {
        let path = Record::path(&self.journal_path);
        let pretends = self.dry.is_some_and(|dry| dry.pretends("action"));
        if self.verdict != Verdict::Strict || self.rollbacks == Rollbacks::Never || pretends {
            return Ok(());
        }
        let shared = self.shared();
        let mut record = Record::new(
            shared.experiment.clone(),
            shared.variables.configuration.clone(),
            self.worker.interpreter(),
        )
        .map_err(|error| Raise::Error(format!("cannot record the rollbacks: {error}")))?;
        record.environment.clone_from(&self.added);
        if record.pending().is_empty() {
            return Ok(());
        }
        record.write(&path).map_err(|error| {
            Raise::Error(format!("cannot record the rollbacks in {}: {error}", path.display()))
        })
    }
}

/// What the strict verdict in a journal holds against the run.
fn verdict_lines(journal: &Value) -> Vec<String> {
    let failures = journal.get("verdict").and_then(|verdict| verdict.get("failures"));
    let failures = failures.and_then(Value::as_list).unwrap_or_default();
    failures.iter().map(Value::to_string).collect()
}

/// The strict verdict, in the journal; a run with failures is not `completed`.
fn add_verdict(journal: &mut Journal) {
    let failures = verdict::failures(journal, Verdict::Strict);
    if !failures.is_empty() && journal.status() == Some("completed") {
        journal.set("status", "failed");
    }
    let passed = failures.is_empty();
    let failures = Value::List(failures.into_iter().map(Value::from).collect());
    let verdict: Value =
        [("mode", "strict".into()), ("passed", passed.into()), ("failures", failures)].into();
    journal.set("verdict", verdict);
}
