//! Each guardrail alone, and how their verdicts come together.

use std::collections::BTreeSet;
use std::time::Duration;

use model::plan::{Attempt, OutcomeResult};
use model::tick::ProcessState;
use model::{
    Action, ActionId, ActionKind, CauseKind, Entity, EvidenceKind, Mode, PlanState, Scope,
};
use proptest::prelude::*;

use super::*;
use crate::fixtures as f;

/// Owns what a context borrows; as it is, every guardrail passes.
pub(super) struct Facts {
    pub now: Timestamp,
    pub plan: Plan,
    pub policy: Option<Policy>,
    pub target: Option<Target>,
    incident: Option<Incident>,
    limits: Limits,
    report: Option<ProcessReport>,
    running: Option<(ProcessIdentity, Timestamp)>,
    attempts_used: u32,
    busy: Option<PlanId>,
    in_flight: usize,
    ordered_1h: usize,
    not_before: Option<Timestamp>,
    stopped: Option<String>,
    pub approval: Approval,
    pub around: Around,
    pub earned: Option<Result<String, String>>,
}

impl Facts {
    pub fn passing() -> Facts {
        let plan = Plan {
            id: PlanId(3),
            incident: model::IncidentId(1),
            cause: CauseKind::Crash,
            entity: f::service("orders"),
            target: "orders".into(),
            kind: ActionKind::Restart,
            mode: Mode::Auto,
            state: PlanState::Held,
            created: f::at(0),
            updated: f::at(0),
            verdicts: Vec::new(),
            attempts: Vec::new(),
            reason: String::new(),
        };
        Facts {
            now: f::at(10),
            plan,
            policy: Some(f::policy("orders")),
            target: Some(f::target("orders")),
            incident: Some(f::incident(1, "orders")),
            limits: Limits::default(),
            report: Some(f::gone("orders", 1)),
            running: None,
            attempts_used: 0,
            busy: None,
            in_flight: 0,
            ordered_1h: 0,
            not_before: None,
            stopped: None,
            approval: Approval::NotNeeded,
            around: Around::default(),
            earned: None,
        }
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            now: self.now,
            plan: &self.plan,
            policy: self.policy.as_ref(),
            target: self.target.as_ref(),
            incident: self.incident.as_ref(),
            limits: &self.limits,
            report: self.report.as_ref(),
            running: self.running.as_ref(),
            attempts_used: self.attempts_used,
            busy: self.busy.map(|plan| (plan, "orders")),
            in_flight: self.in_flight,
            ordered_1h: self.ordered_1h,
            not_before: self.not_before,
            stopped: self.stopped.clone(),
            approval: &self.approval,
            around: self.around.clone(),
            earned: self.earned.clone(),
        }
    }

    /// The process runs and is silent.
    pub fn silent(&mut self, pid: u32) {
        self.incident().causes[0].kind = CauseKind::Silent;
        self.plan.cause = CauseKind::Silent;
        self.report = Some(f::running("orders", pid));
    }

    pub fn incident(&mut self) -> &mut Incident {
        self.incident.as_mut().unwrap()
    }

    fn attempted(&mut self, result: OutcomeResult) {
        let action = Action {
            id: ActionId("a-3-1".into()),
            target: "orders".into(),
            entity: f::service("orders"),
            kind: ActionKind::Restart,
            expect: Expectation::Gone(f::process(1)),
            not_after: f::at(30),
        };
        let outcome = Some(f::outcome(&action, result, f::at(5)));
        self.plan.attempts.push(Attempt { action, ordered: f::at(1), outcome, undo: None });
        self.attempts_used = 1;
    }
}

/// The guardrail denies (or, where `expect` is empty, passes) after `change`; others do not matter.
fn check(id: &str, change: impl FnOnce(&mut Facts), expect: &str) {
    let mut facts = Facts::passing();
    change(&mut facts);
    let guardrail = ALL.iter().find(|guardrail| guardrail.spec.id == id).unwrap();
    let verdict = guardrail.check(&facts.context());
    assert_eq!(verdict.guardrail, id);
    assert_eq!(verdict.passed, expect.is_empty(), "{id}: {}", verdict.reason);
    assert!(verdict.reason.contains(expect), "{id}: {}", verdict.reason);
}

#[test]
fn a_crashed_process_with_evidence_passes_them_all() {
    let facts = Facts::passing();
    let decision = decide(&facts.context());
    assert_eq!(decision.denials(), "");
    let (verdicts, expect) = decision.passed().unwrap().into_parts();
    assert_eq!(verdicts.len(), ALL.len());
    assert_eq!(expect, Expectation::Gone(f::process(1)));
}

