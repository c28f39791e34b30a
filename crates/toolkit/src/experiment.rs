//! The experiment: where its activities are, and whether it is a valid one.
//!
//! An experiment is kept as the value that was read, for the journal repeats it and controls may
//! change it. Activities are named by their place. The rules are chaoslib's; what only the machine
//! can answer (is there such a program, such a Python function) comes back as a question.

mod controls;

use crate::tolerance;
use crate::value::{Step, Value};
use crate::variables::{self, Environment};

pub use controls::{controls_for, to_configure};

/// A place in an experiment.
pub type Place = Vec<Step>;

pub const HYPOTHESIS: &str = "steady-state-hypothesis";

/// The lists of activities, in the order of their validation.
pub const PROBES: &[Step] = &[Step::Key(HYPOTHESIS), Step::Key("probes")];
pub const METHOD: &[Step] = &[Step::Key("method")];
pub const ROLLBACKS: &[Step] = &[Step::Key("rollbacks")];

/// What a validation has to ask the machine, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Is there a program of this name or path that may be run?
    Program { activity: String, path: String },
    /// Does this activity's function exist and take its arguments?
    Function(Value),
    /// Does this control's module find the control valid?
    Control(Value),
}

/// The places of the activities in one of the lists.
pub fn activities(experiment: &Value, list: &[Step]) -> Vec<Place> {
    let count = experiment.at(list).and_then(Value::as_list).map_or(0, <[Value]>::len);
    (0..count).map(|index| list.iter().copied().chain([Step::Index(index)]).collect()).collect()
}

/// Where the activity is that `place` names: itself, or the one it refers to.
///
/// Of equal names the last holds, and the hypothesis' hide the method's.
pub fn resolve(experiment: &Value, place: &Place) -> Result<Place, String> {
    let activity = experiment.at(place).ok_or("an activity is gone from the experiment")?;
    let Some(name) = activity.get_str("ref").filter(|name| !name.is_empty()) else {
        return Ok(place.clone());
    };
    let mut known = activities(experiment, METHOD);
    known.extend(activities(experiment, PROBES));
    let found = known.into_iter().rev().find(|place| {
        experiment.at(place).and_then(|activity| activity.get_str("name")) == Some(name)
    });
    found.ok_or_else(|| format!("could not find referenced activity '{name}'"))
}

/// Validates an experiment; the first offence is told.
pub fn validate(experiment: &Value, environment: Environment<'_>) -> Result<Vec<Question>, String> {
    if !experiment.truthy() {
        return Err("an empty experiment is not an experiment".to_owned());
    }
    if experiment.as_map().is_none() {
        return Err(format!("an experiment is a map, not a {}", experiment.kind()));
    }
    for key in ["title", "description"] {
        if !experiment.get(key).is_some_and(Value::truthy) {
            return Err(format!("experiment requires a {key}"));
        }
    }
    validate_tags(experiment)?;
    validate_extensions(experiment)?;
    variables::configuration(experiment.get("configuration"), &Default::default(), environment)?;
    let secrets = variables::secrets(experiment.get("secrets"), None, environment)?;
    let mut questions = Vec::new();
    validate_hypothesis(experiment, &mut questions)?;
    validate_method(experiment, &mut questions)?;
    for activity in list(experiment, ROLLBACKS)? {
        validate_activity(activity, &mut questions)?;
    }
    if let Some((group, _)) = secrets.iter().find(|(_, secrets)| secrets.as_map().is_none()) {
        return Err(format!("secrets must be grouped, but `{group}` is a value"));
    }
    controls::validate(experiment, &mut questions)?;
    Ok(questions)
}

fn list<'a>(experiment: &'a Value, place: &[Step]) -> Result<&'a [Value], String> {
    match experiment.at(place) {
        None => Ok(&[]),
        Some(Value::List(list)) => Ok(list),
        Some(other) => Err(format!("activities must be a list, not a {}", other.kind())),
    }
}

fn validate_tags(experiment: &Value) -> Result<(), String> {
    let Some(tags) = experiment.get("tags").filter(|tags| tags.truthy()) else { return Ok(()) };
    let is_tag = |tag: &Value| tag.as_str().is_some_and(|tag| !tag.is_empty());
    match tags {
        Value::List(tags) if tags.iter().all(is_tag) => Ok(()),
        Value::Text(_) => Ok(()),
        _ => Err("experiment tags must be a non-empty string".to_owned()),
    }
}

fn validate_extensions(experiment: &Value) -> Result<(), String> {
    let Some(extensions) = experiment.get("extensions").filter(|found| found.truthy()) else {
        return Ok(());
    };
    let is_named =
        |extension: &Value| extension.get_str("name").is_some_and(|name| !name.trim().is_empty());
    match extensions.as_list() {
        Some(extensions) if extensions.iter().all(is_named) => Ok(()),
        _ => Err("All extensions require a non-empty name".to_owned()),
    }
}

