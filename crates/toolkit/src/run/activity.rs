//! One activity: its pauses, its controls, what it does, and what the journal says of it.

use std::sync::Arc;

use super::Run;
use crate::clock;
use crate::experiment::{Place, resolve};
use crate::journal::List;
use crate::providers::{http, process};
use crate::raise::{Failure, Raise};
use crate::strategy::{Dry, Verdict, by_name};
use crate::undo::Record;
use crate::value::{Map, Value};
use crate::verdict::process_failure;
use crate::worker::Thread;

impl Run {
    /// Executes the activity at this place, or the one it refers to; gives what the journal says of
    /// it. With a `list` it stands in the journal from its start.
    pub(super) async fn execute(
        self: &Arc<Run>,
        place: &Place,
        list: Option<List>,
        thread: Thread,
    ) -> Result<Value, Raise> {
        let resolved = resolve(&self.shared().experiment, place).map_err(Raise::Error)?;
        let mut index = None;
        let executed = match self.controls("activity", "before", &resolved, None, thread).await {
            Ok(_) => self.activity(&resolved, list, &mut index, thread).await,
            Err(raise) => Err(raise),
        };
        let state = executed.as_ref().ok().cloned();
        let changed = self.controls("activity", "after", &resolved, state, thread).await?;
        let run = executed?;
        match (changed, list, index) {
            (None, _, _) => Ok(run),
            (Some(changed), Some(list), Some(index)) => {
                self.shared().journal.set_run(list, index, changed.clone());
                self.note_progress();
                Ok(changed)
            }
            (Some(changed), _, _) => Ok(changed),
        }
    }

    async fn activity(
        &self,
        place: &Place,
        list: Option<List>,
        index: &mut Option<usize>,
        thread: Thread,
    ) -> Result<Value, Raise> {
        let activity = self.shared().experiment.at(place).cloned().unwrap_or_default();
        let dry = self.dry_of(&activity);
        let kind = activity.get_str("type").unwrap_or_default().to_owned();
        let pretended = dry.is_some_and(|dry| dry.pretends(&kind));
        let with_pauses = !pretended && dry != Some(Dry::Pause);
        let pauses = activity.get("pauses").cloned().unwrap_or_default();
        let pauses = self.variables().substitute(&pauses)?;
        if with_pauses {
            self.pause(pauses.get("before"), thread).await?;
        }
        let name = activity.get("name").cloned().unwrap_or_default();
        self.tell(format!("{kind}: {name}"));

        let start = clock::now();
        let mut run: Value = [
            ("activity", activity.clone()),
            ("output", Value::Null),
            ("start", clock::written(start).into()),
        ]
        .into();
        if let Some(list) = list {
            *index = Some(self.shared().journal.add_run(list, run.clone()));
            self.note_progress();
        }
        let result = match pretended {
            true => Ok(Value::Null),
            false => self.provide(&activity, thread).await,
        };
        let ended = self.note(&mut run, &activity, result);
        let end = clock::now();
        set(&mut run, "end", clock::written(end));
        set(&mut run, "duration", end.0.saturating_sub(start.0) as f64 / 1e9);
        if let (Some(list), Some(index)) = (list, *index) {
            self.shared().journal.set_run(list, index, run.clone());
            self.note_progress();
        }
        if with_pauses {
            self.pause(pauses.get("after"), thread).await?;
        }
        ended.map(|()| run)
    }

    /// What is only pretended of this activity. Its own `dry` is text, which chaoslib compares with
    /// something else, so that there it takes a dry run's effect away; strictly it means what it
    /// says.
    fn dry_of(&self, activity: &Value) -> Option<Dry> {
        let Some(own) = activity.get("dry") else { return self.dry };
        match self.verdict {
            Verdict::Compat => None,
            Verdict::Strict => {
                own.as_str().and_then(|name| by_name(Dry::NAMES, name).ok()).or(self.dry)
            }
        }
    }

    async fn pause(&self, seconds: Option<&Value>, thread: Thread) -> Result<(), Raise> {
        let Some(pause) = seconds.filter(|seconds| seconds.truthy()) else { return Ok(()) };
        let seconds = pause.as_number().filter(|seconds| *seconds >= 0.0);
        let seconds = seconds
            .ok_or_else(|| Raise::Error(format!("a pause must be a number, not `{pause}`")))?;
        self.tell(format!("pausing for {pause} s"));
        self.raising(thread, tokio::time::sleep(clock::seconds(seconds))).await
    }

