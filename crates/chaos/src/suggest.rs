//! Which experiments come next: from the topology that was observed, the traffic that crosses each
//! service, and what drills have already proven.
//!
//! A candidate is a target and a kind of fault. Its weight is the share of users' requests that
//! depend on the target's service, times how little is known of it: never tried counts 1, a failure
//! as much (it should pass now), an old result half, a fresh success next to nothing. What hurts
//! fewer people comes first among equals. Only what the target's configuration can undo is proposed
//! (a kill needs `restart`). Shares are of requests seen in the last minute.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::matrix::Matrix;

/// Suggestions that are given at most.
pub const SUGGESTIONS_MAX: usize = 20;

/// What can be drilled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub target: String,
    pub service: String,
    pub environment: String,
    pub can_restart: bool,
    /// Other instances of the service that run.
    pub others: usize,
    pub port: Option<u16>,
    /// It declares the container that it runs in.
    pub has_container: bool,
    /// Names of its declared faults.
    pub declared: Vec<String>,
}

/// The observed system, by names of services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Caller and callee.
    pub calls: Vec<(String, String)>,
    /// Requests of the last minute of each service that has an objective.
    pub requests: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suggestion {
    pub target: String,
    pub fault: String,
    pub weight: f64,
    pub reasons: Vec<String>,
    /// An experiment file to begin with. What is right to do its author has to say.
    pub experiment: String,
}

pub fn suggest(candidates: &[Candidate], observed: &Observed, matrix: &Matrix) -> Vec<Suggestion> {
    let mut suggestions = Vec::new();
    for candidate in candidates {
        let crossing = crossing(observed, &candidate.service);
        // Without traffic no steady state can be shown, and so nothing be proven.
        if crossing.share <= 0.0 {
            continue;
        }
        for (fault, yaml) in faults(candidate) {
            suggestions.push(weighed(candidate, &crossing, fault, &yaml, matrix));
        }
    }
    suggestions.sort_by(|a, b| {
        b.weight
            .total_cmp(&a.weight)
            .then_with(|| (&a.target, &a.fault).cmp(&(&b.target, &b.fault)))
    });
    suggestions.truncate(SUGGESTIONS_MAX);
    suggestions
}

/// Kinds that the target's configuration allows, smallest first, with their parameters.
fn faults(candidate: &Candidate) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if candidate.can_restart {
        faults.push(("kill_process", "kill_process".to_owned()));
    }
    faults.push(("pause_process", "pause_process".to_owned()));
    faults.push(("file_descriptors", "{file_descriptors: {spare: 0}}".to_owned()));
    if let Some(port) = candidate.port {
        let abort = format!("{{http: {{port: {port}, share: 0.2, abort: 503}}}}");
        faults.push(("http", abort));
        let toxics = "latency: 2s, jitter: 200ms";
        faults.push(("tcp", format!("{{tcp: {{port: {port}, {toxics}}}}}")));
        faults.push(("packet_loss", format!("{{packet_loss: {{port: {port}, share: 0.2}}}}")));
        faults.push(("partition", format!("{{partition: {{port: {port}}}}}")));
    }
    if candidate.has_container {
        faults.push(("container", "{container: pause}".to_owned()));
    }
    if let Some(name) = candidate.declared.first() {
        faults.push(("command", format!("{{command: {{name: {name}}}}}")));
    }
    faults
}

/// Whose requests depend on a service.
struct Crossing {
    share: f64,
    /// Services that reach it, itself among them.
    dependents: BTreeSet<String>,
    /// Those of them that users call.
    entries: Vec<String>,
}

