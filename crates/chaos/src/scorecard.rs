//! The scorecard: what happened beside what should have, every time from telemetry or the client's
//! log.

use model::experiment::{Decision, Fault, Healed, Scorecard};
use model::plan::OutcomeResult;
use model::{Incident, Plan, PlanState, Timestamp};

use crate::client::Harmed;
use crate::drill::{Drill, Phase, RECOVERED_FOR, View};

pub(crate) fn score(drill: &Drill, view: &View<'_>) -> Scorecard {
    let experiment = &drill.experiment;
    let fault = view.fault;
    let begun = fault.injected_at.unwrap_or(drill.started);
    let harmed = view.client.map(|client| client.harmed(begun, view.now)).unwrap_or_default();
    let incidents = drill.incidents(view);
    let own = own_incident(drill, &incidents);
    let since_steady: Vec<&Plan> =
        view.plans.iter().copied().filter(|plan| is_since(plan, drill.from())).collect();
    let decision = decide(own, &incidents, &since_steady);
    let is_own = |plan: &&Plan| own.is_none_or(|own| plan.incident == own.id);
    let plans: Vec<&Plan> = since_steady.iter().copied().filter(is_own).collect();
    let mut card = Scorecard {
        title: experiment.title.clone(),
        fault: experiment.fault.as_ref().map_or("placebo", |fault| fault.as_str()).to_owned(),
        target: experiment.target.clone(),
        aborted: drill.abort.clone(),
        took_effect: experiment.fault.as_ref().map(|_| fault.effective_at.is_some()),
        injected_at: fault.injected_at,
        effective_at: fault.effective_at,
        first_harm_at: harmed.first,
        harmed_requests: harmed.count,
        last_harm_at: harmed.last,
        incident: own.map(|incident| incident.id),
        detected_at: own.map(|incident| detected(drill, incident)),
        cause: own.and_then(|incident| incident.causes.first()).map(|cause| cause.summary.clone()),
        cause_first: cause_first(drill, own),
        decision_expected: Some(experiment.expect.decision),
        decision: Some(decision),
        decision_right: Some(decision_right(drill, decision, &since_steady)),
        acted_at: plans.iter().flat_map(|plan| &plan.attempts).map(|a| a.ordered).min(),
        verified_at: plans
            .iter()
            .filter(|plan| plan.state == PlanState::Verified)
            .map(|plan| plan.updated)
            .min(),
        undone_at: fault.undone_at,
        false_pages: (incidents.len() - usize::from(own.is_some())) as u64,
        ..Scorecard::default()
    };
    card.healed = healed(drill, view, &harmed, &plans);
    card.failures = failures(drill, &card);
    card.passed = drill.phase == Phase::Done && card.failures.is_empty();
    card
}

/// The first incident that hurts what the drill may hurt. A drill that expects none has none of its
/// own.
fn own_incident<'a>(drill: &Drill, incidents: &[&'a Incident]) -> Option<&'a Incident> {
    if drill.experiment.expect.decision == Decision::LeaveAlone {
        return None;
    }
    let allowed = &drill.experiment.blast_radius.services;
    let hurts =
        |incident: &Incident| drill.hurt(incident).any(|service| allowed.contains(&service.name));
    incidents.iter().copied().find(|incident| hurts(incident))
}

/// When the incident was opened, or what opened it again was noticed.
fn detected(drill: &Drill, own: &Incident) -> Timestamp {
    if own.opened >= drill.from() {
        return own.opened;
    }
    let noticed = own.symptoms.iter().map(|symptom| symptom.detected);
    noticed.filter(|at| *at >= drill.from()).min().unwrap_or(own.opened)
}

fn cause_first(drill: &Drill, own: Option<&Incident>) -> Option<bool> {
    let expected = drill.experiment.expect.cause.as_ref()?;
    let first = own?.causes.first()?;
    Some(first.kind == expected.kind && first.entity.to_string() == expected.entity)
}

