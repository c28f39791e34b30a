//! Runs a scenario through the real loop and compares what happened with what was expected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::human::HumanDuration;
use model::plan::{ActionKind, OutcomeResult};
use model::signal::Batch;
use model::tick::ProbeResult;
use model::{
    Action, Cause, Change, Entity, EntityKind, IncidentId, IncidentState, Outcome, PlanId,
    PlanState,
};
use model::{Scope, Timestamp};

use super::parse::{Executor, Expectation, Scenario, Step};
use super::world::{OFFERED, OFFERED_BY_DATABASE, World};
use crate::event::{Event, EventKind, IncidentReason};
use crate::parts::Part;
use crate::{Command, Config, Core, Effects, Entry};

/// 2026-01-05T00:00:00Z, a Monday.
const START: Timestamp = Timestamp::from_secs(1_767_571_200);
/// An obedient executor takes this long.
const EXECUTOR_TAKES: Duration = Duration::from_secs(2);
/// Stock SDKs try again for about this long before they give up.
const EXPORTERS_KEEP: Duration = Duration::from_secs(60);
/// Blessed times are rounded up to this, so that a small shift is no difference.
const BLESS_STEP: Duration = Duration::from_secs(5);
/// Begins an expectation that asks how sure a cause is at its time.
const CONFIDENCE: &str = "confidence ";

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Since the start of the scenario.
    pub at: Duration,
    pub words: String,
}

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Report {
    pub title: String,
    pub happened: Vec<Happening>,
    /// Lines of a readable difference; empty when all came as expected.
    pub difference: Vec<String>,
    /// When something was done to the system.
    steps: Vec<Duration>,
}

impl Report {
    pub fn passed(&self) -> bool {
        self.difference.is_empty()
    }

    /// The file's text with its expectations replaced by what happened.
    pub fn bless(&self, text: &str) -> String {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("expect "))
            .map(str::to_owned)
            .collect();
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        if self.happened.is_empty() {
            lines.push("expect silence".to_owned());
        }
        for happening in &self.happened {
            if happening.words.starts_with(CONFIDENCE) {
                // What was asked of a moment is answered of that moment.
                lines.push(format!("expect {} {}", HumanDuration(happening.at), happening.words));
                continue;
            }
            let step = BLESS_STEP.as_millis() as u64;
            let rounded = (happening.at.as_millis() as u64).div_ceil(step) * step;
            let mut by = Duration::from_millis(rounded);
            // Rounding must not carry it past the next thing that is done.
            if self.steps.iter().any(|step| happening.at < *step && *step <= by) {
                by = happening.at;
            }
            lines.push(format!("expect {} {}", HumanDuration(by), happening.words));
        }
        lines.join("\n") + "\n"
    }
}

pub fn run(scenario: &Scenario) -> Report {
    play(Runner::new(scenario, None))
}

/// Runs it on the loop that lacks a part.
pub fn run_without(scenario: &Scenario, part: Part) -> Report {
    play(Runner::new(scenario, Some(part)))
}

fn play(mut runner: Runner<'_>) -> Report {
    let scenario = runner.scenario;
    let seconds = scenario.run_for.as_secs();
    let mut second = 0;
    while second < seconds {
        second += 1;
        let from = Duration::from_secs(second - 1);
        let to = Duration::from_secs(second);
        for (_, step) in scenario.steps.iter().filter(|(at, _)| (from..to).contains(at)) {
            if let Step::Away(length) = step {
                runner.away_until = START + from + *length;
            }
            runner.apply(step);
        }
        runner.second(START + to);
    }
    let steps = scenario.steps.iter().map(|(at, _)| *at).collect();
    let difference = compare(scenario, &runner.happened);
    Report { title: scenario.title.clone(), happened: runner.happened, difference, steps }
}