fn crossing(observed: &Observed, service: &str) -> Crossing {
    let dependents = dependents(observed, service);
    // Users call those that nobody else calls; in a circle everybody is called.
    let called: BTreeSet<&str> = observed.calls.iter().map(|(_, callee)| callee.as_str()).collect();
    let mut entries: Vec<(&String, f64)> = observed
        .requests
        .iter()
        .filter(|(name, _)| !called.contains(name.as_str()))
        .map(|(name, requests)| (name, requests.max(0.0)))
        .collect();
    if entries.is_empty() {
        entries = observed.requests.iter().map(|(name, r)| (name, r.max(0.0))).collect();
    }
    let all: f64 = entries.iter().map(|(_, requests)| requests).sum();
    let own: Vec<&(&String, f64)> =
        entries.iter().filter(|(name, _)| dependents.contains(*name)).collect();
    let through: f64 = own.iter().map(|(_, requests)| requests).sum();
    Crossing {
        share: if all > 0.0 { through / all } else { 0.0 },
        entries: own.iter().map(|(name, _)| (*name).clone()).collect(),
        dependents,
    }
}

fn dependents(observed: &Observed, service: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([service.to_owned()]);
    let mut queue = VecDeque::from([service.to_owned()]);
    while let Some(callee) = queue.pop_front() {
        for (caller, _) in observed.calls.iter().filter(|(_, called)| *called == callee) {
            if found.insert(caller.clone()) {
                queue.push_back(caller.clone());
            }
        }
    }
    found
}

fn weighed(
    candidate: &Candidate,
    crossing: &Crossing,
    fault: &str,
    yaml: &str,
    matrix: &Matrix,
) -> Suggestion {
    let mut reasons = vec![format!(
        "{:.0} % of users' requests depend on {}",
        crossing.share * 100.0,
        candidate.service
    )];
    let unknown = match matrix.cell(fault, &candidate.target) {
        None => {
            reasons.push("never tried".to_owned());
            1.0
        }
        Some(cell) if !cell.last_passed => {
            reasons.push("failed the last time".to_owned());
            1.0
        }
        Some(cell) if cell.stale => {
            reasons.push(format!(
                "passed {} days ago, and much may have changed",
                cell.age_s / 86_400
            ));
            0.5
        }
        Some(cell) => {
            let low = cell.pass_rate.low;
            reasons.push(format!("passed; proven to {:.0} % only", low * 100.0));
            0.1 * (1.0 - low)
        }
    };
    // An instance of several is the smaller experiment: what it proves, it proves at less risk.
    let caution = if candidate.others > 0 { 1.0 } else { 0.9 };
    match candidate.others {
        0 => reasons.push("the only instance: all its requests are hurt".to_owned()),
        others => reasons.push(format!("{others} other instances go on")),
    }
    // Of one target the gentler fault first.
    let gentle = match fault {
        "pause_process" | "kill_process" | "container" => 1.0,
        "file_descriptors" | "packet_loss" | "tcp" | "http" => 0.95,
        _ => 0.9,
    };
    Suggestion {
        target: candidate.target.clone(),
        fault: fault.to_owned(),
        weight: crossing.share * unknown * caution * gentle,
        reasons,
        experiment: experiment(candidate, crossing, fault, yaml),
    }
}

fn experiment(candidate: &Candidate, crossing: &Crossing, fault: &str, yaml: &str) -> String {
    let list = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    };
    let (target, service) = (quoted(&candidate.target), quoted(&candidate.service));
    let (kind, decision) = match fault {
        "kill_process" => (format!(", cause: {{kind: crash, entity: {service}}}"), "heal"),
        _ => (String::new(), "escalate"),
    };
    format!(
        "title: {}\nsteady_state: {{slos: [{}]}}\ntarget: {target}\nfault: {yaml}\n\
         blast_radius:\n  environment: {}\n  services: [{}]\ndeadline: 2m\nobserve: 3m\n\
         abort: {{not_well_for: 2m}}\nexpect: {{decision: {decision}{kind}}}\n",
        quoted(&format!("{fault} on {}", candidate.target)),
        list(&mut crossing.entries.iter()),
        quoted(&candidate.environment),
        list(&mut crossing.dependents.iter()),
    )
}