/// Was it made, or did it act, since then?
fn is_since(plan: &Plan, from: Timestamp) -> bool {
    plan.created >= from || plan.attempts.iter().any(|attempt| attempt.ordered >= from)
}

/// What Immune did since the steady state, about whatever incident: a drill without an incident of
/// its own may still have moved it to act.
fn decide(own: Option<&Incident>, incidents: &[&Incident], plans: &[&Plan]) -> Decision {
    let calls = |incident: &Incident| !incident.needs_human.is_empty();
    let called = match own {
        Some(own) => calls(own),
        None => incidents.iter().copied().any(calls),
    };
    if plans.iter().any(|plan| !plan.attempts.is_empty()) {
        Decision::Heal
    } else if called {
        Decision::Escalate
    } else {
        Decision::LeaveAlone
    }
}

/// Healing is right only when nothing but the drill's own target was touched.
fn decision_right(drill: &Drill, decision: Decision, plans: &[&Plan]) -> bool {
    let target = &drill.experiment.target;
    let strayed = plans.iter().any(|plan| !plan.attempts.is_empty() && plan.target != *target);
    decision == drill.experiment.expect.decision && !strayed
}

fn healed(drill: &Drill, view: &View<'_>, harmed: &Harmed, plans: &[&Plan]) -> Option<Healed> {
    let fault = drill.experiment.fault.as_ref()?;
    let client = view.client?;
    let Some(last_harm) = harmed.last else { return Some(Healed::NoHarm) };
    let recovered = view.now.since(last_harm) >= RECOVERED_FOR && client.well_after(last_harm) > 0;
    if !recovered {
        return Some(Healed::NotHealed);
    }
    let acted_first = plans.iter().flat_map(|plan| &plan.attempts).any(|attempt| {
        attempt.outcome.as_ref().is_some_and(|outcome| {
            outcome.result == OutcomeResult::Done
                && view.fault.undone_at.is_none_or(|undone| outcome.at <= undone)
        })
    });
    let ended = |from: Timestamp| view.fault.undone_at.is_none_or(|undone| from <= undone);
    let before_end = match fault {
        Fault::KillProcess | Fault::PauseProcess => view.fault.found_healed && ended(last_harm),
        // No process tells that it ended: the users do.
        _ => ended(last_harm + RECOVERED_FOR),
    };
    Some(match acted_first && before_end {
        true => Healed::ByAction,
        false => Healed::OnlyBecauseItEnded,
    })
}

fn failures(drill: &Drill, card: &Scorecard) -> Vec<String> {
    let expect = &drill.experiment.expect;
    let mut failures = Vec::new();
    let mut fail = |failed: bool, text: String| {
        if failed {
            failures.push(text);
        }
    };
    fail(card.aborted.is_some(), format!("aborted: {}", card.aborted.as_deref().unwrap_or("")));
    fail(card.took_effect == Some(false), "the fault did not take effect".to_owned());
    let wants_incident = expect.decision != Decision::LeaveAlone;
    fail(wants_incident && card.incident.is_none(), "not detected".to_owned());
    fail(
        card.cause_first == Some(false),
        format!("another cause came first: {}", card.cause.as_deref().unwrap_or("none")),
    );
    fail(
        card.decision_right == Some(false),
        format!(
            "decided to {}, right was {}",
            card.decision.map_or("nothing", Decision::as_str),
            expect.decision.as_str()
        ),
    );
    let heal = expect.decision == Decision::Heal;
    let instead = match card.healed {
        Some(Healed::ByAction) | None => None,
        Some(Healed::OnlyBecauseItEnded) => Some("only because the fault ended"),
        Some(Healed::NotHealed) => Some("not while it was watched"),
        Some(Healed::NoHarm) => Some("nobody was hurt"),
    };
    fail(
        heal && instead.is_some(),
        format!("users did not recover by the action: {}", instead.unwrap_or_default()),
    );
    fail(heal && card.verified_at.is_none(), "the recovery was not verified".to_owned());
    fail(card.false_pages > 0, format!("{} false pages", card.false_pages));
    failures
}
