//! The scenario language: what is read, and, where that takes a moment only, what happens.

use std::time::Duration;

use engine::scenario::{Scenario, check, run};

use crate::{Answer, Form, Memory, Target};

/// Longer and busier scenarios are only read.
const RUN_MAX: Duration = Duration::from_secs(600);
const REQUESTS_MAX: f64 = 4_000.0;
const STEPS_MAX: usize = 40;
const SERVICES_MAX: usize = 12;

pub const SCENARIO: Target = Target {
    name: "scenario",
    feeds: "a scenario; a short one is run, blessed, and must then hold",
    form: Form::Lines { head: 0 },
    memory: Memory { base: 128 << 20, factor: 4096 },
    caught: &[],
    run: |input| match std::str::from_utf8(input) {
        Ok(text) => scenario(text),
        Err(_) => Answer::Refused,
    },
};

fn scenario(text: &str) -> Answer {
    let scenario = match Scenario::parse(text) {
        Ok(scenario) => scenario,
        Err(error) => {
            assert!(error.line <= text.lines().count() + 1, "{error}");
            assert!(!error.message.is_empty());
            return Answer::Refused;
        }
    };
    if is_long(&scenario, text) {
        return Answer::Refused;
    }
    let report = run(&scenario);
    let blessed = report.bless(text);
    let again = check(&blessed).unwrap_or_else(|error| panic!("{error} in\n{blessed}"));
    assert!(again.passed(), "{:?}\nin\n{blessed}", again.difference);
    assert_eq!(format!("{:?}", again.happened), format!("{:?}", report.happened));
    Answer::Taken
}

fn is_long(scenario: &Scenario, text: &str) -> bool {
    let rates = text.split_whitespace().filter_map(|word| word.strip_suffix("/s"));
    let per_second: f64 = rates.filter_map(|rate| rate.parse::<f64>().ok()).sum();
    let instances: usize = scenario.instances.iter().map(|(_, names)| names.len()).sum();
    scenario.run_for > RUN_MAX
        || per_second * scenario.run_for.as_secs_f64() > REQUESTS_MAX
        || scenario.steps.len() > STEPS_MAX
        || scenario.edges.len() + instances > SERVICES_MAX
}
