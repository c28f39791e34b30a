//! Configuration: what is read, what is refused and where, what a reload keeps.

use model::symptom::Health;

use super::warm;
use crate::{Config, Detectors};

fn read(yaml: &str) -> Config {
    serde_saphyr::from_str(yaml).unwrap()
}

/// Problems of a configuration as `path: message`.
fn problems(yaml: &str) -> Vec<String> {
    let problems = read(yaml).validate();
    problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

#[test]
fn the_example_is_good() {
    let example = include_str!("example.yaml");
    assert_eq!(problems(example), [""; 0]);
    let config = read(example);
    assert_eq!(config.slos.len(), 2);
    assert_eq!(config.probes[0].failures, 3);
}

#[test]
fn an_empty_configuration_is_the_default_and_good() {
    assert_eq!(read("{}"), Config::default());
    assert_eq!(Config::default().validate(), []);
}

#[test]
fn the_default_survives_being_written_and_read() {
    let text = serde_json::to_string(&Config::default()).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), Config::default());
    let schema = serde_json::to_string(&schemars::schema_for!(Config)).unwrap();
    assert!(schema.contains("false_pages_per_year"));
}

#[test]
fn unknown_fields_are_refused() {
    assert!(serde_saphyr::from_str::<Config>("slo: []").is_err());
    assert!(serde_saphyr::from_str::<Config>("fast: {false_pages: 1}").is_err());
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    for (yaml, expected) in [
        (
            "slos: [{name: a, service: s, objective: 90, availability: {}}]",
            "slos[0].objective: with an objective of 90 even a total outage",
        ),
        (
            "slos: [{name: a, service: s, objective: 100, availability: {}}]",
            "slos[0].objective: an objective of 100 leaves no error budget",
        ),
        ("alerts: {rules: [{match: {}, ignore: true}]}", "alerts.rules[0].match: a rule for all"),
        ("alerts: {rules: [{match: {a: b}}]}", "alerts.rules[0].match: the rule says nothing"),
        ("alerts: {expire_after: 5s}", "alerts.expire_after: 5s is out of range"),
        (
            "slos: [{name: a, service: s, objective: 99}]",
            "slos[0].objective: what is measured is missing",
        ),
        (
            "slos: [{name: a, service: s, objective: 99, availability: {}, \
             latency: {threshold: 1s}}]",
            "slos[0].latency: an objective is about availability or about latency",
        ),
        (
            "slos: [{name: default-latency, service: s, objective: 99, availability: {}}]",
            "slos[0].name: `default-latency` is the name of a default",
        ),
        (
            "slos: [{name: a, service: s, objective: 99, latency: {threshold: 0s}}]",
            "slos[0].latency.threshold: a threshold of zero",
        ),
        ("default_slo: {objective: 50}", "default_slo.objective: with an objective of 50"),
        ("fast: {false_pages_per_year: 0}", "fast.false_pages_per_year: write a number above 0"),
        ("probes: [{name: p, service: s}]", "probes[0].name: what is probed is missing"),
        (
            "probes: [{name: p, service: s, http: {url: 'ftp://x'}}]",
            "probes[0].http.url: the address must begin with http",
        ),
        (
            "probes: [{name: p, service: s, tcp: {address: 'localhost'}}]",
            "probes[0].tcp.address: `localhost` is not host:port",
        ),
        (
            "probes: [{name: p, service: s, tcp: {address: 'h:1'}, timeout: 9s}]",
            "probes[0].timeout: the timeout must be above zero and at most the interval 5s",
        ),
        ("clear_after: 1s", "clear_after: 1s is out of range; write 10s to 1h"),
    ] {
        let problems = problems(yaml);
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
}

#[test]
fn a_second_objective_of_the_same_name_is_refused() {
    let slo = "{name: a, service: s, objective: 99, availability: {}}";
    let problems = problems(&format!("slos: [{slo}, {slo}]"));
    assert_eq!(problems, ["slos[1].name: there is another objective named `a`"]);
}

#[test]
fn a_reload_keeps_what_is_promised_as_before_and_ends_the_rest() {
    let mut scene = warm("orders", 10.0);
    scene.run(15, |scene| scene.serve("orders", 0, 10));
    let same =
        Config { clear_after: model::human::HumanDuration::from_secs(30), ..Config::default() };
    scene.detectors.reload(same);
    scene.step();
    assert_eq!(scene.observed.firing.len(), 1);
    let slo = "slos: [{name: mine, service: orders, objective: 99.9, availability: {}}]";
    scene.detectors.reload(read(slo));
    scene.step();
    assert!(scene.observed.firing.is_empty());
    assert_eq!(scene.ended.len(), 1);
    assert_eq!(scene.ended[0].1, "default-availability");
    assert_eq!(scene.health("mine"), Health::NoTraffic);
    let sources: Vec<_> = scene.observed.objectives.iter().map(|it| it.source.as_str()).collect();
    assert_eq!(
        sources,
        ["default-latency", "mine"],
        "a configured one replaces that kind's default"
    );
}

#[test]
fn every_inspection_is_told_of_once() {
    let ids: std::collections::BTreeSet<_> =
        crate::inspections::ALL.iter().map(|spec| spec.id).collect();
    assert_eq!(ids.len(), crate::inspections::ALL.len());
    let _ = Detectors::new(Config::default());
}

#[test]
fn what_is_left_out_at_a_bound_is_counted() {
    let mut scene = warm("orders", 1.0);
    assert_eq!(scene.detectors.left_out(), 0);
    for operation in 0..crate::service::FLOWS_MAX + 3 {
        scene.operate("orders", &format!("GET /{operation}"), 1);
    }
    scene.run(5, |_| {});
    assert_eq!(scene.detectors.left_out(), 3);
}
