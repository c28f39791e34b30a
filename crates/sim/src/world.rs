//! The fleet at work: its state, and one second of it.
//!
//! Each second requests go down (`flow`: arrivals, queues, calls), answers come back (`answers`:
//! failures, durations), and what was seen is gathered (`telemetry`) and judged (`truth`). A fluid
//! and queueing model with sampled counts: requests are whole numbers, but none has a life of its
//! own. Invariants: the same seed gives the same second; of every request that comes to a node it
//! is known that it was answered, refused, shed, given up, or waits (`Ledger`).

use std::sync::Arc;

use model::signal::Resource;
use model::tick::TopologyChange;
use model::{Entity, Scope, Timestamp};

use crate::effect::{Active, Conduct, Effect, Who};
use crate::fleet::{Fleet, PATIENCE_SECONDS};
use crate::life::Life;
use crate::random::Random;
use crate::spans::Weaver;
use crate::telemetry::{Failure, Gathered, Sums, resource};
use crate::traffic::Traffic;
use crate::truth::Truth;

/// 2026-01-05T00:00:00Z, a Monday.
pub const START: Timestamp = Timestamp::from_secs(1_767_571_200);
/// A rolling deploy: how long a copy is away, and the pause before the next.
const REPLACE_TAKES: u64 = 4;
const REPLACE_EVERY: u64 = 12;
/// A new process is slower for this long.
pub(crate) const COLD_FOR: u64 = 15;
pub(crate) const COLD_TIMES: f64 = 1.6;
const FIRST_PID: u32 = 4_000;
const USUAL_BYTES: f64 = 96.0 * 1_048_576.0;

#[derive(Clone, Debug)]
pub struct World {
    pub fleet: Arc<Fleet>,
    /// Seconds since `START`.
    pub second: u64,
    pub copies: Vec<Replica>,
    pub nodes: Vec<State>,
    pub(crate) random: Random,
    pub(crate) traffic: Traffic,
    pub(crate) life: Life,
    pub(crate) effects: Vec<Active>,
    pub(crate) rollouts: Vec<Rollout>,
    pub(crate) sums: Scratch,
    /// What is told of the world, and not the world, hangs on it; it never moves.
    pub(crate) telling: Random,
    /// Makes spans, in their fidelity.
    pub(crate) weaver: Option<Box<Weaver>>,
    next_pid: u32,
}

/// One running copy of a node.
#[derive(Clone, Debug)]
pub struct Replica {
    pub node: usize,
    pub name: String,
    pub entity: Entity,
    pub version: u32,
    pub pid: u32,
    pub started: Timestamp,
    pub state: Process,
    pub ejected: bool,
    /// Its end was asked for by an order.
    pub asked_to_stop: bool,
    pub(crate) resource: Arc<Resource>,
    pub(crate) conduct: Conduct,
    pub(crate) backlog: u64,
    pub(crate) leaked: f64,
    /// Mean time that it works on a request, and that a request takes, waiting included.
    pub(crate) service_seconds: f64,
    pub(crate) wait_seconds: f64,
    pub(crate) load: f64,
    pub(crate) flow: Flow,
    pub(crate) served: Gathered,
    pub(crate) called: Vec<Gathered>,
}

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    Running,
    /// It died, at this second.
    Crashed(u64),
    /// It was stopped in good order.
    Stopped,
}

/// What one copy did in this second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    pub answered: u64,
    pub shed: u64,
    pub given_up: u64,
    pub refused: u64,
    /// Attempts by call.
    pub asked: Vec<u64>,
}

/// A node's present state.
#[derive(Clone, Debug)]
pub struct State {
    /// Indexes of its copies, those stopped included.
    pub copies: Vec<usize>,
    pub truth: Truth,
    pub ledger: Ledger,
    pub version: u32,
    pub previous_version: u32,
    /// Latency limits that the engine counts by.
    pub(crate) limits: Vec<f64>,
    pub(crate) patience: f64,
    pub(crate) arrivals: u64,
    /// Asked of it in this second, so far.
    pub(crate) asked: u64,
    /// Shares of what was asked, and how long an answer takes.
    pub(crate) outcome: Outcome,
    pub(crate) calls: Vec<CallState>,
    pub(crate) refuse: Option<(f64, Failure)>,
    pub(crate) surge: f64,
    pub(crate) slow_seconds: f64,
}

/// Every request that ever came to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub arrived: u64,
    pub answered: u64,
    pub refused: u64,
    pub shed: u64,
    pub given_up: u64,
    /// Lost with the process that they waited in.
    pub lost: u64,
}

/// How requests to a node fared in this second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub refused: f64,
    pub refusal: Failure,
    pub errors: f64,
    pub given_up: f64,
    pub seconds: f64,
    pub mu: f64,
    pub sigma: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct CallState {
    pub times: f64,
    pub delay: f64,
    pub loss: Option<(f64, Failure)>,
    /// Share of attempts that failed in the last second.
    pub failing: f64,
    /// Telemetry has told that it exists.
    pub known: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    node: usize,
    waiting: Vec<usize>,
    replacing: Option<usize>,
    version: u32,
    next_at: u64,
}

