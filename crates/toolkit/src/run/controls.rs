//! Controls, called in the user's Python: before and after an experiment, a hypothesis, a method,
//! an activity and the rollbacks.
//!
//! What a control changes of what it is given comes back and holds from then on. Its own errors are
//! told and otherwise ignored, but for `InterruptExecution`.

use super::{Run, Shared};
use crate::experiment::{Place, controls_for, to_configure};
use crate::journal::Journal;
use crate::raise::{Failure, Raise};
use crate::value::{Map, Step, Value};
use crate::worker::Thread;

impl Run {
    /// Calls the controls of a level and scope (`before`, `after`) for the context at `place`.
    /// Gives the state, where a control changed it.
    pub(super) async fn controls(
        &self,
        level: &str,
        scope: &str,
        place: &Place,
        mut state: Option<Value>,
        thread: Thread,
    ) -> Result<Option<Value>, Raise> {
        let controls = {
            let shared = self.shared();
            let context = shared.experiment.at(place).cloned().unwrap_or_default();
            controls_for(level, &shared.experiment, &context, &shared.global_controls)
        };
        let mut changed_state = None;
        for control in controls {
            let function = format!("{scope}_{level}_control");
            let extra: Value = [
                ("place", written(place)),
                ("state", state.clone().unwrap_or_default()),
                ("may_take", may_take(&["state", "extensions"])),
                ("with_context", true.into()),
            ]
            .into();
            let changed = self.apply(&control, scope, &function, extra, thread).await?;
            if let Some(changed) = changed.as_ref().and_then(|changed| changed.get("state")) {
                state = Some(changed.clone());
                changed_state = Some(changed.clone());
            }
        }
        Ok(changed_state)
    }

    /// The controls around the loading of an experiment: only global ones.
    pub(super) async fn loader_controls(
        &self,
        scope: &str,
        source: &str,
        state: Value,
    ) -> Result<Option<Value>, Raise> {
        let controls = self.shared().global_controls.clone();
        let mut loaded = None;
        for control in controls {
            let function = format!("{scope}_loading_experiment_control");
            let extra: Value = [
                ("context", source.into()),
                ("state", loaded.clone().unwrap_or_else(|| state.clone())),
                ("may_take", may_take(&["state"])),
                ("with_context", true.into()),
            ]
            .into();
            let changed = self.apply(&control, scope, &function, extra, Thread::Main).await?;
            if let Some(changed) = changed.as_ref().and_then(|changed| changed.get("state")) {
                loaded = Some(changed.clone());
            }
        }
        Ok(loaded)
    }

    /// Applies one control, if its scope is this one.
    async fn apply(
        &self,
        control: &Value,
        scope: &str,
        function: &str,
        extra: Value,
        thread: Thread,
    ) -> Result<Option<Value>, Raise> {
        if control.get_str("scope").is_some_and(|only| !only.is_empty() && only != scope) {
            return Ok(None);
        }
        match self.call_control(control, function, extra, true, thread).await {
            Ok(changed) => Ok(changed),
            Err(Failure::Raise(
                raise @ (Raise::Interrupt(_) | Raise::Keyboard | Raise::Exit(_)),
            )) => Err(raise),
            Err(Failure::Raise(Raise::Error(problem)) | Failure::Activity(problem)) => {
                let name = control.get("name").cloned().unwrap_or_default();
                self.tell(format!("control {name}: {function} failed: {problem}"));
                Ok(None)
            }
        }
    }

    /// Calls a function of a control's module and keeps what it changed; gives the changes.
    async fn call_control(
        &self,
        control: &Value,
        function: &str,
        extra: Value,
        substitutes: bool,
        thread: Thread,
    ) -> Result<Option<Value>, Failure> {
        let provider = control.get("provider").cloned().unwrap_or_default();
        if provider.get_str("type") != Some("python") {
            return Ok(None);
        }
        let variables = self.variables();
        let arguments = match provider.get("arguments") {
            Some(arguments) if substitutes => variables.substitute_arguments(arguments)?,
            Some(arguments) => arguments.clone(),
            None => Value::Map(Map::new()),
        };
        let experiment = self.shared().experiment.clone();
        let mut fields = Map::new();
        let mut add = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        add("module", provider.get("module").cloned().unwrap_or_default());
        add("func", function.into());
        add("arguments", arguments);
        add("configuration", Value::Map(variables.configuration));
        add("secrets", Value::Map(variables.secrets));
        add("settings", if self.settings.truthy() { self.settings.clone() } else { Value::Null });
        add("may_change", may_take(&["experiment", "configuration", "secrets", "state"]));
        add("experiment", experiment);
        if let Value::Map(extra) = extra {
            fields.extend(extra);
        }
        let answer = self.worker.call(thread, "control", fields).await?;
        let changed = answer.get("changed").cloned();
        if let Some(changed) = &changed {
            self.keep(changed);
        }
        Ok(changed)
    }

