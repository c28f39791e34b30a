//! What the headline says of states that a server really has.

use model::incident::Impact;
use model::{Entity, IncidentId, Scope};
use serde_json::json;

use super::super::Service;
use super::super::answers::{Frozen, Status};
use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn ago(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 - seconds)
}

fn service(name: &str, state: State) -> Service {
    serde_json::from_value(json!({
        "entity": Entity::service(&Scope::default(), name), "state": state, "last_seen": ago(1),
        "instances": 1,
    }))
    .unwrap()
}

fn overview() -> Overview {
    let status = Status { now: NOW, started: ago(90_000), ..Status::default() };
    let services = vec![service("cart", State::Well), service("gateway", State::Well)];
    Overview { status, services, ..Overview::default() }
}

fn incident(id: u64, state: IncidentState, severity: Severity, title: &str) -> Incident {
    let symptom: model::Symptom = serde_json::from_value(json!({
        "entity": Entity::service(&Scope::default(), "gateway"), "kind": "availability_burn",
        "source": "default", "severity": severity, "onset": ago(60), "detected": ago(55),
        "recovering_since": null, "measured": 0.2, "threshold": 0.01, "unit": "ratio",
        "bad": 20.0, "total": 100.0, "error_kinds": [], "exemplar": null, "summary": "",
    }))
    .unwrap();
    Incident {
        id: IncidentId(id),
        scope: Scope::default(),
        state,
        title: title.to_owned(),
        onset: ago(60),
        opened: ago(55),
        mitigated: (state != IncidentState::Open).then(|| ago(30)),
        resolved: (state == IncidentState::Resolved).then(|| ago(20)),
        symptoms: vec![symptom],
        firing: vec![],
        causes: vec![],
        impact: Impact::default(),
        plans: vec![],
        needs_human: String::new(),
        acknowledged_by: String::new(),
        timeline: vec![],
    }
}

fn plan(incident: u64, state: PlanState) -> Plan {
    serde_json::from_value(json!({
        "id": 7, "incident": incident, "cause": "crash",
        "entity": Entity::service(&Scope::default(), "payment"), "target": "payment-1",
        "kind": "restart", "mode": "approve", "state": state, "created": ago(50),
        "updated": ago(50), "verdicts": [], "attempts": [], "reason": "",
    }))
    .unwrap()
}

fn says(overview: &Overview) -> (String, Tone) {
    let Headline { sentence, tone, .. } = headline(overview);
    (sentence, tone)
}

#[test]
fn all_quiet_is_counted_from_the_end_of_the_last_incident() {
    let mut overview = overview();
    assert_eq!(says(&overview), ("All quiet for 1 d 1 h".to_owned(), Tone::Well));
    overview.incidents = vec![incident(1, IncidentState::Resolved, Severity::Page, "x")];
    assert_eq!(says(&overview), ("All quiet for 20 s".to_owned(), Tone::Well));
}

#[test]
fn an_open_incident_is_told_with_what_is_being_done() {
    let mut overview = overview();
    let title = "gateway fails 14 % of requests because payment-1 crashed";
    overview.incidents = vec![incident(3, IncidentState::Open, Severity::Page, title)];
    assert_eq!(says(&overview), (title.to_owned(), Tone::Hurt));
    overview.plans = vec![plan(3, PlanState::AwaitingApproval)];
    let expected =
        "gateway fails 14 % of requests; the restart of payment-1 waits for your approval";
    assert_eq!(says(&overview).0, expected);
    overview.plans = vec![plan(2, PlanState::AwaitingApproval)];
    assert_eq!(says(&overview).0, title, "another incident's plan says nothing of this one");
}

#[test]
fn what_pages_comes_before_what_does_not() {
    let mut overview = overview();
    overview.incidents = vec![
        incident(5, IncidentState::Open, Severity::Ticket, "ticket: cart is slow"),
        incident(4, IncidentState::Open, Severity::Page, "gateway fails"),
    ];
    let expected = "gateway fails; 1 more incident is open".to_owned();
    assert_eq!(says(&overview), (expected, Tone::Hurt));
}

#[test]
fn silence_is_never_called_quiet() {
    let mut overview = overview();
    overview.services[0].state = State::NoData;
    overview.services[0].since = Some(ago(360));
    let (sentence, tone) = says(&overview);
    assert_eq!(sentence, "No incident, but cart has sent nothing for 6 min");
    assert_eq!(tone, Tone::Unknown);

    overview.services.iter_mut().for_each(|service| service.last_seen = Some(ago(41)));
    let (sentence, tone) = says(&overview);
    assert_eq!(sentence, "No telemetry for 41 s: how users fare is not known");
    assert_eq!(tone, Tone::Unknown);

    overview.services = vec![service("cart", State::NoTraffic)];
    assert_eq!(says(&overview).0, "No requests to any service: how users fare is not known");
    overview.services.push(service("gateway", State::Learning));
    assert_eq!(says(&overview).0, "Learning what is normal; nothing is judged yet");

    overview.services.clear();
    assert_eq!(says(&overview).0, "Waiting for the first telemetry");
    assert!(headline(&overview).detail.contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
}

#[test]
fn a_recovery_is_watched_before_it_is_believed() {
    let mut overview = overview();
    overview.incidents = vec![incident(3, IncidentState::Mitigated, Severity::Page, "x")];
    let (sentence, tone) = says(&overview);
    assert!(sentence.starts_with("Users are well again since ") && sentence.contains("incident 3"));
    assert_eq!(tone, Tone::Risk);
}

#[test]
fn who_froze_healing_is_told_in_the_second_line() {
    let mut overview = overview();
    overview.status.frozen = Some(Frozen { by: "ops".to_owned(), reason: "looking".to_owned() });
    assert!(headline(&overview).detail.ends_with("Healing is frozen by ops: looking."));
}

#[test]
fn many_names_are_counted() {
    let mut overview = overview();
    let names = ["a", "b", "c", "d"];
    overview.services = names.iter().map(|name| service(name, State::AtRisk)).collect();
    assert_eq!(says(&overview).0, "No user is hurt; a, b and 2 more are at risk");
}