fn validate_hypothesis(experiment: &Value, questions: &mut Vec<Question>) -> Result<(), String> {
    let Some(hypothesis) = experiment.get(HYPOTHESIS).filter(|found| !found.is_null()) else {
        return Ok(());
    };
    if !hypothesis.get("title").is_some_and(Value::truthy) {
        return Err("hypothesis requires a title".to_owned());
    }
    for probe in list(experiment, PROBES)? {
        validate_activity(probe, questions)?;
        let tolerance =
            probe.get("tolerance").ok_or("hypothesis probe must have a tolerance entry")?;
        tolerance::validate(tolerance)?;
        if tolerance.get_str("type") == Some("probe") {
            validate_activity(tolerance, questions)?;
        }
    }
    Ok(())
}

fn validate_method(experiment: &Value, questions: &mut Vec<Question>) -> Result<(), String> {
    if experiment.get("method").is_none_or(Value::is_null) {
        return Err(
            "an experiment requires a method, which can be empty for only checking steady \
                    state hypothesis"
                .to_owned(),
        );
    }
    for activity in list(experiment, METHOD)? {
        validate_activity(activity, questions)?;
    }
    for place in activities(experiment, METHOD) {
        let name = experiment.at(&place).and_then(|activity| activity.get_str("ref"));
        if resolve(experiment, &place).is_err() {
            let name = name.unwrap_or_default();
            return Err(format!(
                "referenced activity '{name}' could not be found in the experiment"
            ));
        }
    }
    Ok(())
}

fn validate_activity(activity: &Value, questions: &mut Vec<Question>) -> Result<(), String> {
    if !activity.truthy() {
        return Err("empty activity is no activity".to_owned());
    }
    if let Some(name) = activity.get("ref").filter(|name| !name.is_null()) {
        return match name.as_str() {
            Some(name) if !name.is_empty() => Ok(()),
            _ => Err("reference to activity must be non-empty strings".to_owned()),
        };
    }
    match activity.get("type").filter(|kind| kind.truthy()) {
        None => return Err("an activity must have a type".to_owned()),
        Some(Value::Text(kind)) if kind == "probe" || kind == "action" => {}
        Some(kind) => return Err(format!("'{kind}' is not a supported activity type")),
    }
    let name = match activity.get("name").filter(|name| name.truthy()) {
        None => return Err("an activity must have a name".to_owned()),
        Some(name) => name.to_string(),
    };
    validate_timing(activity)?;
    validate_provider(activity, &name, questions)
}

fn validate_timing(activity: &Value) -> Result<(), String> {
    let given = |key: &str| activity.get(key).filter(|value| !value.is_null());
    if given("timeout").is_some_and(|timeout| !timeout.is_number()) {
        return Err("activity timeout must be a number".to_owned());
    }
    for when in ["before", "after"] {
        let pause = given("pauses").and_then(|pauses| pauses.get(when));
        let Some(Value::Text(text)) = pause else { continue };
        if !text.starts_with("${") || !text.ends_with('}') {
            return Err(format!(
                "activity {when} pause must be a number or a pattern to a variable from the \
                 configuration or secrets"
            ));
        }
    }
    match activity.get("background") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(_) => Err("activity background must be a boolean".to_owned()),
    }
}

fn validate_provider(
    activity: &Value,
    name: &str,
    questions: &mut Vec<Question>,
) -> Result<(), String> {
    let provider = activity
        .get("provider")
        .filter(|provider| provider.truthy())
        .ok_or("an activity requires a provider")?;
    let text = |key: &str| provider.get_str(key).filter(|text| !text.is_empty());
    match provider.get("type").filter(|kind| kind.truthy()) {
        None => Err("a provider must have a type".to_owned()),
        Some(Value::Text(kind)) if kind == "python" => {
            text("module").ok_or("a Python activity must have a module path")?;
            text("func").ok_or("a Python activity must have a function name")?;
            questions.push(Question::Function(activity.clone()));
            Ok(())
        }
        Some(Value::Text(kind)) if kind == "process" => {
            let path = text("path").ok_or("a process activity must have a path")?.to_owned();
            questions.push(Question::Program { activity: name.to_owned(), path });
            Ok(())
        }
        Some(Value::Text(kind)) if kind == "http" => {
            text("url").ok_or("a HTTP activity must have a URL")?;
            match provider.get("headers") {
                Some(headers) if headers.truthy() && headers.as_map().is_none() => {
                    Err("a HTTP activities expect headers as a mapping".to_owned())
                }
                _ => Ok(()),
            }
        }
        Some(kind) => Err(format!("unknown provider type '{kind}'")),
    }
}

#[cfg(test)]
mod tests;
