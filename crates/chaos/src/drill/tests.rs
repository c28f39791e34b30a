//! A drill through its phases, driven by hand.

use model::experiment::Healed;
use model::incident::{Cause, CauseKind, Impact, IncidentId};
use model::plan::{
    Action, ActionId, ActionKind, Attempt, Expectation, Mode, Outcome, OutcomeResult, PlanId,
};
use model::symptom::SymptomKind;
use model::{PlanState, Scope, Severity};

use super::*;

const FILE: &str = "
title: orders dies
steady_state: {slos: [storefront], held_for: 5s}
target: orders
fault: kill_process
blast_radius: {environment: production, services: [storefront, orders]}
deadline: 2m
observe: 1m
expect: {decision: heal, cause: {kind: crash, entity: orders}}
";

struct World {
    now: u64,
    health: Health,
    incidents: Vec<Incident>,
    plans: Vec<Plan>,
    fault: FaultView,
    client: ClientLog,
}

impl World {
    fn new() -> Self {
        World {
            now: 1000,
            health: Health::Well,
            incidents: Vec::new(),
            plans: Vec::new(),
            fault: FaultView::default(),
            client: ClientLog::default(),
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_secs(self.now)
    }

    fn with_view<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let objectives = [ObjectiveState {
            source: "default-availability".into(),
            entity: Entity::service(&Scope::default(), "storefront"),
            kind: SymptomKind::AvailabilityBurn,
            objective: 0.99,
            threshold_seconds: None,
            health: self.health,
            good_ratio_1m: Some(1.0),
            requests_1m: 100.0,
            burn: [None; 4],
            budget_left: None,
            last_bad: None,
        }];
        let incidents: Vec<&Incident> = self.incidents.iter().collect();
        let plans: Vec<&Plan> = self.plans.iter().collect();
        look(&View {
            now: self.at(),
            objectives: &objectives,
            incidents: &incidents,
            plans: &plans,
            fault: &self.fault,
            client: Some(&self.client),
        })
    }

    fn run(&mut self, drill: &mut Drill, seconds: u64) -> Vec<Order> {
        let mut orders = Vec::new();
        for _ in 0..seconds {
            self.now += 1;
            orders.extend(self.with_view(|view| drill.step(view)));
        }
        orders
    }

    fn request(&mut self, second: u64, ok: bool) {
        let nanos = Timestamp::from_secs(second).0;
        self.client.read(&format!(
            "{{\"start_unix_ns\":{},\"end_unix_ns\":{nanos},\"ok\":{ok}}}\n",
            nanos - 1
        ));
    }

    /// Raised now.
    fn symptom(&self, service: &str) -> Symptom {
        Symptom {
            entity: Entity::service(&Scope::default(), service),
            kind: SymptomKind::AvailabilityBurn,
            source: "default-availability".to_owned(),
            severity: Severity::Page,
            onset: self.at(),
            detected: self.at(),
            recovering_since: None,
            measured: 1.0,
            threshold: 0.1,
            unit: "ratio".to_owned(),
            bad: 10.0,
            total: 10.0,
            error_kinds: Vec::new(),
            exemplar: None,
            runbook_url: String::new(),
            summary: String::new(),
        }
    }

    fn open_incident(&mut self, service: &str) {
        let scope = Scope::default();
        let orders = Entity::service(&scope, "orders");
        let at = self.at();
        self.incidents.push(Incident {
            id: IncidentId(self.incidents.len() as u64 + 1),
            scope: scope.clone(),
            state: IncidentState::Open,
            title: String::new(),
            onset: at,
            opened: at,
            mitigated: None,
            resolved: None,
            symptoms: Vec::new(),
            firing: Vec::new(),
            causes: vec![Cause {
                kind: CauseKind::Crash,
                entity: orders,
                confidence: 0.9,
                onset: at,
                summary: "orders crashed".into(),
                evidence: Vec::new(),
                process: None,
            }],
            impact: Impact {
                services: vec![Entity::service(&scope, service)],
                ..Impact::default()
            },
            plans: Vec::new(),
            needs_human: String::new(),
            acknowledged_by: String::new(),
            timeline: Vec::new(),
        });
    }