struct Runner<'a> {
    scenario: &'a Scenario,
    world: World,
    core: Core,
    now: Timestamp,
    away_until: Timestamp,
    executor: Executor,
    agent_looks: bool,
    /// Orders with the time at which the executor is done with them.
    orders: Vec<(Timestamp, Action)>,
    probes: BTreeMap<String, bool>,
    happened: Vec<Happening>,
    causes: BTreeMap<IncidentId, String>,
    /// Why a person was called, last.
    humans: BTreeMap<IncidentId, String>,
    resolved: BTreeSet<IncidentId>,
    /// What exporters keep while Immune is away, to be sent when it is back.
    buffered: Vec<(Timestamp, Batch)>,
    plans: BTreeMap<PlanId, PlanState>,
}

impl<'a> Runner<'a> {
    fn new(scenario: &'a Scenario, without: Option<Part>) -> Self {
        let world = World::new(scenario, START);
        let targets = scenario.targets.iter().filter_map(|name| {
            let entity = world.entity(name)?;
            let is_database = entity.kind == EntityKind::Database;
            let offered = if is_database { OFFERED_BY_DATABASE } else { OFFERED };
            let actions = offered.to_vec();
            let action_timeout = HumanDuration::from_secs(30);
            Some(remediate::Target {
                name: name.clone(),
                entity,
                actions,
                undos: vec![(ActionKind::Eject, ActionKind::Return)],
                has_process: !is_database,
                action_timeout,
                stateful: scenario.stateful.contains(name),
            })
        });
        let settings = scenario.config.clone();
        let mut config = Config {
            targets: targets.collect(),
            observe: settings.observe,
            detect: settings.detect,
            diagnose: settings.diagnose,
            remediate: settings.healing,
            catch_up: settings.catch_up,
        };
        if let Some(part) = without {
            part.leave_out(&mut config);
        }
        Runner {
            scenario,
            core: Core::new(config, "scenario"),
            world,
            now: START,
            away_until: Timestamp::ZERO,
            executor: Executor::Obeys,
            agent_looks: true,
            orders: Vec::new(),
            probes: BTreeMap::new(),
            happened: Vec::new(),
            causes: BTreeMap::new(),
            humans: BTreeMap::new(),
            resolved: BTreeSet::new(),
            buffered: Vec::new(),
            plans: BTreeMap::new(),
        }
    }

    fn apply(&mut self, step: &Step) {
        let now = self.now;
        let command = match step {
            Step::Freeze => Command::Freeze { reason: "scenario".to_owned() },
            Step::Thaw => Command::Thaw,
            Step::Pause { name, what, length } => Command::Pause {
                name: name.clone(),
                what: what.clone(),
                length: HumanDuration(*length),
                reason: "scenario".to_owned(),
            },
            Step::Resume(name) => Command::Resume { name: name.clone() },
            Step::Approve(plan) => Command::Approve { plan: PlanId(*plan) },
            Step::Deny(plan) => Command::Deny { plan: PlanId(*plan) },
            Step::Close(incident) => Command::Close { incident: IncidentId(*incident) },
            Step::Change { service, kind, summary } => {
                let change = Change {
                    at: now,
                    kind: *kind,
                    entity: Entity::service(&Scope::default(), service),
                    summary: summary.clone(),
                    source: "scenario".to_owned(),
                };
                self.core.apply(Entry::Change(change));
                return;
            }
            Step::Executor(executor) => {
                self.executor = *executor;
                return;
            }
            Step::Agent { looks } => {
                self.agent_looks = *looks;
                return;
            }
            Step::Probe { name, ok } => {
                self.probes.insert(name.clone(), *ok);
                return;
            }
            other => return self.world.apply(other, now),
        };
        let entry = Entry::Command { now, by: "scenario".to_owned(), command };
        let effects = self.core.apply(entry);
        self.take(effects);
    }

