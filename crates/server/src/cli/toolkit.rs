//! `immune drill run` of a Chaos Toolkit file: run here, without a server.
//!
//! Exit status: 0 it passed; 1 it did not, is not valid, or broke; 2 wrong use.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::toolkit::{Dry, Given, Options, Schedule, Tell, Value, Verdict, by_name};
use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::text::{Paint, paint};

/// How a Chaos Toolkit experiment is run; none of it is for Immune's own experiments.
#[derive(Args)]
#[command(next_help_heading = "Chaos Toolkit experiments (files with a `method`)")]
pub(super) struct RunArgs {
    /// How the run is judged: `compat` is what chaostoolkit does
    #[arg(long, value_enum, default_value_t = Judge::Strict)]
    verdict: Judge,
    /// Where the journal is written
    #[arg(
        long,
        visible_alias = "journal-path",
        value_name = "PATH",
        default_value = "./journal.json"
    )]
    journal: PathBuf,
    /// Only pretend: probes, actions, all activities, or pauses
    #[arg(long, value_name = "WHAT", value_parser = names(Dry::NAMES))]
    dry: Option<String>,
    /// When rollbacks are played
    #[arg(long, value_name = "WHEN", value_parser = names(::toolkit::Rollbacks::NAMES))]
    rollback_strategy: Option<String>,
    /// When the steady-state hypothesis is looked at
    #[arg(long, value_name = "WHEN", value_parser = names(::toolkit::Hypothesis::NAMES))]
    hypothesis_strategy: Option<String>,
    /// Seconds between two looks at a continuous hypothesis
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    hypothesis_frequency: f64,
    /// End the run as soon as a continuous hypothesis is not met
    #[arg(long)]
    fail_fast: bool,
    /// With --fail-fast: only from this share of missed looks on
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    fail_fast_ratio: f64,
    /// Do not validate the experiment before it is run
    #[arg(long)]
    no_validation: bool,
    #[command(flatten)]
    shared: SharedArgs,
}

/// What running, validating and recovering have in common.
#[derive(Args)]
pub(super) struct SharedArgs {
    /// Python interpreter for Python activities and controls [default: that of the active virtual
    /// environment, else python3; for recover, the run's own]
    #[arg(long, value_name = "INTERPRETER")]
    python: Option<String>,
    /// A value for configuration; TYPE: str, int, float, bool, json
    #[arg(long, value_name = "NAME[:TYPE]=VALUE")]
    var: Vec<String>,
    /// Values for configuration and secrets (JSON, YAML), or variables of the environment (.env)
    #[arg(long, value_name = "FILE")]
    var_file: Vec<PathBuf>,
    /// Further controls for all levels
    #[arg(long, value_name = "FILE")]
    control_file: Vec<PathBuf>,
    /// Chaos Toolkit's settings [default: ~/.chaostoolkit/settings.yaml]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Judge {
    Strict,
    Compat,
}

fn names<T>(names: &'static [(&'static str, T)]) -> PossibleValuesParser {
    PossibleValuesParser::new(names.iter().map(|(name, _)| *name))
}

#[derive(Args)]
pub(super) struct Validate {
    /// Experiment file, Immune's or Chaos Toolkit's
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: SharedArgs,
}

#[derive(Args)]
pub(super) struct Recover {
    /// Journal of the run that was ended before its rollbacks
    #[arg(value_name = "JOURNAL", default_value = "./journal.json")]
    journal: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: SharedArgs,
}

/// The experiment in this file, if it is one of Chaos Toolkit's.
pub(super) fn is_experiment(file: &Path) -> bool {
    ::toolkit::read_value(file).is_ok_and(|value| ::toolkit::is_experiment(&value))
}