    fn heal(&mut self) {
        let at = self.at();
        let entity = self.incidents[0].causes[0].entity.clone();
        let action = Action {
            id: ActionId("a-1-1".into()),
            target: "orders".into(),
            entity: entity.clone(),
            kind: ActionKind::Restart,
            expect: Expectation::NoProcess,
            not_after: at,
        };
        let outcome = Outcome {
            action: action.id.clone(),
            at,
            result: OutcomeResult::Done,
            detail: String::new(),
        };
        self.plans.push(Plan {
            id: PlanId(1),
            incident: IncidentId(1),
            cause: CauseKind::Crash,
            entity,
            target: "orders".into(),
            kind: ActionKind::Restart,
            mode: Mode::Auto,
            state: PlanState::Verified,
            created: at,
            updated: at,
            verdicts: Vec::new(),
            attempts: vec![Attempt { action, ordered: at, outcome: Some(outcome), undo: None }],
            reason: String::new(),
        });
    }
}

fn drill(file: &str) -> Drill {
    Drill::new(crate::parse(file).unwrap(), Timestamp::from_secs(1000), 0)
}

#[test]
fn a_healed_kill_passes() {
    let mut world = World::new();
    let mut drill = drill(FILE);
    assert_eq!(world.run(&mut drill, 10), [Order::Inject]);
    world.fault.injected_at = Some(world.at());
    world.fault.effective_at = Some(world.at());
    world.run(&mut drill, 1);
    world.request(world.now + 1, false);
    world.run(&mut drill, 3);
    world.open_incident("storefront");
    world.run(&mut drill, 2);
    world.heal();
    let orders = world.run(&mut drill, 60);
    assert_eq!(orders, [Order::Undo]);
    world.request(world.now, true);
    world.incidents[0].state = IncidentState::Resolved;
    world.fault.undone_at = Some(world.at());
    world.fault.found_healed = true;
    world.run(&mut drill, 1);
    let card = world.with_view(|view| drill.scorecard(view));
    assert_eq!(card.failures, Vec::<String>::new());
    assert!(card.passed);
    assert_eq!(card.healed, Some(Healed::ByAction));
}

#[test]
fn recovery_only_by_the_undo_does_not_pass() {
    let mut world = World::new();
    let mut drill = drill(FILE);
    world.run(&mut drill, 10);
    world.fault.injected_at = Some(world.at());
    world.fault.effective_at = Some(world.at());
    world.request(world.now + 1, false);
    world.run(&mut drill, 5);
    world.open_incident("storefront");
    world.run(&mut drill, 70);
    world.fault.undone_at = Some(world.at());
    world.run(&mut drill, 20);
    world.request(world.now, true);
    let card = world.with_view(|view| drill.scorecard(view));
    assert_eq!(card.healed, Some(Healed::OnlyBecauseItEnded));
    assert_eq!(card.decision_right, Some(false));
    assert!(!card.passed);
}

#[test]
fn nothing_is_injected_while_users_are_not_well() {
    let mut world = World::new();
    world.health = Health::Burning;
    let mut drill = drill(FILE);
    assert_eq!(world.run(&mut drill, 200), []);
    assert_eq!(drill.phase, Phase::Done);
    assert!(drill.abort.as_ref().unwrap().contains("steady state"));
}

#[test]
fn trouble_outside_the_blast_radius_aborts_and_undoes() {
    let mut world = World::new();
    let mut drill = drill(FILE);
    world.run(&mut drill, 10);
    world.fault.effective_at = Some(world.at());
    world.run(&mut drill, 2);
    world.open_incident("billing");
    assert_eq!(world.run(&mut drill, 1), [Order::Undo]);
    assert!(drill.abort.as_ref().unwrap().contains("billing"));
}

#[test]
fn what_an_incident_hurt_before_it_opened_again_is_not_of_this_drill() {
    let mut world = World::new();
    let mut drill = Drill::new(crate::parse(FILE).unwrap(), world.at(), 1);
    world.open_incident("billing");
    let before = world.symptom("billing");
    world.incidents[0].symptoms = vec![before];
    world.incidents[0].state = IncidentState::Resolved;
    world.incidents[0].resolved = Some(world.at());
    world.run(&mut drill, 10);
    world.fault.effective_at = Some(world.at());
    world.run(&mut drill, 2);
    let orders = world.symptom("orders");
    world.incidents[0].impact.services.push(orders.entity.clone());
    world.incidents[0].symptoms.push(orders);
    world.incidents[0].state = IncidentState::Open;
    world.incidents[0].resolved = None;
    assert_eq!(world.run(&mut drill, 1), []);
    let again = world.symptom("billing");
    world.incidents[0].symptoms.push(again);
    assert_eq!(world.run(&mut drill, 1), [Order::Undo]);
}

