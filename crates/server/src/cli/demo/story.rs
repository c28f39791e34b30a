//! Turns what is seen of a drill, its incidents and plans into lines, each told once, in order of
//! time.
//!
//! Nothing is told that was not read from the users' log, the server's API or the drill's record.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use model::experiment::Fault;
use model::plan::Attempt;
use model::{CauseKind, Incident, IncidentId, Plan, PlanState, Timestamp};

use super::drills::Aim;
use super::teller::{Teller, Voice};
use super::users::UsersLog;
use crate::clock;
use crate::drills::Record;

/// Lines that may be told in all: a bound for demos that are left running.
const LINES_MAX: usize = 10_000;
/// Users are said to be well when no request failed for this long.
const WELL_FOR: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Story {
    told: BTreeSet<String>,
    /// When incidents that were told to be over ended.
    over: BTreeMap<IncidentId, Timestamp>,
    waiting: Vec<Line>,
}

struct Line {
    at: Timestamp,
    voice: Voice,
    text: String,
    points: Vec<(&'static str, String)>,
}

impl Story {
    /// What is new about a drill's fault and about its users.
    pub(super) fn drill(&mut self, record: &Record, aim: &Aim, users: &UsersLog) {
        let id = record.id;
        let Some(injected) = record.fault.injected_at else { return };
        if let Some(effective) = record.fault.effective_at {
            let victim = record.victim.as_ref().filter(|_| aim.fault == Fault::KillProcess);
            let pid = victim.map_or(String::new(), |p| format!(" (SIGKILL, pid {})", p.pid));
            let text = format!("{}{pid}; {}.", aim.title, aim.seen);
            self.once(&format!("drill {id} effect"), effective, Voice::Fault, &text);
        }
        if let Some(first) = users.first_failed(injected) {
            let text = format!(
                "The first user is hurt, {} after the fault: {}.",
                seconds(injected, first.end()),
                first.told()
            );
            self.once(&format!("drill {id} harm"), first.end(), Voice::Users, &text);
        }
        if let Some(last) = users.last_failed(injected) {
            let (now, last) = (clock::now(), last.end());
            let since = users.count(last, now);
            if now.since(last) >= WELL_FOR && since.requests > 0 {
                let hurt = users.count(injected, now).failed;
                let text = format!(
                    "Users are well: no request failed since {}, {} went well. In all {hurt} \
                     failed, over {}.",
                    last.clock(),
                    since.requests,
                    seconds(injected, last)
                );
                self.once(&format!("drill {id} well {}", last.0), now, Voice::Users, &text);
            }
        }
    }

    /// What is new about incidents and plans; `harmed` is when users first felt it, as far as is
    /// known.
    pub(super) fn incidents(
        &mut self,
        incidents: &[Incident],
        plans: &[Plan],
        harmed: Option<Timestamp>,
    ) {
        for incident in incidents {
            let own = || plans.iter().filter(|plan| plan.incident == incident.id);
            self.incident(incident, harmed);
            // A plan rests on a cause: what is seen with it was known when it was made. Those from
            // before the incident was opened again rest on what caused it then.
            let ended = self.over.get(&incident.id).copied().unwrap_or(Timestamp::ZERO);
            let made = own().map(|plan| plan.created).filter(|created| *created > ended);
            let known = made.max().unwrap_or_else(clock::now);
            self.cause(incident, known);
            own().for_each(|plan| self.plan(plan));
            self.end(incident);
        }
    }

    /// Tells all that is new.
    pub(super) fn tell(&mut self, teller: &Teller) -> Result<()> {
        self.waiting.sort_by_key(|line| line.at);
        for line in self.waiting.drain(..) {
            teller.at(line.at, line.voice, &line.text)?;
            for (sign, point) in &line.points {
                teller.point(sign, point)?;
            }
        }
        Ok(())
    }

    fn incident(&mut self, incident: &Incident, harmed: Option<Timestamp>) {
        let id = incident.id;
        let ended = self.over.get(&id).copied();
        if ended.is_some() && incident.resolved.is_some() {
            return;
        }
        let from = ended.unwrap_or(Timestamp::ZERO);
        let symptom = incident.symptoms.iter().find(|symptom| symptom.detected > from);
        let (again, at) = match (ended, symptom) {
            (None, _) => ("", incident.opened),
            (Some(_), symptom) => (" again", symptom.map_or_else(clock::now, |s| s.detected)),
        };
        let title = incident.title.trim_end_matches('.');
        let text = format!("Incident {id} is open{again}: {title}.");
        let mut points = Vec::new();
        if let Some(symptom) = symptom {
            points.push(("·", symptom.summary.clone()));
        }
        if let Some(harmed) = harmed.filter(|harmed| *harmed <= at) {
            let after = seconds(harmed, at);
            points.push(("·", format!("noticed {after} after the first user was hurt")));
        }
        self.add(&format!("incident {id} {}", from.0), at, Voice::Immune, &text, points);
        if !incident.needs_human.is_empty() {
            let text = format!("A person is called: {}.", incident.needs_human);
            self.once(&format!("human {id} {text}"), clock::now(), Voice::Immune, &text);
        }
    }