impl RunArgs {
    pub(super) fn run(self, file: &Path, json: bool) -> Result<ExitCode> {
        let mut options = self.shared.options(!json)?;
        options.verdict = match self.verdict {
            Judge::Strict => Verdict::Strict,
            Judge::Compat => Verdict::Compat,
        };
        options.journal = self.journal;
        options.dry = self.dry.and_then(|name| by_name(Dry::NAMES, &name).ok());
        options.rollbacks = self.rollback_strategy;
        options.hypothesis = self.hypothesis_strategy;
        options.validate = !self.no_validation;
        let frequency = Duration::try_from_secs_f64(self.hypothesis_frequency)
            .context("--hypothesis-frequency must be a number of seconds")?;
        options.schedule = Schedule {
            frequency,
            fail_fast: self.fail_fast,
            fail_fast_ratio: self.fail_fast_ratio,
        };
        let journal = options.journal.display().to_string();
        let outcome = block_on(::toolkit::run(file, options)).with_context(|| file_name(file))?;
        if json {
            say(&serde_json::to_string_pretty(&outcome.journal)?);
        } else {
            say(&verdict(&outcome));
            say(&paint(Paint::Dim, &format!("journal: {journal}")));
        }
        Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Validate {
    pub(super) fn run(self) -> Result<ExitCode> {
        let name = file_name(&self.file);
        let checked = self.check(&name);
        if self.json {
            let error = checked.as_ref().err().map(|error| format!("{error:#}"));
            let answer = json!({ "file": name, "valid": error.is_none(), "error": error });
            say(&serde_json::to_string_pretty(&answer)?);
            let valid = checked.is_ok();
            return Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        checked?;
        say(&format!("{name}: valid"));
        Ok(ExitCode::SUCCESS)
    }

    fn check(&self, name: &str) -> Result<()> {
        if is_experiment(&self.file) || !is_own(&self.file)? {
            let options = self.shared.options(!self.json)?;
            block_on(::toolkit::validate(&self.file, options)).with_context(|| name.to_owned())?;
        }
        Ok(())
    }
}

/// Whether the file is a valid experiment of Immune's own; a file that looks like neither is judged
/// as Chaos Toolkit's when it has anything of theirs.
fn is_own(file: &Path) -> Result<bool> {
    let name = file_name(file);
    let theirs = ["steady-state-hypothesis", "rollbacks", "description", "contributions"];
    if let Ok(value) = ::toolkit::read_value(file)
        && theirs.iter().any(|key| value.get(key).is_some())
    {
        return Ok(false);
    }
    let content = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    chaos::parse(&content).context(name)?;
    Ok(true)
}

impl Recover {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut options = self.shared.options(!self.json)?;
        let journal = self.journal.display().to_string();
        options.journal = self.journal;
        options.python = self.shared.python;
        let recovery = block_on(::toolkit::recover(options))?;
        if self.json {
            let played = recovery.as_ref().map_or(0, |recovery| recovery.played);
            let failures = recovery.map_or_else(Vec::new, |recovery| recovery.failures);
            let answer = json!({ "journal": journal, "played": played, "failures": failures });
            say(&serde_json::to_string_pretty(&answer)?);
            let failed = !failures.is_empty();
            return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        let Some(recovery) = recovery else {
            say(&format!("{journal}: nothing is left to be rolled back"));
            return Ok(ExitCode::SUCCESS);
        };
        say(&format!("{} rollbacks played", recovery.played));
        for failure in &recovery.failures {
            say(&format!("  {}", paint(Paint::Red, failure)));
        }
        let failed = !recovery.failures.is_empty();
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl SharedArgs {
    fn options(&self, tells: bool) -> Result<Options> {
        let mut given = Given::default();
        for file in &self.var_file {
            let name = file_name(file);
            let content =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
            given.add_file(&name, &content).map_err(anyhow::Error::msg).context(name)?;
        }
        for variable in &self.var {
            given.add_variable(variable).map_err(anyhow::Error::msg).context("--var")?;
        }
        let mut controls = Vec::new();
        for file in &self.control_file {
            let declared = ::toolkit::read_value(file).map_err(anyhow::Error::msg)?;
            controls.extend(::toolkit::named_controls(Some(&declared)));
        }
        let tell: Tell = match tells {
            true => Arc::new(say),
            false => Arc::new(|_: &str| {}),
        };
        Ok(Options {
            verdict: Verdict::Strict,
            journal: PathBuf::new(),
            dry: None,
            hypothesis: None,
            rollbacks: None,
            schedule: Schedule::default(),
            python: Some(self.python.clone().unwrap_or_else(interpreter)),
            given,
            settings: self.settings()?,
            controls,
            validate: true,
            tell,
        })
    }

    fn settings(&self) -> Result<Value> {
        if let Some(file) = &self.settings {
            return ::toolkit::read_value(file).map_err(anyhow::Error::msg);
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let file = home.map(|home| home.join(".chaostoolkit/settings.yaml"));
        match file.filter(|file| file.exists()) {
            Some(file) => ::toolkit::read_value(&file).map_err(anyhow::Error::msg),
            None => Ok(Value::Null),
        }
    }
}

/// The interpreter that `python3` means to people here.
fn interpreter() -> String {
    let environment = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let python = environment.map(|folder| folder.join("bin/python")).filter(|path| path.exists());
    python.map_or_else(|| "python3".to_owned(), |path| path.to_string_lossy().into_owned())
}

fn verdict(outcome: &::toolkit::Outcome) -> String {
    let mut lines = vec![match outcome.failures.is_empty() {
        true => paint(Paint::Green, "PASSED"),
        false => paint(Paint::Red, "FAILED"),
    }];
    lines.extend(outcome.failures.iter().map(|failure| format!("  {failure}")));
    lines.join("\n")
}

/// Prints a line. That nobody listens any more must neither end a run before its rollbacks nor hide
/// that it failed.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn file_name(file: &Path) -> String {
    file.display().to_string()
}

fn block_on<T>(run: impl Future<Output = Result<T, String>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start")?;
    let done = runtime.block_on(run);
    // What was given up in the background does not keep the program from ending.
    runtime.shutdown_background();
    match done {
        Ok(done) => Ok(done),
        Err(problem) => bail!(problem),
    }
}
