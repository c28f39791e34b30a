//! What no scenario can say, because the loop never comes to it: a rule behind other rules. It is
//! tried on the part itself.

use engine::Config;
use engine::parts::Part;
use model::human::HumanDuration;
use model::incident::Impact;
use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::{
    ActionKind, Cause, CauseKind, Entity, Evidence, EvidenceKind, Incident, IncidentId,
    IncidentState, Scope, Timestamp,
};
use remediate::{Healer, StepInput, Target};

const NOW: Timestamp = Timestamp::from_secs(1_767_571_200);

/// A part, and what it is tried with.
pub struct Case {
    pub part: Part,
    pub words: &'static str,
    /// Is anything ordered?
    pub orders: fn(&Config) -> bool,
}

pub const ALL: &[Case] = &[Case {
    part: Part::Guardrail("G-9"),
    words: "an incident of staging that blames a process of production",
    orders: staging_blames_production,
}];

/// Diagnosis makes no such incident: scopes never mix there.
fn staging_blames_production(config: &Config) -> bool {
    let entity = Entity::service(&Scope::new("default", "production"), "orders");
    let process = ProcessIdentity { host: "h".into(), boot_id: "b".into(), pid: 7, start_ticks: 1 };
    let target = Target {
        name: "orders".into(),
        entity: entity.clone(),
        actions: vec![ActionKind::Restart],
        undos: Vec::new(),
        has_process: true,
        action_timeout: HumanDuration::from_secs(30),
        stateful: false,
    };
    let incident = incident(&entity, &process);
    let state = ProcessState::Gone { last: process, last_seen: NOW, stop_requested: false };
    let report =
        ProcessReport { at: NOW, target: "orders".into(), entity, state, memory_bytes: None };
    let policy = r#"{"name": "again", "cause": "crash", "target": "orders", "action": "restart",
        "mode": "auto"}"#;
    let mut healing = config.remediate.clone();
    healing.policies = vec![serde_json::from_str(policy).unwrap()];
    let input = StepInput {
        now: NOW,
        incidents: vec![&incident],
        processes: std::slice::from_ref(&report),
        ..StepInput::default()
    };
    let mut healer = Healer::new(healing, vec![target], "case".to_owned());
    !healer.step(&input).orders.is_empty()
}

fn incident(entity: &Entity, process: &ProcessIdentity) -> Incident {
    let seen = Evidence {
        kind: EvidenceKind::Process,
        entity: entity.clone(),
        at: NOW,
        summary: "its process is gone".to_owned(),
        supports: true,
        trace_id: String::new(),
    };
    let cause = Cause {
        kind: CauseKind::Crash,
        entity: entity.clone(),
        confidence: 0.95,
        onset: NOW,
        summary: "orders crashed".to_owned(),
        evidence: vec![seen],
        process: Some(process.clone()),
    };
    Incident {
        id: IncidentId(1),
        scope: Scope::new("default", "staging"),
        state: IncidentState::Open,
        title: String::new(),
        onset: NOW,
        opened: NOW,
        mitigated: None,
        resolved: None,
        symptoms: Vec::new(),
        firing: Vec::new(),
        causes: vec![cause],
        impact: Impact::default(),
        plans: Vec::new(),
        needs_human: String::new(),
        acknowledged_by: String::new(),
        timeline: Vec::new(),
    }
}
