//! The real loop in a simulated fleet: ticks in, incidents and orders out, orders carried out.
//!
//! The engine runs with its shipped settings. Targets and policies are those that a user would
//! declare: every process that an agent looks after may be restarted, rolled back, ejected; stores
//! and probes are in `permit`.

use std::collections::BTreeMap;

use engine::{Config, Core, Effects, Entry, EventKind, Input};
use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::{Action, ActionKind, Cause, CauseKind, Incident, IncidentId, Mode, Outcome, Severity};
use remediate::{Causes, Policy, Remedy, Target};

use crate::fleet::Fleet;
use crate::permit;
use crate::random::Random;
use crate::world::{Process, World};

/// Latency limits are asked for so often.
const LIMITS_EVERY: u64 = 30;
/// An executor takes so many seconds.
const EXECUTOR_SECONDS: (f64, f64) = (1.0, 6.0);
/// A page is judged by what users met within this time before it, and soon after.
pub const BEFORE_PAGE: u64 = 600;
pub const AFTER_PAGE: u64 = 60;

/// Loop and fleet together; a copy of it is a twin.
#[derive(Clone)]
pub struct Session {
    pub world: World,
    pub core: Core,
    pub pages: Vec<Page>,
    pub orders: Vec<Order>,
    pub incidents: BTreeMap<IncidentId, Seen>,
    pending: Vec<(u64, Action)>,
    random: Random,
}

/// Somebody was woken.
#[derive(Clone, Debug)]
pub struct Page {
    pub second: u64,
    pub incident: IncidentId,
    pub title: String,
    /// Was anybody hurt? Known `AFTER_PAGE` later.
    pub is_true: Option<bool>,
}

/// An order that the healer gave.
#[derive(Clone, Debug)]
pub struct Order {
    pub second: u64,
    pub action: &'static str,
    pub copy: usize,
    pub node: usize,
}

/// What was last told of an incident.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub causes: Vec<Cause>,
    pub called_human: bool,
    pub paged: bool,
}

impl Session {
    pub fn new(world: World, random: &Random) -> Session {
        let core = Core::new(config(&world), "simulation");
        Session {
            world,
            core,
            pages: Vec::new(),
            orders: Vec::new(),
            incidents: BTreeMap::new(),
            pending: Vec::new(),
            random: random.stream(41),
        }
    }

    /// One second of the fleet, and the loop's step over it.
    pub fn step(&mut self) {
        self.world.step();
        if self.world.second.is_multiple_of(LIMITS_EVERY) {
            self.world.limits(&mut self.core);
        }
        self.execute();
        let tick = self.world.tell(&mut self.core);
        let effects = self.core.engine.step(Input::Advance(Box::new(tick)));
        self.take(effects);
        self.judge_pages();
    }

    pub fn second(&self) -> u64 {
        self.world.second
    }

    /// Are users well, and is nobody awake?
    pub fn is_calm(&self) -> bool {
        let world = &self.world;
        let was_off = |node: usize| world.nodes[node].truth.was_off_within(BEFORE_PAGE);
        let pages = |incident: &Incident| {
            incident.symptoms.iter().any(|symptom| symptom.severity == Severity::Page)
        };
        !world.fleet.felt().any(was_off) && !self.core.engine.open_incidents().any(pages)
    }

    pub(crate) fn take(&mut self, effects: Effects) {
        for event in effects.events {
            if let EventKind::Incident { incident, .. } = event.kind {
                self.take_incident(*incident);
            }
        }
        for action in effects.orders {
            let (low, high) = EXECUTOR_SECONDS;
            let done_at = self.second() + self.random.between(low, high).ceil() as u64;
            let copy = self.world.copies.iter().position(|copy| copy.name == action.target);
            if let Some(copy) = copy {
                let node = self.world.copies[copy].node;
                let (second, action) = (self.second(), action.kind.id());
                self.orders.push(Order { second, action, copy, node });
            }
            self.pending.push((done_at, action));
        }
    }

    fn take_incident(&mut self, incident: Incident) {
        let seen = self.incidents.entry(incident.id).or_default();
        seen.called_human |= !incident.needs_human.is_empty();
        let pages = incident.symptoms.iter().any(|symptom| symptom.severity == Severity::Page);
        if pages && !seen.paged {
            seen.paged = true;
            self.pages.push(Page {
                second: self.world.second,
                incident: incident.id,
                title: incident.title,
                is_true: None,
            });
        }
        seen.causes = incident.causes;
    }