    fn second(&mut self, now: Timestamp) {
        self.now = now;
        let batches = self.world.second(now);
        if now < self.away_until {
            self.buffered.extend(batches.into_iter().map(|batch| (now, batch)));
            self.buffered.retain(|(sent, _)| now.since(*sent) <= EXPORTERS_KEEP);
            return;
        }
        let kept = std::mem::take(&mut self.buffered).into_iter().map(|(_, batch)| batch);
        for batch in kept.chain(batches) {
            self.core.apply(Entry::Telemetry { arrival: now, batch: Arc::new(batch) });
        }
        let reports = self.world.processes(&self.scenario.targets, now);
        if !reports.is_empty() && self.agent_looks {
            self.core.apply(Entry::Processes(reports));
        }
        let looks = self.world.conditions(&self.scenario.targets, now);
        if !looks.is_empty() && self.agent_looks {
            self.core.apply(Entry::Conditions(looks));
        }
        self.probe(now);
        self.execute(now);
        let effects = self.core.apply(Entry::Tick { now });
        self.take(effects);
        self.answer(now);
    }

    /// Says how sure the causes are that the scenario asks for at this time.
    fn answer(&mut self, now: Timestamp) {
        let asked = self.scenario.expectations.iter().filter(|expectation| {
            expectation.by.is_some_and(|by| START + by == now)
                && expectation.words.starts_with(CONFIDENCE)
        });
        let asked = asked.filter_map(|expectation| expectation.words.rsplit_once(' '));
        for (question, _) in asked {
            let causes = self.core.engine.diagnoser.active().flat_map(|incident| &incident.causes);
            let of = |cause: &&Cause| {
                format!("{CONFIDENCE}kind={} entity={}", cause.kind.as_str(), cause.entity)
                    == question
            };
            let confidence = causes.filter(of).map(|cause| cause.confidence).fold(0.0, f64::max);
            let words = format!("{question} {:.0}%", 100.0 * confidence);
            self.happened.push(Happening { at: now.since(START), words });
        }
    }

    fn probe(&mut self, now: Timestamp) {
        for probe in &self.scenario.config.detect.probes {
            let every = probe.interval.0.as_secs().max(1);
            if !(now.0 / model::time::SECOND).is_multiple_of(every) {
                continue;
            }
            let ok = self.probes.get(&probe.name).copied().unwrap_or(true);
            let result = ProbeResult {
                at: now,
                probe: probe.name.clone(),
                entity: model::Entity::service(&model::Scope::default(), &probe.service),
                error: (!ok).then(|| "timed out after 2s".to_owned()),
                duration_nanos: 1_000_000,
            };
            self.core.apply(Entry::Probe(result));
        }
    }

    fn execute(&mut self, now: Timestamp) {
        let (due, waiting) = self.orders.drain(..).partition(|(at, _)| *at <= now);
        self.orders = waiting;
        let due: Vec<(Timestamp, Action)> = due;
        for (_, action) in due {
            let (result, detail) = match self.executor {
                Executor::Silent => continue,
                Executor::Fails => (OutcomeResult::Failed, "start command failed"),
                Executor::Refuses => (OutcomeResult::Refused, "already running"),
                Executor::Obeys | Executor::InVain => (OutcomeResult::Done, "started"),
            };
            if self.executor == Executor::Obeys {
                self.world.remedy(&action.kind, &action.target, now);
            }
            let detail = detail.to_owned();
            let outcome = Outcome { action: action.id, at: now, result, detail };
            let effects = self.core.apply(Entry::Outcome { now, outcome });
            self.take(effects);
        }
    }

    fn take(&mut self, effects: Effects) {
        for event in effects.events {
            self.tell(&event);
        }
        let done_at = self.now + EXECUTOR_TAKES;
        self.orders.extend(effects.orders.into_iter().map(|action| (done_at, action)));
    }

