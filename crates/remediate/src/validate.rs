//! Checks of the `healing` section that need more than one field, or the declared targets.
//!
//! Every fault is reported at once, with the path at which it stands, so that the server can point
//! at the line.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{ActionKind, CauseKind, Mode};

use crate::config::{Config, Policy, Remedy};
use crate::target::Target;

/// More policies than anybody reads.
const POLICIES_MAX: usize = 500;
const ATTEMPTS_MAX: u32 = 20;
const PROMOTE_AFTER_MAX: u32 = 100;
const STEPS_MAX: usize = 5;
const IN_FLIGHT_MAX: u32 = 100;
const PER_HOUR_MAX: u32 = 1_000;
/// Bounds all waiting, so that no plan lasts for ever.
const WAIT_MAX: Duration = Duration::from_secs(86_400);
const ORDER_VALID_MIN: Duration = Duration::from_secs(1);
/// An agent takes an order that is good for longer for one of a wrong clock.
const ORDER_VALID_MAX: Duration = Duration::from_secs(600);

/// One fault in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Invalid {
    /// `healing.policies[2].target`.
    pub path: String,
    pub message: String,
}

impl Config {
    /// All faults of the section, in the order of the file. Empty: it may be used.
    pub fn validate(&self, targets: &[Target]) -> Vec<Invalid> {
        let mut found = Vec::new();
        if self.policies.len() > POLICIES_MAX {
            let message = format!("{} policies, at most {POLICIES_MAX}", self.policies.len());
            found.push(invalid("healing.policies", message));
        }
        let mut names = BTreeSet::new();
        for (index, policy) in self.policies.iter().enumerate().take(POLICIES_MAX) {
            let path = format!("healing.policies[{index}]");
            check_name(&path, policy, &mut names, &mut found);
            check_cause(&path, policy, &mut found);
            check_target(&path, policy, targets, &mut found);
            check_times(&path, policy, &mut found);
            check_promotion(&path, self.mode_of(policy), policy, &mut found);
        }
        self.check_limits(&mut found);
        found
    }

    fn check_limits(&self, found: &mut Vec<Invalid>) {
        let limits = &self.guardrails;
        let at = |field: &str| format!("healing.guardrails.{field}");
        if !(1..=IN_FLIGHT_MAX).contains(&limits.actions_in_flight) {
            let message = format!("must lie between 1 and {IN_FLIGHT_MAX}; to stop, use mode off");
            found.push(invalid(&at("actions_in_flight"), message));
        }
        if !(1..=PER_HOUR_MAX).contains(&limits.actions_per_hour) {
            let message = format!("must lie between 1 and {PER_HOUR_MAX}; to stop, use mode off");
            found.push(invalid(&at("actions_per_hour"), message));
        }
        for (field, share) in [
            ("cause_confidence_min", limits.cause_confidence_min),
            ("healthy_share_min", limits.healthy_share_min),
            ("touched_share_max", limits.touched_share_max),
            ("storm_share", limits.storm_share),
            ("budget_left_min", limits.budget_left_min),
        ] {
            if !(0.0..=1.0).contains(&share) {
                found.push(invalid(&at(field), "must lie between 0 and 1"));
            }
        }
        if limits.storm_targets_min == 0 {
            found.push(invalid(&at("storm_targets_min"), "must be at least 1"));
        }
        for (field, value) in [
            ("storm_window", limits.storm_window.0),
            ("storm_pace", limits.storm_pace.0),
            ("storm_cooldown", limits.storm_cooldown.0),
            ("deploy_settle", limits.deploy_settle.0),
            ("telemetry_fresh_within", limits.telemetry_fresh_within.0),
            ("look_fresh_within", limits.look_fresh_within.0),
        ] {
            if value < Duration::from_secs(1) || value > WAIT_MAX {
                found.push(invalid(&at(field), "must lie between 1s and 1d"));
            }
        }
        if !(ORDER_VALID_MIN..=ORDER_VALID_MAX).contains(&limits.order_valid_for.0) {
            found.push(invalid(&at("order_valid_for"), "must lie between 1s and 10m"));
        }
        if self.call_human_after.0 > WAIT_MAX {
            found.push(invalid("healing.call_human_after", "must be at most 1d"));
        }
    }
}