    /// A page is true when any service, by its own requests, was off target.
    fn judge_pages(&mut self) {
        let second = self.world.second;
        let is_fresh = |page: &&mut Page| second - page.second <= AFTER_PAGE;
        for page in self.pages.iter_mut().rev().take_while(is_fresh) {
            if page.is_true.is_some() {
                continue;
            }
            let within = BEFORE_PAGE + second - page.second;
            let mut nodes = self.world.nodes.iter().zip(&self.world.fleet.nodes);
            if nodes.any(|(state, node)| node.is_service() && state.truth.was_off_within(within)) {
                page.is_true = Some(true);
            } else if second - page.second == AFTER_PAGE {
                page.is_true = Some(false);
            }
        }
    }

    fn execute(&mut self) {
        let second = self.world.second;
        let (due, waiting): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|(done_at, _)| *done_at <= second);
        self.pending = waiting;
        for (_, action) in due {
            let now = self.world.now();
            let (result, detail) = match self.act(&action) {
                true => (OutcomeResult::Done, "done"),
                false => (OutcomeResult::Refused, "the target is not as expected"),
            };
            let outcome = Outcome { action: action.id, at: now, result, detail: detail.into() };
            let effects = self.core.apply(Entry::Outcome { now, outcome });
            self.take(effects);
        }
    }

    /// Does what is asked, if the target is still as it was; says whether it did.
    fn act(&mut self, action: &Action) -> bool {
        let world = &mut self.world;
        let Some(copy) = world.copies.iter().position(|copy| copy.name == action.target) else {
            return false;
        };
        let replica = &world.copies[copy];
        let node = replica.node;
        let is_running = replica.state == Process::Running;
        let is_as_expected = match &action.expect {
            Expectation::Gone(_) => !is_running,
            Expectation::Running(identity) => is_running && replica.identity() == *identity,
            Expectation::NoProcess => true,
        };
        if !is_as_expected {
            return false;
        }
        match action.kind {
            ActionKind::Restart => world.restart(copy),
            ActionKind::Rollback => world.roll_back(node),
            ActionKind::Eject => world.copies[copy].ejected = true,
            ActionKind::Return => world.copies[copy].ejected = false,
            ActionKind::TerminateBlocker if !world.unlock(node) => return false,
            ActionKind::ClearPath { .. } if !world.clear_disk(node) => return false,
            ActionKind::TerminateBlocker | ActionKind::ClearPath { .. } => {}
            _ => return false,
        }
        let now = world.now();
        let report = world.report(copy, now);
        self.core.observer.process(report);
        true
    }
}

/// Shipped settings, and what a user declares of this fleet.
fn config(world: &World) -> Config {
    let mut config = Config::default();
    config.remediate.mode = Mode::Auto;
    config.detect.probes = permit::probes(&world.fleet);
    let agents = world.copies.iter().filter(|copy| world.fleet.nodes[copy.node].agent);
    for copy in agents {
        if !world.fleet.nodes[copy.node].is_service() {
            permit::store(&mut config, copy);
            continue;
        }
        let is_one_of_many = copies_of(&world.fleet, copy.node) > 1;
        let mut actions = vec![ActionKind::Restart, ActionKind::Rollback];
        if is_one_of_many {
            actions.extend([ActionKind::Eject, ActionKind::Return]);
        }
        actions.retain(|action| world.fleet.allows(copy.node, action));
        let (can_restart, can_roll_back) =
            (actions.contains(&ActionKind::Restart), actions.contains(&ActionKind::Rollback));
        let can_eject = actions.contains(&ActionKind::Eject);
        config.targets.push(Target {
            name: copy.name.clone(),
            entity: copy.entity.clone(),
            actions,
            undos: vec![(ActionKind::Eject, ActionKind::Return)],
            has_process: true,
            action_timeout: HumanDuration::from_secs(30),
            stateful: false,
        });
        let gone = [CauseKind::Crash, CauseKind::Silent, CauseKind::Leak, CauseKind::Saturation];
        let policies = [
            (can_restart, policy("restart", &copy.name, &gone, Remedy::Restart)),
            (can_roll_back, policy("rollback", &copy.name, &[CauseKind::Change], Remedy::Rollback)),
            (can_eject, policy("eject", &copy.name, &[CauseKind::Outlier], Remedy::Eject)),
        ];
        let allowed = policies.into_iter().filter(|(is_allowed, _)| *is_allowed);
        config.remediate.policies.extend(allowed.map(|(_, policy)| policy));
    }
    config
}

fn copies_of(fleet: &Fleet, node: usize) -> usize {
    fleet.nodes[node].copies
}

pub(crate) fn policy(name: &str, target: &str, causes: &[CauseKind], action: Remedy) -> Policy {
    Policy {
        name: format!("{name}-{target}"),
        cause: Causes(causes.to_vec()),
        target: target.to_owned(),
        action,
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
        back_off_jitter: 0.1,
        then: Vec::new(),
        promote: None,
    }
}