/// Reused between ticks; holds nothing then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub served: Sums,
    pub called: Vec<Sums>,
    pub rotation: Vec<usize>,
    pub news: Vec<TopologyChange>,
}

impl World {
    pub fn new(fleet: Arc<Fleet>, random: &Random, life: Life) -> World {
        let nodes = fleet.nodes.iter().enumerate().map(|(at, _)| State::new(&fleet, at)).collect();
        let mut world = World {
            traffic: Traffic::new(&fleet, random),
            random: random.stream(11),
            second: 0,
            copies: Vec::new(),
            nodes,
            life,
            effects: Vec::new(),
            rollouts: Vec::new(),
            sums: Scratch::default(),
            telling: random.stream(12),
            weaver: None,
            next_pid: FIRST_PID,
            fleet,
        };
        for node in 0..world.fleet.nodes.len() {
            for _ in 0..world.fleet.nodes[node].copies {
                world.add_copy(node);
            }
        }
        world
    }

    pub fn now(&self) -> Timestamp {
        START + std::time::Duration::from_secs(self.second)
    }

    /// One second of life.
    pub fn step(&mut self) {
        self.second += 1;
        self.live();
        self.roll_out();
        self.conduct();
        self.flow();
        self.answer();
        self.weave();
    }

    /// Brings an effect into force for so many seconds.
    pub fn begin(&mut self, effect: Effect, seconds: u64, in_process: bool) {
        self.effects.push(Active { effect, until: self.second + seconds, in_process });
    }

    pub fn crash(&mut self, copy: usize) {
        let second = self.second;
        let replica = &mut self.copies[copy];
        if replica.state == Process::Running {
            replica.state = Process::Crashed(second);
            replica.served.clear();
            replica.called.iter_mut().for_each(Gathered::clear);
            if let Some(weaver) = &mut self.weaver {
                weaver.lose(copy);
            }
            self.lose_backlog(copy);
        }
    }

    /// Ends the process of a copy, if it runs, and begins another.
    pub fn restart(&mut self, copy: usize) {
        self.lose_backlog(copy);
        let (node, version) = (self.copies[copy].node, self.copies[copy].version);
        self.effects.retain(|active| {
            let of_copy = active.effect.who().is_some_and(|who| who.copy == Some(copy));
            !(active.in_process && of_copy)
        });
        // What every process of a node has, the others keep: bind it to them.
        let others: Vec<usize> =
            self.nodes[node].copies.iter().copied().filter(|other| *other != copy).collect();
        let whole =
            |active: &Active| active.in_process && active.effect.who() == Some(Who::all(node));
        let (shared, rest): (Vec<Active>, Vec<Active>) =
            self.effects.iter().copied().partition(whole);
        self.effects = rest;
        for active in shared {
            for other in &others {
                let effect = active.effect.on(Who::copy(node, *other));
                self.effects.push(Active { effect, ..active });
            }
        }
        self.start(copy, version);
    }

    /// Replaces the copies of a node by a version, one after another.
    pub fn deploy(&mut self, node: usize, version: u32) {
        let of_node = self.rollouts.iter().filter(|rollout| rollout.node == node);
        let away: Vec<usize> = of_node.filter_map(|rollout| rollout.replacing).collect();
        away.into_iter().for_each(|copy| self.start(copy, version));
        let state = &mut self.nodes[node];
        state.previous_version = state.version;
        state.version = version;
        self.rollouts.retain(|rollout| rollout.node != node);
        let running = |copy: &usize| self.copies[*copy].state == Process::Running;
        let waiting = self.nodes[node].copies.iter().copied().filter(running).collect();
        let next_at = self.second;
        self.rollouts.push(Rollout { node, waiting, replacing: None, version, next_at });
    }

    pub fn roll_back(&mut self, node: usize) {
        self.deploy(node, self.nodes[node].previous_version);
    }

    pub fn scale_out(&mut self, node: usize) {
        let copy = self.add_copy(node);
        let version = self.nodes[node].version;
        self.start(copy, version);
    }

    /// Stops the newest copy in good order, where another one is left.
    pub fn scale_in(&mut self, node: usize) {
        let running: Vec<usize> = self.rotation(node);
        if let (true, Some(last)) = (running.len() > 1, running.last()) {
            self.stop(*last);
        }
    }

    /// Requests that wait at a node.
    pub fn waiting(&self, node: usize) -> u64 {
        self.nodes[node].copies.iter().map(|copy| self.copies[*copy].backlog).sum()
    }

    /// Copies of a node that take requests, dead ones that nobody noticed yet included.
    pub fn rotation(&self, node: usize) -> Vec<usize> {
        let mut rotation = Vec::new();
        self.rotation_into(node, &mut rotation);
        rotation
    }

    pub(crate) fn rotation_into(&self, node: usize, rotation: &mut Vec<usize>) {
        rotation.clear();
        for copy in &self.nodes[node].copies {
            let replica = &self.copies[*copy];
            let is_in = match replica.state {
                Process::Running => true,
                Process::Stopped => false,
                Process::Crashed(at) => self
                    .fleet
                    .drops_dead_after
                    .is_none_or(|after| self.second.saturating_sub(at) < after),
            };
            if is_in && !replica.ejected {
                rotation.push(*copy);
            }
        }
    }