    fn cause(&mut self, incident: &Incident, known: Timestamp) {
        let id = incident.id;
        let ended = self.over.get(&id).map_or(0, |at| at.0);
        if ended > 0 && incident.resolved.is_some() {
            return;
        }
        if let Some(cause) = incident.causes.first()
            && cause.kind != CauseKind::Unknown
        {
            let sure = (cause.confidence * 100.0).round();
            let summary = cause.summary.trim_end_matches('.');
            let text = format!("Why: {summary}. Confidence {sure:.0} %, because:");
            let sign = |supports: bool| if supports { "+" } else { "-" };
            let evidence = cause.evidence.iter().map(|e| (sign(e.supports), e.summary.clone()));
            let (kind, entity) = (cause.kind.as_str(), cause.entity.key());
            let key = format!("cause {id} {ended} {kind} {entity}");
            self.add(&key, known, Voice::Immune, &text, evidence.collect());
        }
    }

    fn end(&mut self, incident: &Incident) {
        let id = incident.id;
        if let Some(at) = incident.mitigated {
            let text = format!(
                "By telemetry too, users are well since {}. Once that has held, it counts as \
                 healed.",
                at.clock()
            );
            let key = format!("mitigated {id} {}", at.0);
            self.once(&key, clock::now(), Voice::Immune, &text);
        }
        if let Some(at) = incident.resolved {
            let text = format!(
                "Incident {id} is resolved, {} after it was first opened.",
                seconds(incident.opened, at)
            );
            if self.once(&format!("resolved {id} {}", at.0), at, Voice::Immune, &text) {
                self.over.insert(id, at);
            }
        }
    }

    fn plan(&mut self, plan: &Plan) {
        let (id, kind, target) = (plan.id, &plan.kind, &plan.target);
        let text = format!("Plan {id}: {kind} {target}, mode {}.", plan.mode.as_str());
        self.once(&format!("plan {id}"), plan.created, Voice::Immune, &text);
        for (index, attempt) in plan.attempts.iter().enumerate() {
            self.attempt(plan, attempt, index + 1);
        }
        let what = match plan.state {
            PlanState::Verified => "is verified",
            PlanState::Held => "is held for now",
            PlanState::Undoing => "takes back what did not help",
            PlanState::BackingOff => "waits before it tries again",
            PlanState::AwaitingApproval => "waits for approval",
            PlanState::GaveUp => "is given up",
            PlanState::Denied => "is denied",
            PlanState::Withdrawn => "is withdrawn",
            PlanState::DryRun => "is shown only, nothing is done",
            PlanState::Running | PlanState::Verifying => return,
        };
        let text = format!("Plan {id} {what}: {}.", plan.reason.trim_end_matches('.'));
        let key = format!("plan {id} {} {}", plan.state.as_str(), plan.attempts.len());
        self.once(&key, plan.updated, Voice::Immune, &text);
    }

    fn attempt(&mut self, plan: &Plan, attempt: &Attempt, number: usize) {
        let action = &attempt.action.id;
        let passed = plan.verdicts.iter().filter(|verdict| verdict.passed).count();
        let text = format!(
            "Plan {} goes ahead, attempt {number}: {} {}. Guardrails, of which each must pass: \
             {passed} of {}.",
            plan.id,
            plan.kind,
            plan.target,
            plan.verdicts.len()
        );
        let verdicts = plan.verdicts.iter().map(|verdict| {
            let text = format!("{}: {}", verdict.guardrail, verdict.reason);
            (if verdict.passed { "✓" } else { "✗" }, text)
        });
        let key = format!("attempt {action}");
        self.add(&key, attempt.ordered, Voice::Immune, &text, verdicts.collect());
        if let Some(outcome) = &attempt.outcome {
            let result = outcome.result.as_str().replace('_', " ");
            let text = format!("The agent reports {result}: {}.", outcome.detail);
            self.once(&format!("outcome {action}"), outcome.at, Voice::Immune, &text);
        }
    }

    fn once(&mut self, key: &str, at: Timestamp, voice: Voice, text: &str) -> bool {
        self.add(key, at, voice, text, Vec::new())
    }

    /// False when it was told already.
    fn add(
        &mut self,
        key: &str,
        at: Timestamp,
        voice: Voice,
        text: &str,
        points: Vec<(&'static str, String)>,
    ) -> bool {
        let new = self.told.len() < LINES_MAX && self.told.insert(key.to_owned());
        if new {
            self.waiting.push(Line { at, voice, text: text.to_owned(), points });
        }
        new
    }
}

/// `4.2 s`.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> String {
    format!("{:.1} s", to.since(from).as_secs_f64())
}
