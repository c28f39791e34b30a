//! Controls: which apply where, and whether they are valid ones.

use super::{HYPOTHESIS, METHOD, PROBES, Question, ROLLBACKS, activities};
use crate::value::{Step, Value};

/// All controls that an experiment declares, at whatever level; with repetitions.
pub(super) fn declared(experiment: &Value) -> Vec<&Value> {
    let mut places: Vec<Vec<Step>> = vec![Vec::new(), vec![Step::Key(HYPOTHESIS)]];
    for list in [PROBES, METHOD, ROLLBACKS] {
        places.extend(activities(experiment, list));
    }
    let at = |place: &Vec<Step>| experiment.at(place)?.get("controls")?.as_list();
    places.iter().filter_map(at).flatten().collect()
}

/// Those with a name and a Python provider, each name once: what is configured before a run and
/// cleaned up after it.
pub fn to_configure(experiment: &Value) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut controls = Vec::new();
    for control in declared(experiment) {
        let Some(name) = control.get_str("name").filter(|name| !name.is_empty()) else { continue };
        if !seen.contains(&name) {
            seen.push(name);
            controls.extend(is_python(control).then(|| control.clone()));
        }
    }
    controls
}

fn is_python(control: &Value) -> bool {
    control.get("provider").and_then(|provider| provider.get_str("type")) == Some("python")
}

pub(super) fn validate(experiment: &Value, questions: &mut Vec<Question>) -> Result<(), String> {
    let controls = declared(experiment);
    for control in &controls {
        if let Some(name) = control.get("ref") {
            let is_it = |other: &&Value| {
                other.get("ref").is_none() && other.get("name").is_some_and(|found| found == name)
            };
            if !controls.iter().any(is_it) {
                return Err(format!("Control reference '{name}' declaration cannot be found"));
            }
        }
        let name = control.get("name").ok_or("A control must have a `name` property")?;
        let provider = control.get("provider");
        if provider.is_none() {
            return Err(format!("Control '{name}' must have a `provider` property"));
        }
        let scope = control.get("scope").filter(|scope| scope.truthy());
        if scope.is_some_and(|scope| !matches!(scope.as_str(), Some("before" | "after"))) {
            return Err(format!(
                "Control '{name}' scope property must be 'before' or 'after' only"
            ));
        }
        if is_python(control) {
            let module = provider.and_then(|provider| provider.get_str("module"));
            if module.is_none_or(str::is_empty) {
                return Err(format!("Control '{name}' must have a module path"));
            }
            questions.push(Question::Control((*control).clone()));
        }
    }
    Ok(())
}

/// The controls that apply to a context at a level (`experiment`, `hypothesis`, `method`,
/// `rollback`, `activity`), in the order in which they are called: chaoslib's merge of the global
/// ones, the context's and the experiment's.
pub fn controls_for(
    level: &str,
    experiment: &Value,
    context: &Value,
    global: &[Value],
) -> Vec<Value> {
    let of = |value: &Value| -> Vec<Value> {
        value.get("controls").and_then(Value::as_list).unwrap_or_default().to_vec()
    };
    let is_automatic = |control: &&Value| control.get("automatic").is_none_or(Value::truthy);
    let top = of(experiment);
    let mut controls: Vec<Value> = global.iter().cloned().chain(of(context)).collect();
    if top.is_empty() {
        return controls;
    }
    if controls.is_empty() || level == "method" || level == "rollback" {
        return top.iter().filter(is_automatic).cloned().collect();
    }
    for control in controls.clone() {
        if let Some(name) = control.get("ref") {
            controls.extend(top.iter().find(|top| top.get("name") == Some(name)).cloned());
            continue;
        }
        for top in top.iter().rev() {
            let is_other = control.get("name") != top.get("name");
            if is_other && level != "experiment" && is_automatic(&top) {
                controls.insert(0, top.clone());
            }
        }
    }
    controls
}