#[test]
fn each_has_its_own_number_in_order_and_says_what_it_does() {
    let ids: Vec<String> = ALL.iter().map(|guardrail| guardrail.spec.id.to_owned()).collect();
    let expected: Vec<String> = (1..=ALL.len()).map(|number| format!("G-{number}")).collect();
    assert_eq!(ids, expected);
    let titles: BTreeSet<&str> = ALL.iter().map(|guardrail| guardrail.spec.title).collect();
    assert_eq!(titles.len(), ALL.len());
    for guardrail in ALL {
        let spec = guardrail.spec;
        assert!(spec.documentation.len() > 40 && !spec.default.is_empty(), "{}", spec.id);
        assert!(!spec.documentation.contains("  "), "{}: ragged text", spec.id);
    }
}

#[test]
fn g1_needs_incident_policy_and_declared_action_now() {
    check("G-1", |_| {}, "");
    check("G-1", |facts| facts.incident = None, "no longer reported");
    check("G-1", |facts| facts.policy = None, "changed or removed");
    check("G-1", |facts| facts.target = None, "no longer declared");
    check(
        "G-1",
        |facts| facts.target.as_mut().unwrap().actions.clear(),
        "does not declare restart",
    );
    check("G-1", |facts| facts.plan.mode = Mode::Off, "off");
}

#[test]
fn g2_denies_while_an_action_on_the_target_is_not_finished() {
    check("G-2", |_| {}, "");
    check("G-2", |facts| facts.busy = Some(PlanId(2)), "plan 2's action on orders");
    check("G-2", |facts| facts.plan.state = PlanState::Running, "this plan's action");
    check("G-2", |facts| facts.plan.state = PlanState::Verifying, "this plan's action");
}

#[test]
fn g3_denies_after_the_last_attempt() {
    check("G-3", |facts| facts.attempts_used = 2, "");
    check("G-3", |facts| facts.attempts_used = 3, "3 of 3 attempts are used up");
    check("G-3", |facts| facts.policy = None, "no policy");
}

#[test]
fn g4_denies_until_the_back_off_is_over() {
    check("G-4", |facts| facts.not_before = Some(f::at(10)), "");
    check("G-4", |facts| facts.not_before = Some(f::at(11)), "left alone until");
}

#[test]
fn g5_denies_at_either_cap() {
    check("G-5", |facts| facts.in_flight = 1, "");
    check("G-5", |facts| facts.in_flight = 2, "2 actions in flight, 2 allowed");
    check("G-5", |facts| facts.ordered_1h = 9, "");
    check("G-5", |facts| facts.ordered_1h = 10, "10 actions in the last hour, 10 allowed");
}

#[test]
fn g6_denies_while_healing_is_stopped() {
    check("G-6", |_| {}, "");
    check("G-6", |facts| facts.stopped = Some("frozen by ann: sale".into()), "frozen by ann: sale");
}

#[test]
fn g7_takes_silence_for_a_no() {
    let given = |until| Approval::Given { who: "ann".into(), at: f::at(5), until };
    check("G-7", |_| {}, "");
    check("G-7", |facts| facts.earned = Some(Ok("earned by 5 cures".into())), "");
    check("G-7", |facts| facts.earned = Some(Err("2 of 5 cures".into())), "2 of 5 cures");
    let approve = |facts: &mut Facts, approval: Approval| {
        facts.plan.mode = Mode::Approve;
        facts.approval = approval;
    };
    check("G-7", |facts| approve(facts, Approval::NotNeeded), "nobody was asked");
    check("G-7", |facts| approve(facts, Approval::Asked { until: f::at(99) }), "not approved yet");
    check("G-7", |facts| approve(facts, given(f::at(10))), "");
    check("G-7", |facts| approve(facts, given(f::at(9))), "approval by ann lapsed");
    let later_attempt = |facts: &mut Facts| {
        approve(facts, given(f::at(9)));
        facts.attempted(OutcomeResult::Failed);
    };
    check("G-7", later_attempt, "");
}