    /// Memory that the process of a copy holds.
    pub fn memory_bytes(&self, copy: usize) -> u64 {
        (USUAL_BYTES + self.copies[copy].leaked) as u64
    }

    pub fn is_deploying(&self, node: usize) -> bool {
        self.rollouts.iter().any(|rollout| rollout.node == node)
    }

    fn add_copy(&mut self, node: usize) -> usize {
        let index = self.copies.len();
        let number = self.nodes[node].copies.len() + 1;
        self.next_pid += 1;
        let fleet = Arc::clone(&self.fleet);
        let of = &fleet.nodes[node];
        let name = format!("{}-{number}", of.name);
        let version = self.nodes[node].version;
        let started = self.now();
        self.copies.push(Replica {
            node,
            entity: Entity::instance(&Scope::default(), &of.name, &name),
            version,
            pid: self.next_pid,
            started,
            state: Process::Running,
            ejected: false,
            asked_to_stop: false,
            resource: Arc::new(resource(&of.name, &name, version, self.next_pid)),
            conduct: Conduct::default(),
            backlog: 0,
            leaked: 0.0,
            service_seconds: of.usual_seconds,
            wait_seconds: 0.0,
            load: 0.0,
            flow: Flow { asked: vec![0; of.calls.len()], ..Flow::default() },
            served: Gathered::default(),
            called: vec![Gathered::default(); of.calls.len()],
            name,
        });
        self.nodes[node].copies.push(index);
        index
    }

    fn start(&mut self, copy: usize, version: u32) {
        self.next_pid += 1;
        let (pid, started) = (self.next_pid, self.now());
        let replica = &mut self.copies[copy];
        replica.version = version;
        replica.pid = pid;
        replica.started = started;
        replica.state = Process::Running;
        replica.leaked = 0.0;
        let name = &self.fleet.nodes[replica.node].name;
        replica.resource = Arc::new(resource(name, &replica.name, version, pid));
        let who = Who::copy(replica.node, copy);
        let cold = Effect::Slow { who, times: COLD_TIMES, plus_seconds: 0.0 };
        self.begin(cold, COLD_FOR, true);
    }

    fn stop(&mut self, copy: usize) {
        self.lose_backlog(copy);
        self.copies[copy].state = Process::Stopped;
    }

    fn lose_backlog(&mut self, copy: usize) {
        let lost = std::mem::take(&mut self.copies[copy].backlog);
        self.nodes[self.copies[copy].node].ledger.lost += lost;
    }

    fn roll_out(&mut self) {
        let mut rollouts = std::mem::take(&mut self.rollouts);
        for rollout in &mut rollouts {
            if self.second < rollout.next_at {
                continue;
            }
            if let Some(copy) = rollout.replacing.take() {
                self.start(copy, rollout.version);
                rollout.next_at = self.second + REPLACE_EVERY;
            } else if !rollout.waiting.is_empty() {
                let copy = rollout.waiting.remove(0);
                let is_alone = self.rotation(rollout.node).len() < 2;
                if is_alone {
                    // Whoever has one copy starts the new one before the old one goes.
                    self.start(copy, rollout.version);
                    rollout.next_at = self.second + REPLACE_EVERY;
                } else {
                    self.stop(copy);
                    rollout.replacing = Some(copy);
                    rollout.next_at = self.second + REPLACE_TAKES;
                }
            }
        }
        rollouts.retain(|rollout| rollout.replacing.is_some() || !rollout.waiting.is_empty());
        self.rollouts = rollouts;
    }
}

impl State {
    fn new(fleet: &Fleet, at: usize) -> State {
        let node = &fleet.nodes[at];
        let to_it = |caller: &crate::fleet::Node| {
            let calls = caller.calls.iter().filter(|call| call.to == at);
            calls.map(|call| call.timeout_seconds).fold(0.0, f64::max)
        };
        let is_entry = fleet.entries.iter().any(|entry| entry.node == at);
        let patience = fleet.nodes.iter().map(to_it).fold(0.0, f64::max);
        let call = CallState { times: 1.0, delay: 0.0, loss: None, failing: 0.0, known: false };
        State {
            copies: Vec::new(),
            truth: Truth::default(),
            ledger: Ledger::default(),
            version: 1,
            previous_version: 1,
            limits: Vec::new(),
            patience: if is_entry { PATIENCE_SECONDS } else { patience.max(0.1) },
            arrivals: 0,
            asked: 0,
            outcome: Outcome {
                refused: 0.0,
                refusal: Failure::Refused,
                errors: node.errors,
                given_up: 0.0,
                seconds: node.usual_seconds,
                mu: node.usual_seconds.ln() - node.sigma * node.sigma / 2.0,
                sigma: node.sigma,
            },
            calls: vec![call; node.calls.len()],
            refuse: None,
            surge: 1.0,
            slow_seconds: node.slow_seconds(),
        }
    }
}