#[test]
fn a_steady_state_that_stays_away_for_too_long_aborts() {
    let file = FILE
        .replace("deadline:", "abort: {not_well_for: 30s}\ndeadline:")
        .replace("observe: 1m", "observe: 5m");
    let mut world = World::new();
    let mut drill = drill(&file);
    world.run(&mut drill, 10);
    world.fault.effective_at = Some(world.at());
    world.run(&mut drill, 2);
    for health in [Health::Burning, Health::Well, Health::Burning] {
        world.health = health;
        assert_eq!(world.run(&mut drill, 20), [], "a break begins anew");
    }
    assert_eq!(world.run(&mut drill, 12), [Order::Undo]);
    let abort = drill.abort.as_ref().unwrap();
    assert!(abort.contains("storefront has not been well for 30s"), "{abort}");
}

#[test]
fn a_fault_without_effect_is_undone_at_once() {
    let mut world = World::new();
    let mut drill = drill(FILE);
    world.run(&mut drill, 10);
    world.fault.ineffective = Some("pid 7 still runs".into());
    assert_eq!(world.run(&mut drill, 1), [Order::Undo]);
    assert!(drill.abort.as_ref().unwrap().contains("pid 7 still runs"));
}

#[test]
fn an_incident_during_a_placebo_is_a_false_page() {
    let file = FILE.replace("fault: kill_process\n", "").replace(
        "{decision: heal, cause: {kind: crash, entity: orders}}",
        "{decision: leave_alone}",
    );
    let mut world = World::new();
    let mut quiet = drill(&file);
    assert_eq!(world.run(&mut quiet, 100), []);
    assert!(world.with_view(|view| quiet.scorecard(view)).passed);

    let mut loud = drill(&file);
    world.run(&mut loud, 10);
    world.open_incident("storefront");
    world.run(&mut loud, 100);
    let card = world.with_view(|view| loud.scorecard(view));
    assert_eq!(card.false_pages, 1);
    assert!(!card.passed);
}

#[test]
fn an_incident_of_an_earlier_drill_that_opens_again_is_of_this_one() {
    let mut world = World::new();
    world.open_incident("storefront");
    world.heal();
    world.plans[0].target = "billing".into();
    world.incidents[0].state = IncidentState::Resolved;
    world.incidents[0].resolved = Some(world.at());
    let mut drill = Drill::new(crate::parse(FILE).unwrap(), world.at(), 1);
    world.run(&mut drill, 10);
    assert_eq!(world.with_view(|view| drill.incidents(view).len()), 0);
    world.fault.injected_at = Some(world.at());
    world.fault.effective_at = Some(world.at());
    world.request(world.now + 1, false);
    world.run(&mut drill, 5);
    world.incidents[0].state = IncidentState::Open;
    world.incidents[0].resolved = None;
    world.heal();
    world.run(&mut drill, 30);
    world.request(world.now, true);
    world.incidents[0].state = IncidentState::Resolved;
    world.incidents[0].resolved = Some(world.at());
    world.fault.undone_at = Some(world.at());
    world.fault.found_healed = true;
    world.run(&mut drill, 2);
    let card = world.with_view(|view| drill.scorecard(view));
    assert_eq!(card.failures, Vec::<String>::new());
    assert_eq!(card.incident, Some(IncidentId(1)));
}

#[test]
fn acting_where_nothing_was_to_be_done_is_never_right() {
    let file = FILE.replace(
        "{decision: heal, cause: {kind: crash, entity: orders}}",
        "{decision: leave_alone}",
    );
    let mut world = World::new();
    world.open_incident("storefront");
    world.incidents[0].state = IncidentState::Resolved;
    world.incidents[0].resolved = Some(world.at());
    world.heal();
    let mut drill = Drill::new(crate::parse(&file).unwrap(), world.at(), 1);
    world.run(&mut drill, 10);
    let card = world.with_view(|view| drill.scorecard(view));
    assert_eq!((card.decision, card.acted_at), (Some(Decision::LeaveAlone), None), "before it");
    world.fault.effective_at = Some(world.at());
    world.run(&mut drill, 5);
    world.heal();
    world.plans[1].incident = IncidentId(7);
    let card = world.with_view(|view| drill.scorecard(view));
    assert_eq!((card.decision, card.decision_right), (Some(Decision::Heal), Some(false)));
    assert_eq!(card.acted_at, Some(world.at()));
}
