//! From a file to a run that can begin: loaded, validated, configured.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::recover::recover_before;
use super::{Options, Outcome, Run, Shared};
use crate::clock;
use crate::experiment::{self, Question};
use crate::journal::Journal;
use crate::providers::process::find_program;
use crate::raise::{Failure, Raise};
use crate::read::{self, FILE_BYTES_MAX, Format};
use crate::signals::Signals;
use crate::strategy::{Hypothesis, Rollbacks, Verdict, by_name, runtime};
use crate::substitute::Variables;
use crate::value::{Map, Value};
use crate::variables;
use crate::worker::{Thread, Worker};

/// Validates the experiment in a file, by chaoslib's rules.
pub async fn validate(file: &Path, options: Options) -> Result<(), String> {
    let run = Run::new(&options, Value::Null);
    let experiment = run.load(file).await?;
    let validated = run.validate(&experiment).await;
    run.worker.kill().await;
    validated
}

/// Runs the experiment in a file.
///
/// An error says why there is no verdict: the experiment is not valid, could not be configured, or
/// broke on the way in a manner that ends chaostoolkit, too.
pub async fn run(file: &Path, options: Options) -> Result<Outcome, String> {
    if options.verdict == Verdict::Strict {
        recover_before(&options).await?;
    }
    let mut run = Run::new(&options, Value::Null);
    let loaded = run.load(file).await;
    let prepared = match loaded {
        Ok(experiment) => run.prepare(experiment, &options).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = prepared {
        run.worker.kill().await;
        return Err(problem);
    }
    let strict = run.verdict == Verdict::Strict;
    run.signals.listen(strict).map_err(|error| format!("cannot listen to signals: {error}"))?;
    Arc::new(run).conduct().await.map_err(|raise| raise.text())
}

/// Reads a file that holds a value, bounded.
pub fn read_value(file: &Path) -> Result<Value, String> {
    let name = file.display().to_string();
    let format = Format::of(&name)
        .ok_or("only files with json, yaml or yml extensions are supported".to_owned())?;
    let told = |problem: String| format!("{name}: {problem}");
    let size = std::fs::metadata(file).map_err(|error| told(error.to_string()))?.len();
    if size > FILE_BYTES_MAX as u64 {
        return Err(told(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| told(error.to_string()))?;
    read::parse(&text, format).map_err(told)
}

/// The controls that settings or a control file declare, by name.
pub fn named_controls(declared: Option<&Value>) -> Vec<Value> {
    let Some(Value::Map(controls)) = declared else { return Vec::new() };
    let named = |(name, control): (&String, &Value)| match control {
        Value::Map(control) => {
            let mut control = control.clone();
            control.insert("name".to_owned(), Value::text(name));
            Some(Value::Map(control))
        }
        _ => None,
    };
    controls.iter().filter_map(named).collect()
}

impl Run {
    /// A run of this experiment, which is not yet configured.
    pub(super) fn new(options: &Options, experiment: Value) -> Run {
        let signals = Signals::default();
        let added = options.given.environment.clone();
        let insist = options.verdict == Verdict::Strict;
        let python = options.python.clone().unwrap_or_else(|| "python3".to_owned());
        let mut global_controls = named_controls(options.settings.get("controls"));
        global_controls.extend(options.controls.iter().cloned());
        Run {
            verdict: options.verdict,
            dry: options.dry,
            schedule: options.schedule,
            hypothesis: Hypothesis::Default,
            rollbacks: Rollbacks::Default,
            settings: options.settings.clone(),
            worker: Worker::new(python, added.clone(), signals.clone(), insist),
            added,
            journal_path: options.journal.clone(),
            shared: Mutex::new(Shared {
                experiment,
                variables: Variables::default(),
                journal: Journal::from_value(Value::Null),
                global_controls,
            }),
            writing: Mutex::default(),
            signals,
            abandoned: watch::channel(false).0,
            method_over: watch::channel(false).0,
            tell: options.tell.clone(),
        }
    }

    async fn load(&self, file: &Path) -> Result<Value, String> {
        let source = file.display().to_string();
        let raised = |raise: Raise| raise.text();
        self.loader_controls("before", &source, Value::Null).await.map_err(raised)?;
        let experiment = read_value(file)?;
        let changed = self.loader_controls("after", &source, experiment.clone()).await;
        Ok(changed.map_err(raised)?.unwrap_or(experiment))
    }

    pub(super) async fn validate(&self, experiment: &Value) -> Result<(), String> {
        let environment = |name: &str| self.environment(name);
        for question in experiment::validate(experiment, &environment)? {
            match question {
                Question::Program { activity, path } => {
                    if find_program(&path, &environment).is_none() {
                        return Err(format!(
                            "path '{path}' cannot be found, in activity '{activity}'"
                        ));
                    }
                }
                Question::Function(activity) => {
                    self.ask("check_function", "activity", activity).await?;
                }
                Question::Control(control) => {
                    self.ask("check_control", "control", control).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, operation: &str, key: &str, about: Value) -> Result<(), String> {
        let fields = Map::from_iter([(key.to_owned(), about)]);
        match self.worker.call(Thread::Main, operation, fields).await {
            Ok(Value::Text(problem)) | Err(Failure::Activity(problem)) => Err(problem),
            Ok(_) => Ok(()),
            Err(Failure::Raise(raise)) => Err(raise.text()),
        }
    }

    /// Validates the experiment, chooses strategies, loads configuration and secrets, and begins
    /// the journal.
    async fn prepare(&mut self, mut experiment: Value, options: &Options) -> Result<(), String> {
        if options.validate {
            self.validate(&experiment).await?;
        }
        let Value::Map(entries) = &mut experiment else {
            return Err("an experiment is a map".to_owned());
        };
        let dry = options.dry.map_or(Value::Null, |dry| dry.name().into());
        entries.insert("dry".to_owned(), dry);
        let name = options.hypothesis.as_deref();
        let name = runtime("hypothesis", name, &experiment, &options.settings).to_owned();
        self.hypothesis = by_name(Hypothesis::NAMES, &name)?;
        let name = options.rollbacks.as_deref();
        let name = runtime("rollbacks", name, &experiment, &options.settings).to_owned();
        self.rollbacks = match by_name(Rollbacks::NAMES, &name) {
            Ok(strategy) => strategy,
            // Chaoslib plays none when it does not know the strategy.
            Err(_) if self.verdict == Verdict::Compat => Rollbacks::Never,
            Err(problem) => return Err(format!("rollback strategy {problem}")),
        };
        self.configure(&experiment, options).await?;

        let title = experiment.get("title").cloned().unwrap_or_default();
        let title = self.variables().substitute(&title).map_err(|error| error.to_string())?;
        if let Value::Map(entries) = &mut experiment {
            entries.insert("title".to_owned(), title.clone());
        }
        self.tell(format!("experiment: {title}"));
        let (platform, node) = machine();
        let start = clock::written(clock::now());
        let mut shared = self.shared();
        shared.journal = Journal::begin(&experiment, &platform, &node, start);
        shared.experiment = experiment;
        Ok(())
    }

    /// Loads configuration and secrets, then the configuration that probes give.
    pub(super) async fn configure(
        &self,
        experiment: &Value,
        options: &Options,
    ) -> Result<(), String> {
        let environment = |name: &str| self.environment(name);
        let declared = experiment.get("configuration");
        let given = &options.given.configuration;
        let configuration = variables::configuration(declared, given, &environment)?;
        let given = Some(&options.given.secrets);
        let secrets = variables::secrets(experiment.get("secrets"), given, &environment)?;
        self.shared().variables = Variables { configuration: Map::new(), secrets };
        for (key, value) in configuration {
            let loaded = match value.get_str("type") {
                Some("probe") => self.configuration_of(value).await?,
                _ => Some(value),
            };
            if let Some(loaded) = loaded {
                self.shared().variables.configuration.insert(key, loaded);
            }
        }
        Ok(())
    }

    /// What a probe gives as configuration; nothing when it fails.
    async fn configuration_of(&self, mut probe: Value) -> Result<Option<Value>, String> {
        let secrets = self.variables().secrets;
        let name = probe.get("name").cloned().unwrap_or_default();
        let provider = probe.get_mut("provider").ok_or("a probe needs a provider")?;
        let kind = provider.get_str("type").ok_or("a provider needs a type")?.to_owned();
        if let Value::Map(provider) = provider {
            // All secrets are there for it, whatever it asks for.
            provider.insert("secrets".to_owned(), Value::Map(secrets));
        }
        let output = match self.provide(&probe, Thread::Main).await {
            Ok(output) => output,
            Err(Failure::Activity(problem) | Failure::Raise(Raise::Error(problem))) => {
                self.tell(format!("configuration from probe {name} failed: {problem}"));
                return Ok(None);
            }
            Err(Failure::Raise(raise)) => return Err(raise.text()),
        };
        Ok(match kind.as_str() {
            "python" => Some(output),
            "process" if output.get("status") == Some(&Value::from(0)) => {
                output.get_str("stdout").map(|stdout| Value::text(stdout.trim()))
            }
            "process" => {
                let stderr = output.get_str("stderr").unwrap_or_default();
                self.tell(format!("configuration from probe {name} failed: {stderr}"));
                None
            }
            _ => output.get("body").cloned(),
        })
    }
}

/// Names of the platform and the node.
fn machine() -> (String, String) {
    let system = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let platform = [system.sysname(), system.release(), system.machine()].map(text).join("-");
    (platform, text(system.nodename()))
}