fn invalid(path: &str, message: impl Into<String>) -> Invalid {
    Invalid { path: path.to_owned(), message: message.into() }
}

fn check_name<'a>(
    path: &str,
    policy: &'a Policy,
    names: &mut BTreeSet<&'a str>,
    found: &mut Vec<Invalid>,
) {
    let path = format!("{path}.name");
    if policy.name.trim().is_empty() {
        found.push(invalid(&path, "a policy needs a name"));
    } else if !names.insert(&policy.name) {
        let message = format!("`{}` names two policies; give each its own name", policy.name);
        found.push(invalid(&path, message));
    }
}

fn check_cause(path: &str, policy: &Policy, found: &mut Vec<Invalid>) {
    let path = format!("{path}.cause");
    if policy.cause.0.is_empty() {
        found.push(invalid(&path, "name at least one cause"));
    }
    if policy.cause.0.contains(&CauseKind::Unknown) {
        found.push(invalid(&path, "there is no remedy for an unknown cause; a person is called"));
    }
}

fn check_target(path: &str, policy: &Policy, targets: &[Target], found: &mut Vec<Invalid>) {
    let Some(target) = targets.iter().find(|target| target.name == policy.target) else {
        let declared: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let declared = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
        let message = format!("unknown target `{}`; declared are: {declared}", policy.target);
        found.push(invalid(&format!("{path}.target"), message));
        return;
    };
    let further = policy.then.iter().enumerate();
    let further = further.map(|(at, step)| (format!("{path}.then[{at}].action"), &step.action));
    for (path, action) in std::iter::once((format!("{path}.action"), &policy.action)).chain(further)
    {
        check_action(&path, action, target, found);
    }
}

fn check_action(path: &str, action: &Remedy, target: &Target, found: &mut Vec<Invalid>) {
    if !target.actions.contains(&action.kind()) {
        let allowed: Vec<String> = target.actions.iter().map(ActionKind::to_string).collect();
        let wanted = action.wanted();
        let message = format!(
            "target `{}` does not declare {wanted}; it declares: {}",
            target.name,
            if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") }
        );
        found.push(invalid(path, message));
    }
}

fn check_times(path: &str, policy: &Policy, found: &mut Vec<Invalid>) {
    if !(1..=ATTEMPTS_MAX).contains(&policy.attempts) {
        let message = format!("must lie between 1 and {ATTEMPTS_MAX}");
        found.push(invalid(&format!("{path}.attempts"), message));
    }
    check_steps(path, policy, found);
    let second = Duration::from_secs(1);
    for (field, value) in [
        ("verify_for", policy.verify_for.0),
        ("verify_within", policy.verify_within.0),
        ("back_off", policy.back_off.0),
        ("back_off_max", policy.back_off_max.0),
        ("approval_timeout", policy.approval_timeout.0),
    ] {
        if value < second || value > WAIT_MAX {
            found.push(invalid(&format!("{path}.{field}"), "must lie between 1s and 1d"));
        }
    }
    if policy.healthy_share_min.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        found.push(invalid(&format!("{path}.healthy_share_min"), "must lie between 0 and 1"));
    }
    if policy.back_off > policy.back_off_max {
        let message =
            format!("{} is longer than back_off_max {}", policy.back_off, policy.back_off_max);
        found.push(invalid(&format!("{path}.back_off"), message));
    }
}

fn check_promotion(path: &str, mode: Mode, policy: &Policy, found: &mut Vec<Invalid>) {
    let Some(promote) = &policy.promote else { return };
    if !(1..=PROMOTE_AFTER_MAX).contains(&promote.after) {
        let message = format!("must lie between 1 and {PROMOTE_AFTER_MAX}");
        found.push(invalid(&format!("{path}.promote.after"), message));
    }
    if mode != Mode::Approve {
        let message = format!("only mode approve can be promoted, this is {}", mode.as_str());
        found.push(invalid(&format!("{path}.promote"), message));
    }
}