    /// Notes a result, or the failure, in what the journal says of an activity.
    fn note(
        &self,
        run: &mut Value,
        activity: &Value,
        result: Result<Value, Failure>,
    ) -> Result<(), Raise> {
        let failed = match result {
            Ok(output) => {
                let failed = match self.verdict {
                    Verdict::Strict => process_failure(activity, &output),
                    Verdict::Compat => None,
                };
                set(run, "output", output);
                failed
            }
            Err(Failure::Activity(problem)) => Some(problem),
            Err(Failure::Raise(raise)) => return Err(raise),
        };
        set(run, "status", if failed.is_some() { "failed" } else { "succeeded" });
        if let Some(problem) = failed {
            self.tell(format!("  failed: {problem}"));
            let line = format!("chaoslib.exceptions.ActivityFailed: {problem}\n");
            set(run, "exception", Value::List(vec![line.into()]));
        }
        Ok(())
    }

    /// Does what the activity says, by its provider.
    pub(super) async fn provide(&self, activity: &Value, thread: Thread) -> Result<Value, Failure> {
        let provider = activity.get("provider").cloned().unwrap_or_default();
        let variables = self.variables();
        let environment = |name: &str| self.environment(name);
        match provider.get_str("type") {
            Some("python") => self.call_python(&provider, thread).await,
            Some("process") => {
                let started = |pid: u32| self.note_started(activity, pid);
                let run = process::run(&provider, &variables, &self.added, &environment, &started);
                self.raising(thread, run).await?
            }
            Some("http") => self.raising(thread, http::run(&provider, &variables)).await?,
            _ => Ok(Value::Null),
        }
    }

    /// Notes in the record of a strict run which process an action started.
    fn note_started(&self, activity: &Value, pid: u32) {
        let path = Record::path(&self.journal_path);
        if self.verdict == Verdict::Strict
            && activity.get_str("type") == Some("action")
            && path.exists()
            && let Err(error) = Record::note_started(&path, pid)
        {
            self.tell(format!("cannot write {}: {error}", path.display()));
        }
    }

    async fn call_python(&self, provider: &Value, thread: Thread) -> Result<Value, Failure> {
        let variables = self.variables();
        let mut fields = Map::new();
        for key in ["module", "func"] {
            let missing = || Raise::Error(format!("a Python activity needs `{key}`"));
            let value = provider.get(key).cloned().ok_or_else(missing)?;
            fields.insert(key.to_owned(), value);
        }
        let arguments = match provider.get("arguments") {
            None => Value::Map(Map::new()),
            Some(arguments @ Value::Map(_)) => variables.substitute_arguments(arguments)?,
            Some(other) => {
                let kind = other.kind();
                return Err(Raise::Error(format!("arguments cannot be a {kind}")).into());
            }
        };
        fields.insert("arguments".to_owned(), arguments);
        let groups = match provider.get("secrets") {
            Some(Value::Map(groups)) => Some(groups.keys().map(Value::text).collect()),
            Some(Value::List(groups)) => Some(groups.clone()),
            Some(Value::Null) | None => None,
            Some(other) => {
                let kind = other.kind();
                let problem = format!("the `secrets` of an activity are a list, not a {kind}");
                return Err(Raise::Error(problem).into());
            }
        };
        fields.insert("groups".to_owned(), groups.map_or(Value::Null, Value::List));
        fields.insert("configuration".to_owned(), Value::Map(variables.configuration));
        fields.insert("secrets".to_owned(), Value::Map(variables.secrets));
        let answer = self.worker.call(thread, "activity", fields).await?;
        Ok(answer.get("output").cloned().unwrap_or_default())
    }

    /// Does something until it is done or a signal comes, in the foreground; in the background
    /// until the run gives up on it.
    pub(super) async fn raising<T>(
        &self,
        thread: Thread,
        work: impl Future<Output = T>,
    ) -> Result<T, Raise> {
        match thread {
            Thread::Main => tokio::select! {
                biased;
                signal = self.signals.next() => Err(signal.raise()),
                done = work => Ok(done),
            },
            Thread::Own => {
                let mut abandoned = self.abandoned.subscribe();
                tokio::select! {
                    biased;
                    _ = abandoned.wait_for(|abandoned| *abandoned) => {
                        Err(Raise::Exit(Raise::EXIT_WITHOUT_ROLLBACKS))
                    }
                    done = work => Ok(done),
                }
            }
        }
    }
}

fn set(run: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Map(map) = run {
        map.insert(key.to_owned(), value.into());
    }
}