#[test]
fn g8_needs_a_sure_cause_with_direct_evidence() {
    check("G-8", |facts| facts.incident().causes[0].confidence = 0.8, "");
    check("G-8", |facts| facts.incident().causes[0].confidence = 0.79, "0.79, 0.80 needed");
    check("G-8", |facts| facts.incident().causes[0].confidence = f64::NAN, "NaN");
    check("G-8", |facts| facts.incident().causes.clear(), "no cause");
    check(
        "G-8",
        |facts| facts.incident().causes[0].kind = CauseKind::Silent,
        "now silent of orders",
    );
    let evidence = |kind, supports| {
        move |facts: &mut Facts| {
            facts.incident().causes[0].evidence[0].kind = kind;
            facts.incident().causes[0].evidence[0].supports = supports;
        }
    };
    check("G-8", evidence(EvidenceKind::Calls, true), "");
    check("G-8", evidence(EvidenceKind::Calls, false), "0 pieces of direct evidence, 1 needed");
    check("G-8", evidence(EvidenceKind::Condition, true), "");
    check("G-8", evidence(EvidenceKind::Topology, true), "0 pieces");
    check("G-8", evidence(EvidenceKind::Change, true), "0 pieces");
    let second = |process| {
        move |facts: &mut Facts| {
            facts.incident().causes[0].process = process;
            let first = f::cause(CauseKind::Crash, "payment", Some(f::process(5)));
            facts.incident().causes.insert(0, first);
        }
    };
    check("G-8", second(Some(f::process(1))), "");
    check("G-8", second(None), "now crash of payment");
}

#[test]
fn g9_denies_across_environments() {
    let staging = || Scope::new("default", "staging");
    let moved = |it: &Entity| Entity::part(&staging(), it.kind, &it.part_of, &it.name);
    check("G-9", |_| {}, "");
    check("G-9", |facts| facts.incident().scope = staging(), "incident in default/staging");
    check(
        "G-9",
        |facts| {
            let cause = &mut facts.incident().causes[0].entity;
            *cause = moved(cause);
            facts.plan.entity = moved(&facts.plan.entity);
        },
        "cause in default/stag",
    );
    let elsewhere = |facts: &mut Facts| {
        let target = facts.target.as_mut().unwrap();
        target.entity = moved(&target.entity);
    };
    check("G-9", elsewhere, "target in default/staging");
}

#[test]
fn g10_before_a_first_action_only_the_process_blamed_is_touched() {
    check("G-10", |_| {}, "");
    let stopped = |facts: &mut Facts| {
        if let Some(ProcessState::Gone { stop_requested, .. }) =
            facts.report.as_mut().map(|report| &mut report.state)
        {
            *stop_requested = true;
        }
    };
    check("G-10", stopped, "stopped on request");
    check(
        "G-10",
        |facts| facts.report = Some(f::running("orders", 1)),
        "is running: it is not gone",
    );
    check("G-10", |facts| facts.report = None, "");
    let nothing_known = |facts: &mut Facts| {
        facts.report = None;
        facts.incident().causes[0].process = None;
    };
    check("G-10", nothing_known, "no agent has ever seen");
    let command = |facts: &mut Facts| {
        nothing_known(facts);
        facts.plan.kind = ActionKind::RunCommand { command: "flush".into() };
    };
    check("G-10", command, "");
    let silent = |pid| {
        move |facts: &mut Facts| {
            facts.incident().causes[0].kind = CauseKind::Silent;
            facts.plan.cause = CauseKind::Silent;
            facts.report = Some(f::running("orders", pid));
        }
    };
    check("G-10", silent(1), "");
    check("G-10", silent(2), "somebody started it since");
}

#[test]
fn g10_later_leaves_alone_what_others_started_until_it_had_its_time() {
    let restarted = |result, since| {
        move |facts: &mut Facts| {
            facts.attempted(result);
            facts.report = Some(f::running("orders", 2));
            facts.running = Some((f::process(2), since));
            facts.now = f::at(200);
        }
    };
    check("G-10", restarted(OutcomeResult::Done, f::at(199)), "");
    check("G-10", restarted(OutcomeResult::Refused, f::at(199)), "was started by others");
    check("G-10", restarted(OutcomeResult::Refused, f::at(20)), "");
}

#[test]
fn g10_lets_a_target_without_a_process_be_acted_upon_but_never_restarted_or_signalled() {
    let without = |facts: &mut Facts, kind: ActionKind| {
        facts.plan.kind = kind;
        facts.report = None;
        facts.target.as_mut().unwrap().has_process = false;
    };
    let command = || ActionKind::RunCommand { command: "flush".into() };
    let signal = || ActionKind::Signal { signal: model::SignalName::Hup };
    let reload = || ActionKind::Systemd { operation: model::UnitOperation::Reload };
    check("G-10", |facts| without(facts, command()), "");
    check("G-10", |facts| without(facts, reload()), "");
    check("G-10", |facts| facts.plan.kind = reload(), "no process of orders is known to run");
    check("G-10", |facts| without(facts, ActionKind::Restart), "has no process");
    check("G-10", |facts| without(facts, signal()), "no process of orders is known to run");
    check("G-10", |facts| facts.plan.kind = signal(), "no process of orders is known to run");
    let mut facts = Facts::passing();
    without(&mut facts, command());
    assert_eq!(expectation(&facts.context()), Ok(Expectation::NoProcess));
}

