//! The journal of a run: Chaos Toolkit's format, built step by step.
//!
//! Kept as one value, for controls may look at it and change it. The journal's copy of the
//! experiment is shallow in chaoslib: what is nested in it stays the experiment's own, so that
//! changes made on the way show up; `refresh` does the same here.

use crate::experiment::{HYPOTHESIS, METHOD, PROBES, activities};
use crate::value::{Map, Step, Value};

/// The version of chaoslib whose behaviour and format these are.
pub const CHAOSLIB_VERSION: &str = "1.44.0";
/// Results of a continuous hypothesis that a journal keeps; later ones are judged but not kept.
pub const DURING_MAX: usize = 50_000;

/// Where a run's activities are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Method,
    Rollbacks,
}

impl List {
    pub fn key(self) -> &'static str {
        match self {
            List::Method => "run",
            List::Rollbacks => "rollbacks",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Journal(Value);

impl Journal {
    /// The journal of a run that begins. `platform` and `node` name the machine.
    pub fn begin(experiment: &Value, platform: &str, node: &str, start: String) -> Journal {
        let steady_states: Value =
            [("before", Value::Null), ("after", Value::Null), ("during", Value::List(Vec::new()))]
                .into();
        Journal(
            [
                ("chaoslib-version", CHAOSLIB_VERSION.into()),
                ("platform", platform.into()),
                ("node", node.into()),
                ("experiment", experiment.clone()),
                ("start", start.into()),
                ("status", Value::Null),
                ("deviated", false.into()),
                ("steady_states", steady_states),
                ("run", Value::List(Vec::new())),
                ("rollbacks", Value::List(Vec::new())),
            ]
            .into(),
        )
    }

    /// A journal as it was written, or as a control left it.
    pub fn from_value(value: Value) -> Journal {
        Journal(value)
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    pub fn status(&self) -> Option<&str> {
        self.0.get_str("status")
    }

    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        if let Value::Map(map) = &mut self.0 {
            map.insert(key.to_owned(), value.into());
        }
    }

    pub fn deviated(&self) -> bool {
        self.0.get("deviated").is_some_and(Value::truthy)
    }

    /// Notes what a look at the hypothesis gave: `before` or `after` the method.
    pub fn set_steady_state(&mut self, when: &'static str, state: Value) {
        if let Some(Value::Map(states)) = self.0.get_mut("steady_states") {
            states.insert(when.to_owned(), state);
        }
    }

    /// Adds a look at the hypothesis during the method.
    pub fn add_during(&mut self, state: Value) {
        let during = self.0.at_mut(&[Step::Key("steady_states"), Step::Key("during")]);
        if let Some(Value::List(during)) = during
            && during.len() < DURING_MAX
        {
            during.push(state);
        }
    }

    /// Adds a run of an activity; gives its index.
    pub fn add_run(&mut self, list: List, run: Value) -> usize {
        match self.0.get_mut(list.key()) {
            Some(Value::List(runs)) => {
                runs.push(run);
                runs.len() - 1
            }
            _ => {
                self.set(list.key(), Value::List(vec![run]));
                0
            }
        }
    }

    pub fn set_run(&mut self, list: List, index: usize, run: Value) {
        if let Some(Value::List(runs)) = self.0.get_mut(list.key())
            && let Some(place) = runs.get_mut(index)
        {
            *place = run;
        }
    }

    pub fn runs(&self, list: List) -> &[Value] {
        self.0.get(list.key()).and_then(Value::as_list).unwrap_or_default()
    }

    /// What the journal repeats of the experiment, as it is by now. Secrets are never written: a
    /// probe that gives configuration holds none here.
    pub fn refresh(&mut self, experiment: &Value) {
        if let Some(Value::Map(copy)) = self.0.get_mut("experiment") {
            for (key, value) in copy.iter_mut() {
                if let Some(current) = experiment.get(key).filter(|_| key != "dry") {
                    value.clone_from(current);
                }
            }
        }
        let tolerances = probe_tolerances(experiment);
        if tolerances.is_empty() {
            return;
        }
        let states = self.0.get_mut("steady_states");
        let mut lists: Vec<&mut Value> = Vec::new();
        if let Some(Value::Map(states)) = states {
            for state in states.values_mut() {
                match state {
                    Value::List(during) => {
                        lists.extend(during.iter_mut().filter_map(|state| state.get_mut("probes")));
                    }
                    state => lists.extend(state.get_mut("probes")),
                }
            }
        }
        for list in lists {
            let Value::List(runs) = list else { continue };
            for run in runs {
                let Some(activity) = run.get_mut("activity") else { continue };
                let name = activity.get_str("name").map(str::to_owned);
                let current = name.and_then(|name| tolerances.get(&name).cloned());
                if let (Some(current), Some(tolerance)) = (current, activity.get_mut("tolerance")) {
                    *tolerance = current;
                }
            }
        }
    }
}

/// Tolerances of type `probe`, by their probe's name: what they judged last is in their arguments.
fn probe_tolerances(experiment: &Value) -> Map {
    let mut tolerances = Map::new();
    for list in [METHOD, PROBES] {
        for place in activities(experiment, list) {
            let Some(activity) = experiment.at(&place) else { continue };
            if let (Some(name), Some(tolerance)) =
                (activity.get_str("name"), activity.get("tolerance"))
                && tolerance.get_str("type") == Some("probe")
            {
                tolerances.insert(name.to_owned(), tolerance.clone());
            }
        }
    }
    tolerances
}

/// Whether an experiment has a hypothesis with probes.
pub fn has_hypothesis(experiment: &Value) -> bool {
    let probes = experiment.get(HYPOTHESIS).and_then(|hypothesis| hypothesis.get("probes"));
    probes.is_some_and(Value::truthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_changes_in_the_experiment_shows_up_in_the_journal() {
        let mut experiment = value(
            r#"{"title": "t", "dry": null, "steady-state-hypothesis": {"probes": [{"name": "p",
                "tolerance": {"type": "probe", "provider": {"arguments": {}}}}]}}"#,
        );
        let mut journal = Journal::begin(&experiment, "p", "n", "s".to_owned());
        let place = activities(&experiment, PROBES).remove(0);
        let activity = experiment.at(&place).unwrap().clone();
        let run: Value = [("activity", activity)].into();
        let state = [("probes", Value::List(vec![run]))].into();
        journal.set_steady_state("before", state);
        let inside = [Step::Key("tolerance"), Step::Key("provider"), Step::Key("arguments")];
        let place: Vec<Step> = place.into_iter().chain(inside).collect();
        *experiment.at_mut(&place).unwrap() = value(r#"{"value": 5}"#);
        if let Value::Map(map) = &mut experiment {
            map.insert("later".to_owned(), Value::Null);
        }
        journal.refresh(&experiment);
        let written = journal.value();
        assert!(written.get("experiment").unwrap().get("later").is_none());
        let text = serde_json::to_string(written).unwrap();
        assert_eq!(text.matches(r#"{"value":5}"#).count(), 2, "{text}");
    }
}
