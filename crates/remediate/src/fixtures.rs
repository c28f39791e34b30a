//! What the tests of this crate share: one crashed service, its incident, its target and its
//! policy.

use model::human::HumanDuration;
use model::incident::Impact;
use model::plan::OutcomeResult;
use model::symptom::{Health, ObjectiveState};
use model::tick::{ProcessIdentity, ProcessReport, ProcessState, Tick};
use model::{
    Action, ActionKind, Cause, CauseKind, Entity, Evidence, EvidenceKind, Incident, IncidentId,
    IncidentState, Outcome, Scope, Severity, Symptom, SymptomKind, Timestamp,
};

use crate::{Causes, Config, Policy, Remedy, Target};

pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

pub(crate) fn service(name: &str) -> Entity {
    Entity::service(&Scope::default(), name)
}

pub(crate) fn process(pid: u32) -> ProcessIdentity {
    ProcessIdentity { host: "h1".into(), boot_id: "b1".into(), pid, start_ticks: u64::from(pid) }
}

pub(crate) fn target(name: &str) -> Target {
    Target {
        name: name.into(),
        entity: service(name),
        actions: vec![ActionKind::Restart, ActionKind::RunCommand { command: "flush".into() }],
        undos: Vec::new(),
        has_process: true,
        action_timeout: HumanDuration::from_secs(20),
        stateful: false,
    }
}

/// Restarts the target of that name when it crashed or fell silent.
pub(crate) fn policy(name: &str) -> Policy {
    Policy {
        name: format!("restart-{name}"),
        cause: Causes(vec![CauseKind::Crash, CauseKind::Silent]),
        target: name.into(),
        action: Remedy::Restart,
        mode: None,
        verify_for: HumanDuration::from_secs(60),
        verify_within: HumanDuration::from_secs(180),
        attempts: 3,
        back_off: HumanDuration::from_secs(30),
        back_off_max: HumanDuration::from_secs(600),
        approval_timeout: HumanDuration::from_secs(300),
        healthy_share_min: None,
        allow_stateful: false,
        allow_during_deploy: None,
        back_off_jitter: 0.0,
        then: Vec::new(),
        promote: None,
    }
}

pub(crate) fn config(mode: model::Mode, names: &[&str]) -> Config {
    let policies = names.iter().map(|name| policy(name)).collect();
    Config { mode, policies, ..Config::default() }
}

pub(crate) fn symptom(entity: &Entity) -> Symptom {
    Symptom {
        entity: entity.clone(),
        kind: SymptomKind::AvailabilityBurn,
        source: "default".into(),
        severity: Severity::Page,
        onset: at(0),
        detected: at(0),
        recovering_since: None,
        measured: 0.5,
        threshold: 0.01,
        unit: "ratio".into(),
        bad: 10.0,
        total: 20.0,
        error_kinds: Vec::new(),
        exemplar: None,
        runbook_url: String::new(),
        summary: "half of the requests failed".into(),
    }
}

pub(crate) fn cause(kind: CauseKind, name: &str, blamed: Option<ProcessIdentity>) -> Cause {
    Cause {
        kind,
        entity: service(name),
        confidence: 0.95,
        onset: at(0),
        summary: format!("{name} {}", kind.as_str()),
        evidence: vec![Evidence {
            kind: EvidenceKind::Process,
            entity: service(name),
            at: at(0),
            summary: "process is gone".into(),
            supports: true,
            trace_id: String::new(),
        }],
        process: blamed,
    }
}

/// An open page: users of storefront are hurt because process 1 of `name` crashed.
pub(crate) fn incident(id: u64, name: &str) -> Incident {
    let hurt = service("storefront");
    Incident {
        id: IncidentId(id),
        scope: Scope::default(),
        state: IncidentState::Open,
        title: "storefront fails".into(),
        onset: at(0),
        opened: at(0),
        mitigated: None,
        resolved: None,
        symptoms: vec![symptom(&hurt)],
        firing: vec![0],
        causes: vec![cause(CauseKind::Crash, name, Some(process(1)))],
        impact: Impact { bad_requests: 10.0, requests: 20.0, services: vec![hurt] },
        plans: Vec::new(),
        needs_human: String::new(),
        acknowledged_by: String::new(),
        timeline: Vec::new(),
    }
}

pub(crate) fn mitigate(incident: &mut Incident, now: Timestamp) {
    incident.state = IncidentState::Mitigated;
    incident.mitigated = Some(now);
    incident.symptoms[0].recovering_since = Some(now);
}

pub(crate) fn resolve(incident: &mut Incident, now: Timestamp) {
    incident.state = IncidentState::Resolved;
    incident.mitigated = incident.mitigated.or(Some(now));
    incident.resolved = Some(now);
    incident.firing.clear();
}

pub(crate) fn reopen(incident: &mut Incident) {
    incident.state = IncidentState::Open;
    incident.mitigated = None;
    incident.resolved = None;
    incident.firing = vec![0];
    incident.symptoms[0].recovering_since = None;
}

pub(crate) fn objective(health: Health, requests_1m: f64) -> ObjectiveState {
    let good_ratio_1m = match health {
        Health::Well => Some(1.0),
        Health::Burning => Some(0.5),
        _ => None,
    };
    ObjectiveState {
        source: "default".into(),
        entity: service("storefront"),
        kind: SymptomKind::AvailabilityBurn,
        objective: 0.99,
        threshold_seconds: None,
        health,
        good_ratio_1m,
        requests_1m,
        burn: [None; 4],
        budget_left: None,
        last_bad: None,
    }
}

pub(crate) fn gone(name: &str, pid: u32) -> ProcessReport {
    let state = ProcessState::Gone { last: process(pid), last_seen: at(0), stop_requested: false };
    report(name, state)
}

fn report(name: &str, state: ProcessState) -> ProcessReport {
    let (target, entity) = (name.into(), service(name));
    ProcessReport { at: at(0), target, entity, state, memory_bytes: None }
}

pub(crate) fn running(name: &str, pid: u32) -> ProcessReport {
    let state = ProcessState::Running(process(pid));
    report(name, state)
}

/// The same as the agent sees it at that moment.
pub(crate) fn seen(report: ProcessReport, now: Timestamp) -> ProcessReport {
    ProcessReport { at: now, ..report }
}

pub(crate) fn outcome(action: &Action, result: OutcomeResult, now: Timestamp) -> Outcome {
    Outcome { action: action.id.clone(), at: now, result, detail: "as told".into() }
}

/// A second in which storefront was heard.
pub(crate) fn tick(now: Timestamp) -> Tick {
    Tick { now, heard: vec![(service("storefront"), now)], ..Tick::default() }
}