    fn keep(&self, changed: &Value) {
        let mut shared = self.shared();
        let Shared { experiment, variables, .. } = &mut *shared;
        if let Some(changed) = changed.get("experiment") {
            experiment.clone_from(changed);
        }
        for (key, into) in
            [("configuration", &mut variables.configuration), ("secrets", &mut variables.secrets)]
        {
            if let Some(Value::Map(changed)) = changed.get(key) {
                into.clone_from(changed);
            }
        }
    }

    /// Configures all controls. A global one that fails is left out from then on.
    pub(super) async fn configure_controls(&self) -> Result<(), Raise> {
        let function = "configure_control";
        let extra = || -> Value {
            [("may_take", may_take(&["event_registry"])), ("with_context", false.into())].into()
        };
        let mut kept = Vec::new();
        let global = self.shared().global_controls.clone();
        for control in global {
            match self.call_control(&control, function, extra(), false, Thread::Main).await {
                Ok(_) => kept.push(control),
                Err(failure) => self.tell_control(&control, failure)?,
            }
        }
        let controls = {
            let mut shared = self.shared();
            shared.global_controls = kept;
            to_configure(&shared.experiment)
        };
        for control in controls {
            if let Err(failure) =
                self.call_control(&control, function, extra(), false, Thread::Main).await
            {
                self.tell_control(&control, failure)?;
            }
        }
        Ok(())
    }

    /// Lets all controls clean up: an experiment's own may end the run with an error.
    pub(super) async fn clean_up_controls(&self) -> Result<(), Raise> {
        let extra = || -> Value {
            [
                ("may_take", Value::List(Vec::new())),
                ("arguments", Value::Map(Map::new())),
                ("with_context", false.into()),
            ]
            .into()
        };
        let (own, global) = {
            let shared = self.shared();
            (to_configure(&shared.experiment), shared.global_controls.clone())
        };
        for control in own {
            let cleaned =
                self.call_control(&control, "cleanup_control", extra(), false, Thread::Main).await;
            match cleaned {
                Err(Failure::Raise(raise)) => return Err(raise),
                Err(Failure::Activity(problem)) => return Err(Raise::Error(problem)),
                Ok(_) => {}
            }
        }
        for control in global {
            if let Err(failure) =
                self.call_control(&control, "cleanup_control", extra(), false, Thread::Main).await
            {
                self.tell_control(&control, failure)?;
            }
        }
        Ok(())
    }

    fn tell_control(&self, control: &Value, failure: Failure) -> Result<(), Raise> {
        let problem = match failure {
            Failure::Raise(raise @ (Raise::Keyboard | Raise::Exit(_))) => return Err(raise),
            Failure::Raise(raise) => raise.text(),
            Failure::Activity(problem) => problem,
        };
        let name = control.get("name").cloned().unwrap_or_default();
        self.tell(format!("control {name}: {problem}"));
        Ok(())
    }

    /// The journal's list of runs, as a control of the method or the rollbacks sees it.
    pub(super) fn set_runs(&self, key: &str, runs: Value) {
        self.shared().journal.set(key, runs);
    }

    /// Replaces the journal by what a control made of it.
    pub(super) fn set_journal(&self, journal: Value) {
        self.shared().journal = Journal::from_value(journal);
    }
}

fn written(place: &Place) -> Value {
    let step = |step: &Step| match step {
        Step::Key(key) => Value::text(*key),
        Step::Index(index) => Value::Int(*index as i128),
    };
    Value::List(place.iter().map(step).collect())
}

fn may_take(more: &[&str]) -> Value {
    const ALWAYS: &[&str] = &["secrets", "configuration", "experiment", "settings"];
    Value::List(ALWAYS.iter().chain(more).map(|name| Value::text(*name)).collect())
}
