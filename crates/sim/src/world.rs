//! The fleet at work: its state, and one second of it.
//!
//! Each second requests go down (`flow`: arrivals, queues, calls), answers come back (`answers`:
//! failures, durations), and what was seen is gathered (`telemetry`) and judged (`truth`). A fluid
//! and queueing model with sampled counts: requests are whole numbers, but none has a life of its
//! own. Invariants: the same seed gives the same second; of every request that comes to a node it
//! is known that it was answered, refused, shed, given up, or waits (`Ledger`).

use std::collections::VecDeque;
use std::sync::Arc;

use model::signal::Resource;
use model::tick::TopologyChange;
use model::{Change, ConditionReport, Entity, Scope, Timestamp};

use crate::effect::{Active, Conduct, Effect};
use crate::fleet::{Fleet, PATIENCE_SECONDS};
use crate::life::Life;
use crate::processes::Rollout;
use crate::random::Random;
use crate::spans::Weaver;
use crate::telemetry::{Failure, Gathered, Sums, resource};
use crate::traffic::Traffic;
use crate::truth::Truth;

/// 2026-01-05T00:00:00Z, a Monday.
pub const START: Timestamp = Timestamp::from_secs(1_767_571_200);
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
    /// Changes that somebody told of and that were not yet handed on.
    pub(crate) changes: Vec<Change>,
    /// How probes fare, and how wrong clocks are.
    pub(crate) probes: Random,
    pub(crate) clocks: Random,
    /// What is told of the world, and not the world, hangs on it; it never moves.
    pub(crate) telling: Random,
    /// Makes spans, in their fidelity.
    pub(crate) weaver: Option<Box<Weaver>>,
    pub(crate) next_pid: u32,
}

/// One running copy of a node.
#[derive(Clone, Debug)]
pub struct Replica {
    pub node: usize,
    pub name: String,
    pub entity: Entity,
    pub version: u32,
    pub configuration: u32,
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
    /// Its clock is ahead by so many seconds.
    pub(crate) skew: f64,
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
    pub(crate) configuration: u32,
    pub(crate) previous_configuration: u32,
    pub(crate) newest_configuration: u32,
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
    /// Share of its answers that are of the past.
    pub(crate) stale: f64,
    /// Seconds for which a request holds all connections that a copy has to one database: the
    /// largest of them.
    pub(crate) pooled_seconds: f64,
    /// What an agent would see of a database, and what was last told of it.
    pub(crate) is_locked: bool,
    pub(crate) locked_since: Option<Timestamp>,
    pub(crate) is_full: bool,
    pub(crate) looked: [Option<ConditionReport>; 2],
    /// Of a broker: seconds and messages of each that nobody took yet, oldest first.
    pub(crate) messages: VecDeque<(u64, u64)>,
    /// Of who takes them: messages that became too late in this second.
    pub(crate) late: u64,
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
    pub stale: f64,
    pub seconds: f64,
    pub mu: f64,
    pub sigma: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct CallState {
    pub times: f64,
    pub delay: f64,
    pub loss: Option<(f64, Failure)>,
    /// Further attempts than its caller makes in peace.
    pub more: i32,
    /// Share of attempts that failed in the last second.
    pub failing: f64,
    /// Telemetry has told that it exists.
    pub known: bool,
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
            changes: Vec::new(),
            probes: random.stream(12),
            clocks: random.stream(13),
            telling: random.stream(14),
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
        let from = self.second;
        self.effects.push(Active { effect, from, until: from + seconds, in_process });
    }

    /// The same, `after` seconds from now, of something that lives in no process.
    pub fn begin_in(&mut self, after: u64, effect: Effect, seconds: u64) {
        let from = self.second + after;
        self.effects.push(Active { effect, from, until: from + seconds, in_process: false });
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

    pub(crate) fn add_copy(&mut self, node: usize) -> usize {
        let index = self.copies.len();
        let number = self.nodes[node].copies.len() + 1;
        self.next_pid += 1;
        let fleet = Arc::clone(&self.fleet);
        let of = &fleet.nodes[node];
        let name = format!("{}-{number}", of.name);
        let version = self.nodes[node].version;
        let started = self.now();
        let entity = match of.is_service() {
            true => Entity::instance(&Scope::default(), &of.name, &name),
            false => of.entity.clone(),
        };
        self.copies.push(Replica {
            node,
            entity,
            version,
            configuration: self.nodes[node].configuration,
            pid: self.next_pid,
            started,
            state: Process::Running,
            ejected: false,
            asked_to_stop: false,
            resource: Arc::new(resource(&of.name, &name, version, self.next_pid)),
            conduct: Conduct::default(),
            backlog: 0,
            leaked: 0.0,
            skew: usual_skew(&mut self.clocks),
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
}

/// How wrong a clock is: hosts that ask for the time are off by milliseconds, the others by more.
fn usual_skew(random: &mut Random) -> f64 {
    match random.chance(0.97) {
        true => 0.005 * random.normal(),
        false => random.between(-3.0, 3.0),
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
        let call =
            CallState { times: 1.0, delay: 0.0, loss: None, more: 0, failing: 0.0, known: false };
        State {
            copies: Vec::new(),
            truth: Truth::default(),
            ledger: Ledger::default(),
            version: 1,
            previous_version: 1,
            configuration: 1,
            previous_configuration: 1,
            newest_configuration: 1,
            limits: Vec::new(),
            patience: if is_entry || node.consumes.is_some() {
                PATIENCE_SECONDS
            } else {
                patience.max(0.1)
            },
            arrivals: 0,
            asked: 0,
            outcome: Outcome {
                refused: 0.0,
                refusal: Failure::Refused,
                errors: node.errors,
                given_up: 0.0,
                stale: 0.0,
                seconds: node.usual_seconds,
                mu: node.usual_seconds.ln() - node.sigma * node.sigma / 2.0,
                sigma: node.sigma,
            },
            calls: vec![call; node.calls.len()],
            refuse: None,
            surge: 1.0,
            slow_seconds: node.slow_seconds(),
            stale: 0.0,
            pooled_seconds: 0.0,
            is_locked: false,
            locked_since: None,
            is_full: false,
            looked: [None, None],
            messages: VecDeque::new(),
            late: 0,
        }
    }
}