#[test]
fn g11_touches_what_runs_only_while_users_are_hurt() {
    let silent = |facts: &mut Facts| {
        facts.incident().causes[0].kind = CauseKind::Silent;
        facts.plan.cause = CauseKind::Silent;
        facts.report = Some(f::running("orders", 1));
    };
    check("G-11", silent, "");
    let mitigated = |facts: &mut Facts| {
        silent(facts);
        f::mitigate(facts.incident(), f::at(5));
    };
    check("G-11", mitigated, "well again since");
    let recovering = |facts: &mut Facts| {
        silent(facts);
        facts.incident().symptoms[0].recovering_since = Some(f::at(5));
    };
    check("G-11", recovering, "well again since");
    check("G-11", |facts| f::mitigate(facts.incident(), f::at(5)), "");
    let command = |facts: &mut Facts| {
        facts.plan.kind = ActionKind::RunCommand { command: "flush".into() };
        f::mitigate(facts.incident(), f::at(5));
    };
    check("G-11", command, "well again since");
    check("G-11", |facts| f::resolve(facts.incident(), f::at(5)), "resolved");
    check("G-11", |facts| facts.incident = None, "not known");
}

proptest! {
    /// Guardrail algebra: the decision passes exactly when every verdict does, every denial is
    /// told, and a further fault never turns a denial into a pass.
    #[test]
    fn any_denial_denies_and_none_is_lost(faults in prop::collection::vec(0_usize..17, 0..5)) {
        let mut facts = Facts::passing();
        let mut denied = BTreeSet::new();
        for fault in faults {
            break_one(&mut facts, fault);
            let decision = decide(&facts.context());
            let now: BTreeSet<String> = decision
                .verdicts()
                .iter()
                .filter(|verdict| !verdict.passed)
                .map(|verdict| verdict.guardrail.clone())
                .collect();
            prop_assert!(denied.is_subset(&now), "{:?} lost in {:?}", denied, now);
            let expected = format!("G-{}", fault + 1);
            prop_assert!(now.contains(&expected), "{} in {:?}", expected, now);
            prop_assert_eq!(decision.verdicts().len(), ALL.len());
            for id in &now {
                let told = decision.denials().contains(&format!("{id} "));
                prop_assert!(told, "{} is not told", id);
            }
            prop_assert!(decision.passed().is_none());
            denied = now;
        }
    }
}

pub(super) fn break_one(facts: &mut Facts, fault: usize) {
    match fault {
        0 => facts.target.as_mut().unwrap().actions.clear(),
        1 => facts.busy = Some(PlanId(1)),
        2 => facts.attempts_used = 3,
        3 => facts.not_before = Some(f::at(1_000)),
        4 => facts.in_flight = 9,
        5 => facts.stopped = Some("held: catching up".into()),
        6 => {
            facts.plan.mode = Mode::Approve;
            facts.approval = Approval::Asked { until: f::at(99) };
        }
        7 => facts.incident().causes[0].confidence = 0.1,
        8 => facts.incident().scope = Scope::new("default", "staging"),
        9 => {
            facts.attempts_used = facts.attempts_used.max(1);
            facts.report = Some(f::running("orders", 2));
        }
        10 => f::resolve(facts.incident(), f::at(5)),
        11 => {
            runs(facts);
            facts.around.copies = Copies { known: 3, well_beside: 1 };
        }
        12 => {
            let (calm_for, last_order) = (Duration::ZERO, Some(Duration::ZERO));
            facts.around.storm = Some(Storm { calm_for, troubled: 6, all: 6, last_order });
        }
        13 => {
            runs(facts);
            facts.around.budget = Some(("default of storefront".into(), -1.0));
        }
        14 => facts.target.as_mut().unwrap().stateful = true,
        15 => facts.around.deploy = Some(f::at(5)),
        _ => {
            facts.now = f::at(500);
            facts.not_before = facts.not_before.map(|_| f::at(1_000));
            facts.around.looked = Some(f::at(5));
        }
    }
}

/// What was gone runs, so that more can be said against touching it.
fn runs(facts: &mut Facts) {
    facts.report = Some(f::running("orders", 2));
}
