//! What happens to every system without being trouble: deploys, scaling, batch jobs, campaigns,
//! pauses of garbage collectors, single bursts of errors.
//!
//! Drawn beforehand for the whole length of a simulation, so that a twin with a fault lives the
//! same ordinary life.

use model::ChangeKind;

use crate::effect::{Effect, Who};
use crate::fleet::{Fleet, Kind};
use crate::random::Random;
use crate::world::{Process, World};

/// Each service is deployed so often an hour, and scaled.
const DEPLOYS_PER_HOUR: f64 = 0.02;
const SCALES_PER_HOUR: f64 = 0.02;
/// Of the whole fleet.
const BATCHES_PER_HOUR: f64 = 0.15;
const CAMPAIGNS_PER_HOUR: f64 = 0.05;
const PAUSES_PER_HOUR: f64 = 0.2;
const BURSTS_PER_HOUR: f64 = 0.02;
const CONFIGURES_PER_HOUR: f64 = 0.02;
/// Nothing is begun in the first minutes.
const QUIET_FIRST: f64 = 120.0;

#[derive(Clone, Debug)]
pub struct Life {
    /// Sorted by time.
    events: Vec<(u64, Event)>,
    next: usize,
    pub(crate) random: Random,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A good one.
    Deploy {
        node: usize,
    },
    ScaleOut {
        node: usize,
    },
    ScaleIn {
        node: usize,
    },
    /// A good one, that Immune is told of; a flag is no part of what is deployed.
    Configure {
        node: usize,
        is_flag: bool,
    },
    /// A database, or a service, is busy with something else for a while.
    Batch {
        node: usize,
        times: f64,
        seconds: u64,
    },
    /// More users than usual, which the fleet can bear.
    Campaign {
        node: usize,
        times: f64,
        seconds: u64,
    },
    /// One copy stands still for a moment.
    Pause {
        node: usize,
        seconds: f64,
    },
    /// One copy fails all of one second.
    Burst {
        node: usize,
        share: f64,
    },
}

impl Life {
    /// Nothing ever happens.
    pub fn still(random: &Random) -> Life {
        Life { events: Vec::new(), next: 0, random: random.stream(32) }
    }

    pub fn new(fleet: &Fleet, random: &Random, seconds: u64) -> Life {
        let mut draw = random.stream(31);
        let mut events = Vec::new();
        let hours = seconds as f64 / 3600.0;
        let services = fleet.service_nodes();
        let stores: Vec<usize> = fleet
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.kind == Kind::Database)
            .map(|(at, _)| at)
            .collect();
        let mut add = |draw: &mut Random, per_hour: f64, make: &dyn Fn(&mut Random) -> Event| {
            for _ in 0..draw.poisson(per_hour * hours) {
                let at = draw.between(QUIET_FIRST, seconds as f64) as u64;
                events.push((at, make(draw)));
            }
        };
        let any = |draw: &mut Random| services[draw.below(services.len())];
        let each = services.len() as f64;
        add(&mut draw, DEPLOYS_PER_HOUR * each, &|draw| Event::Deploy { node: any(draw) });
        add(&mut draw, SCALES_PER_HOUR * each, &|draw| {
            let node = any(draw);
            if draw.chance(0.5) { Event::ScaleOut { node } } else { Event::ScaleIn { node } }
        });
        let batches = if stores.is_empty() { 0.0 } else { BATCHES_PER_HOUR };
        add(&mut draw, batches, &|draw| Event::Batch {
            node: stores[draw.below(stores.len())],
            times: draw.between(1.1, 1.6),
            seconds: draw.between(300.0, 2_400.0) as u64,
        });
        add(&mut draw, CAMPAIGNS_PER_HOUR, &|draw| Event::Campaign {
            node: fleet.entries[draw.below(fleet.entries.len())].node,
            times: draw.between(1.1, 1.5),
            seconds: draw.between(600.0, 3_600.0) as u64,
        });
        add(&mut draw, PAUSES_PER_HOUR * each, &|draw| Event::Pause {
            node: any(draw),
            seconds: draw.magnitude(0.05, 0.8),
        });
        add(&mut draw, BURSTS_PER_HOUR * each, &|draw| Event::Burst {
            node: any(draw),
            share: draw.between(0.2, 1.0),
        });
        add(&mut draw, CONFIGURES_PER_HOUR * each, &|draw| Event::Configure {
            node: any(draw),
            is_flag: draw.chance(0.5),
        });
        events.sort_by_key(|(at, _)| *at);
        Life { events, next: 0, random: random.stream(32) }
    }

    fn due(&mut self, second: u64) -> Option<Event> {
        let (at, event) = self.events.get(self.next)?;
        if *at > second {
            return None;
        }
        self.next += 1;
        Some(*event)
    }
}

impl World {
    /// What is due in this second.
    pub(crate) fn live(&mut self) {
        while let Some(event) = self.life.due(self.second) {
            self.happens(event);
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Deploy { node } => {
                if !self.is_deploying(node) {
                    let version = self.nodes[node].version + 1;
                    self.deploy(node, version);
                }
            }
            Event::ScaleOut { node } => self.scale_out(node),
            Event::ScaleIn { node } => self.scale_in(node),
            Event::Configure { node, is_flag: true } => self.tell_change(node, ChangeKind::Flag),
            Event::Configure { node, is_flag: false } => {
                self.configure(node);
                self.tell_change(node, ChangeKind::Configuration);
            }
            Event::Batch { node, times, seconds } => {
                let who = Who::all(node);
                self.begin(Effect::Slow { who, times, plus_seconds: 0.0 }, seconds, false);
            }
            Event::Campaign { node, times, seconds } => {
                self.begin(Effect::Surge { node, times }, seconds, false);
            }
            Event::Pause { node, seconds } => {
                if let Some(copy) = self.any_copy(node) {
                    let who = Who::copy(node, copy);
                    let pause = Effect::Slow { who, times: 1.0, plus_seconds: seconds };
                    self.begin(pause, 2, true);
                }
            }
            Event::Burst { node, share } => {
                if let Some(copy) = self.any_copy(node) {
                    let who = Who::copy(node, copy);
                    self.begin(Effect::Errors { who, share }, 2, true);
                }
            }
        }
    }

    fn any_copy(&mut self, node: usize) -> Option<usize> {
        let running = |copy: &usize| self.copies[*copy].state == Process::Running;
        let copies: Vec<usize> = self.nodes[node].copies.iter().copied().filter(running).collect();
        (!copies.is_empty()).then(|| copies[self.life.random.below(copies.len())])
    }
}
