//! Reading an experiment file and refusing what would be unsafe or would prove nothing.

use std::time::Duration;

use model::experiment::{Decision, Experiment};

use crate::faults;

/// A fault may not be asked for longer than this.
pub const DEADLINE_MAX: Duration = Duration::from_secs(3600);
const FILE_BYTES_MAX: usize = 256 << 10;

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    #[error("experiment is larger than 256 KiB")]
    TooLarge,
    #[error("{0}")]
    Syntax(String),
    #[error("{field}: {message}")]
    Meaning { field: &'static str, message: String },
}

/// Reads YAML (or JSON, which is YAML).
pub fn parse(text: &str) -> Result<Experiment, Problem> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Problem::TooLarge);
    }
    let experiment: Experiment =
        serde_saphyr::from_str(text).map_err(|error| Problem::Syntax(error.to_string()))?;
    check(&experiment)?;
    Ok(experiment)
}

fn check(experiment: &Experiment) -> Result<(), Problem> {
    let wrong = |field, message: &str| Err(Problem::Meaning { field, message: message.to_owned() });
    if experiment.title.trim().is_empty() {
        return wrong("title", "say in one line what is being shown");
    }
    if experiment.steady_state.slos.is_empty() {
        return wrong("steady_state.slos", "name at least one objective that must be well before");
    }
    if experiment.blast_radius.services.is_empty() {
        return wrong("blast_radius.services", "name the services that may be hurt");
    }
    if experiment.blast_radius.share_max.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        return wrong("blast_radius.share_max", "must be above 0 and at most 1");
    }
    if experiment.abort.not_well_for.is_some_and(|limit| limit.0.is_zero()) {
        return wrong("abort.not_well_for", "must be above 0s");
    }
    let deadline = experiment.deadline.0;
    if deadline.is_zero() || deadline > DEADLINE_MAX {
        return wrong("deadline", "must be above 0s and at most 1h");
    }
    if experiment.observe.0.is_zero() || experiment.observe.0 > DEADLINE_MAX * 2 {
        return wrong("observe", "must be above 0s and at most 2h");
    }
    if let Some(Err(why)) = experiment.fault.as_ref().map(faults::check) {
        return wrong("fault", &why);
    }
    match (&experiment.fault, experiment.expect.decision, &experiment.expect.cause) {
        (None, Decision::Heal | Decision::Escalate, _) => {
            wrong("expect.decision", "a placebo (no fault) must expect leave_alone")
        }
        (_, Decision::LeaveAlone, Some(_)) => {
            wrong("expect.cause", "leave_alone means that no incident is expected; name no cause")
        }
        (_, Decision::Heal, None) => wrong("expect.cause", "say which cause should come first"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
title: orders dies
steady_state: {slos: [storefront]}
target: orders
fault: kill_process
blast_radius: {environment: production, services: [storefront, orders]}
deadline: 2m
observe: 3m
expect: {decision: heal, cause: {kind: crash, entity: orders}}
";

    #[test]
    fn reads_an_experiment() {
        let experiment = parse(GOOD).unwrap();
        assert_eq!(experiment.target, "orders");
        assert!(experiment.abort.outside_blast_radius);
    }

    #[test]
    fn refuses_what_is_unsafe_or_proves_nothing() {
        for (from, to, field) in [
            ("deadline: 2m", "deadline: 0s", "deadline"),
            ("deadline: 2m", "deadline: 2h", "deadline"),
            ("[storefront]}\ntarget", "[]}\ntarget", "steady_state.slos"),
            ("fault: kill_process", "", "expect.decision"),
            ("fault: kill_process", "fault: {partition: {}}", "fault"),
            ("decision: heal", "decision: leave_alone", "expect.cause"),
            ("[storefront, orders]", "[]", "blast_radius.services"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            match parse(&text) {
                Err(Problem::Meaning { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{to}: {other:?}"),
            }
        }
        assert!(matches!(parse("titel: x"), Err(Problem::Syntax(_))));
    }
}