/// Names come from telemetry: as text in quotes they can be nothing but text.
fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;
    use crate::matrix::Past;

    fn candidate(target: &str, service: &str, others: usize) -> Candidate {
        Candidate {
            target: target.into(),
            service: service.into(),
            environment: "production".into(),
            can_restart: true,
            others,
            port: Some(5001),
            has_container: false,
            declared: Vec::new(),
        }
    }

    /// web → orders → payment for 90 requests, admin → reports for 10.
    fn observed() -> Observed {
        let call = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let requests = [("web", 90.0), ("orders", 90.0), ("admin", 10.0), ("reports", 10.0)];
        Observed {
            calls: vec![call("web", "orders"), call("orders", "payment"), call("admin", "reports")],
            requests: requests.map(|(name, requests)| (name.to_owned(), requests)).into(),
        }
    }

    fn matrix(past: &[Past]) -> Matrix {
        Matrix::of(past, &[], &[], |_, _| true, Timestamp::from_secs(1_000))
    }

    #[test]
    fn what_most_users_depend_on_comes_first_with_reasons() {
        let candidates = [candidate("reports", "reports", 0), candidate("payment", "payment", 0)];
        let suggestions = suggest(&candidates, &observed(), &matrix(&[]));
        assert_eq!(
            (suggestions[0].target.as_str(), suggestions[0].fault.as_str()),
            ("payment", "kill_process")
        );
        assert_eq!(
            suggestions[0].reasons[..2],
            ["90 % of users' requests depend on payment".to_owned(), "never tried".to_owned()]
        );
        let last = suggestions.last().unwrap();
        assert_eq!(last.target, "reports");
        assert!(last.weight < 0.11, "{last:?}");
    }

    #[test]
    fn a_fresh_success_goes_to_the_end_and_a_failure_stays_in_front() {
        let past = |target: &str, passed| Past {
            fault: "kill_process".into(),
            target: target.into(),
            ended: Timestamp::from_secs(900),
            passed: Some(passed),
        };
        let candidates = [candidate("orders-1", "orders", 1), candidate("payment", "payment", 0)];
        let known = matrix(&[past("orders-1", true), past("payment", false)]);
        let suggestions = suggest(&candidates, &observed(), &known);
        let place = |target: &str| {
            suggestions
                .iter()
                .position(|s| s.target == target && s.fault == "kill_process")
                .unwrap()
        };
        assert_eq!(place("orders-1"), suggestions.len() - 1);
        assert!(place("payment") < place("orders-1"));
        assert!(suggestions[place("payment")].reasons.contains(&"failed the last time".to_owned()));
    }

    #[test]
    fn without_traffic_and_without_an_undo_nothing_is_suggested() {
        assert_eq!(suggest(&[candidate("x", "unknown", 0)], &observed(), &matrix(&[])), []);
        let bare = Candidate { can_restart: false, port: None, ..candidate("o", "orders", 0) };
        let suggestions = suggest(&[bare], &observed(), &matrix(&[]));
        let faults: Vec<&str> = suggestions.iter().map(|s| s.fault.as_str()).collect();
        assert_eq!(faults, ["pause_process", "file_descriptors"]);
    }

    #[test]
    fn every_suggested_file_is_an_experiment_whatever_names_hold() {
        let odd = "a: [b]\n\"c\" #";
        let mut observed = observed();
        observed.calls.push((odd.to_owned(), "payment".to_owned()));
        observed.requests.insert(odd.to_owned(), 5.0);
        let mut payment = candidate("payment", "payment", 2);
        payment.declared = vec!["freeze".to_owned()];
        payment.has_container = true;
        let suggestions = suggest(&[payment], &observed, &matrix(&[]));
        assert_eq!(suggestions.len(), 9);
        for suggestion in suggestions {
            let experiment = crate::parse(&suggestion.experiment).unwrap();
            assert_eq!(experiment.fault.unwrap().as_str(), suggestion.fault);
            assert!(experiment.blast_radius.services.iter().any(|service| service == odd));
        }
    }

    #[test]
    fn services_that_call_each_other_in_a_circle_are_ranked_too() {
        let call = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let circle = Observed {
            calls: vec![call("a", "b"), call("b", "a")],
            requests: [("a".to_owned(), 1.0), ("b".to_owned(), 1.0)].into(),
        };
        let suggestions = suggest(&[candidate("a", "a", 0)], &circle, &matrix(&[]));
        assert!(suggestions[0].weight > 0.8);
    }
}