    fn tell(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Incident { reason, incident } => {
                if *reason == IncidentReason::Opened {
                    let first = &incident.symptoms[0];
                    let service = first.entity.owner().unwrap_or_else(|| first.entity.clone());
                    self.say(format!("incident service={service} symptom={}", first.kind.as_str()));
                }
                if let Some(cause) = incident.causes.first() {
                    let words =
                        format!("cause kind={} entity={}", cause.kind.as_str(), cause.entity);
                    if self.causes.insert(incident.id, words.clone()).as_ref() != Some(&words) {
                        self.say(words);
                    }
                }
                let why = &incident.needs_human;
                let known = self.humans.insert(incident.id, why.clone()).unwrap_or_default();
                if !why.is_empty() && *why != known {
                    self.say("human".to_owned());
                }
                let resolved = incident.state == IncidentState::Resolved;
                if resolved && self.resolved.insert(incident.id) {
                    self.say("resolved".to_owned());
                } else if !resolved && self.resolved.remove(&incident.id) {
                    self.say("reopened".to_owned());
                }
            }
            EventKind::Plan { plan } => {
                let state = plan.state;
                if self.plans.insert(plan.id, state) == Some(state)
                    || matches!(state, PlanState::Running | PlanState::Verifying)
                {
                    return;
                }
                let denied: Vec<&str> = plan
                    .verdicts
                    .iter()
                    .filter(|verdict| !verdict.passed)
                    .map(|verdict| verdict.guardrail.as_str())
                    .collect();
                let by = match state == PlanState::Held && !denied.is_empty() {
                    true => format!(" by={}", denied.join(",")),
                    false => String::new(),
                };
                self.say(format!("plan {} target={}{by}", state.as_str(), plan.target));
            }
            EventKind::Order { action } => {
                self.say(format!("action {} target={}", action.kind, action.target));
            }
            EventKind::Outcome { outcome } if outcome.result != OutcomeResult::Done => {
                self.say(format!("outcome {}", outcome.result.as_str()));
            }
            EventKind::CatchingUp { .. } => self.say("catching_up".to_owned()),
            _ => {}
        }
    }

    fn say(&mut self, words: String) {
        self.happened.push(Happening { at: self.now.since(START), words });
    }
}

/// An expectation is met by the same words at its time or earlier, but not before the last thing
/// that was done until then: what comes before its reason is a false alarm.
fn meets(scenario: &Scenario, want: &Expectation, got: &Happening) -> bool {
    let Some(by) = want.by else { return false };
    let reasons = scenario.steps.iter().map(|(at, _)| *at).filter(|at| *at <= by);
    let not_before = reasons.max().unwrap_or_default();
    want.words == got.words && (not_before..=by).contains(&got.at)
}

/// A line-by-line difference by the longest common subsequence, so that one extra line stays one
/// line.
fn compare(scenario: &Scenario, happened: &[Happening]) -> Vec<String> {
    let expected: Vec<&Expectation> =
        scenario.expectations.iter().filter(|expectation| expectation.by.is_some()).collect();
    let (rows, columns) = (expected.len(), happened.len());
    let mut common = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = match meets(scenario, expected[row], &happened[column]) {
                true => common[row + 1][column + 1] + 1,
                false => common[row + 1][column].max(common[row][column + 1]),
            };
        }
    }
    if common[0][0] == rows && rows == columns {
        return Vec::new();
    }
    let time = |at: Duration| HumanDuration(at).to_string();
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    while row < rows || column < columns {
        let both = row < rows && column < columns;
        if both && meets(scenario, expected[row], &happened[column]) {
            lines.push(format!("  {} {}", time(happened[column].at), happened[column].words));
            (row, column) = (row + 1, column + 1);
        } else if column >= columns
            || (row < rows && common[row + 1][column] >= common[row][column + 1])
        {
            let Expectation { line, by, words } = expected[row];
            lines.push(format!("- by {} {words}   (line {line})", time(by.unwrap_or_default())));
            row += 1;
        } else {
            lines.push(format!("+ {} {}", time(happened[column].at), happened[column].words));
            column += 1;
        }
    }
    lines
}