fn check_steps(path: &str, policy: &Policy, found: &mut Vec<Invalid>) {
    if policy.then.len() > STEPS_MAX {
        let message = format!("{} steps, at most {STEPS_MAX}", policy.then.len());
        found.push(invalid(&format!("{path}.then"), message));
    }
    let in_all = policy.attempts_in_all();
    if !policy.then.is_empty() && in_all > ATTEMPTS_MAX {
        let message = format!("{in_all} attempts at all steps together, at most {ATTEMPTS_MAX}");
        found.push(invalid(&format!("{path}.then"), message));
    }
    for (at, step) in policy.then.iter().enumerate() {
        if step.attempts == 0 {
            let path = format!("{path}.then[{at}].attempts");
            found.push(invalid(&path, format!("must lie between 1 and {ATTEMPTS_MAX}")));
        }
        let within = step.verify_within.map(|within| within.0);
        if within.is_some_and(|within| within < Duration::from_secs(1) || within > WAIT_MAX) {
            let path = format!("{path}.then[{at}].verify_within");
            found.push(invalid(&path, "must lie between 1s and 1d"));
        }
    }
    if !(0.0..=1.0).contains(&policy.back_off_jitter) {
        found.push(invalid(&format!("{path}.back_off_jitter"), "must lie between 0 and 1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::human::HumanDuration;
    use model::{Entity, Scope};

    fn targets() -> Vec<Target> {
        vec![Target {
            name: "orders".into(),
            entity: Entity::service(&Scope::default(), "orders"),
            actions: vec![ActionKind::Restart],
            undos: Vec::new(),
            has_process: true,
            action_timeout: HumanDuration::from_secs(30),
            stateful: false,
        }]
    }

    fn check(yaml: &str) -> Vec<String> {
        let config: Config = serde_saphyr::from_str(yaml).unwrap();
        config.validate(&targets()).iter().map(Invalid::to_string).collect()
    }

    #[test]
    fn accepts_a_policy_for_a_declared_target_and_action() {
        let yaml = "policies: [{name: a, cause: crash, target: orders, action: restart}]";
        assert_eq!(check(yaml), Vec::<String>::new());
    }

    #[test]
    fn names_every_fault_with_its_path() {
        let yaml = "
policies:
  - {name: a, cause: unknown, target: orders, action: {run_command: flush}}
  - {name: a, cause: [], target: order, action: restart, attempts: 0}
  - {name: b, cause: crash, target: orders, action: restart, back_off: 2h, verify_for: 0s}
guardrails: {actions_in_flight: 0, cause_confidence_min: 1.5}
";
        assert_eq!(
            check(yaml),
            [
                "healing.policies[0].cause: there is no remedy for an unknown cause; \
                 a person is called",
                "healing.policies[0].action: target `orders` does not declare the command `flush`; \
                 it declares: restart",
                "healing.policies[1].name: `a` names two policies; give each its own name",
                "healing.policies[1].cause: name at least one cause",
                "healing.policies[1].target: unknown target `order`; declared are: orders",
                "healing.policies[1].attempts: must lie between 1 and 20",
                "healing.policies[2].verify_for: must lie between 1s and 1d",
                "healing.policies[2].back_off: 2h is longer than back_off_max 10m",
                "healing.guardrails.actions_in_flight: must lie between 1 and 100; \
                 to stop, use mode off",
                "healing.guardrails.cause_confidence_min: must lie between 0 and 1",
            ]
        );
    }

    #[test]
    fn refuses_a_confidence_that_is_not_a_number() {
        let mut config = Config::default();
        config.guardrails.cause_confidence_min = f64::NAN;
        assert_eq!(config.validate(&[]).len(), 1);
    }
}
