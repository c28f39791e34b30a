//! Processes of copies: how they end, begin anew, are replaced, come and go, and what a database
//! that was restarted makes its callers go through.

use std::sync::Arc;

use model::{Change, ChangeKind};

use crate::effect::{Active, Effect, Who};
use crate::fleet::Kind;
use crate::telemetry::{Failure, resource};
use crate::world::{Process, World};

/// A rolling deploy: how long a copy is away, and the pause before the next.
const REPLACE_TAKES: u64 = 4;
const REPLACE_EVERY: u64 = 12;
/// A new process is slower for this long.
const COLD_FOR: u64 = 15;
const COLD_TIMES: f64 = 1.6;
/// A database that starts reads its log first: so long, and longer by load, for as much was written
/// since its last checkpoint.
const RECOVERY_SECONDS_MIN: f64 = 8.0;
const RECOVERY_SECONDS_BY_LOAD: f64 = 120.0;
/// Then everybody connects at once …
const STORM_SECONDS: u64 = 10;
const STORM_SLOTS: f64 = 0.2;
/// … and pages come from disk: so many times as slow, for so long each.
const WARMS: [(f64, u64); 3] = [(30.0, 30), (12.0, 60), (4.0, 120)];

#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    pub node: usize,
    waiting: Vec<usize>,
    replacing: Option<usize>,
    version: u32,
    next_at: u64,
}

impl World {
    pub fn crash(&mut self, copy: usize) {
        let second = self.second;
        let replica = &mut self.copies[copy];
        if replica.state == Process::Running {
            replica.state = Process::Crashed(second);
            replica.lose_told();
            if let Some(weaver) = &mut self.weaver {
                weaver.lose(copy);
            }
            self.lose_backlog(copy);
        }
    }

    /// Ends the process of a copy, if it runs, and begins another.
    pub fn restart(&mut self, copy: usize) {
        self.lose_backlog(copy);
        let load = self.copies[copy].load;
        self.start(copy, self.copies[copy].version);
        let node = self.copies[copy].node;
        if self.fleet.nodes[node].kind == Kind::Database {
            self.recover(node, load);
        }
    }

    /// A database comes back: it recovers, is stormed, and is cold.
    fn recover(&mut self, node: usize, load: f64) {
        // Whose session held a lock is gone.
        self.unlock(node);
        let recovery = (RECOVERY_SECONDS_MIN + RECOVERY_SECONDS_BY_LOAD * load).ceil() as u64;
        self.begin(Effect::Refuse { node, share: 1.0, failure: Failure::Refused }, recovery, false);
        let who = Who::all(node);
        self.begin_in(recovery, Effect::Slots { who, times: STORM_SLOTS }, STORM_SECONDS);
        let mut after = recovery;
        for (times, seconds) in WARMS {
            self.begin_in(after, Effect::Slow { who, times, plus_seconds: 0.0 }, seconds);
            after += seconds;
        }
    }

    /// Ends the transaction that others wait for, if there is one.
    pub fn unlock(&mut self, node: usize) -> bool {
        self.end(|effect| matches!(effect, Effect::Lock { node: of, .. } if *of == node))
    }

    /// Makes room on the disk of a node, if it is full.
    pub fn clear_disk(&mut self, node: usize) -> bool {
        self.end(|effect| matches!(effect, Effect::DiskFull { node: of, .. } if *of == node))
    }

    fn end(&mut self, is_meant: impl Fn(&Effect) -> bool) -> bool {
        let before = self.effects.len();
        self.effects.retain(|active| !is_meant(&active.effect));
        self.effects.len() < before
    }

    /// What lives in the process of a copy ends with it.
    fn forget(&mut self, copy: usize) {
        let node = self.copies[copy].node;
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
    }

    /// Gives all copies of a node another configuration, at once; its number.
    pub fn configure(&mut self, node: usize) -> u32 {
        let state = &mut self.nodes[node];
        state.previous_configuration = state.configuration;
        state.newest_configuration += 1;
        state.configuration = state.newest_configuration;
        for copy in &state.copies {
            self.copies[*copy].configuration = state.configuration;
        }
        state.configuration
    }

    /// Somebody tells of a change of a node, as a pipeline or a flag service would.
    pub fn tell_change(&mut self, node: usize, kind: ChangeKind) {
        self.changes.push(Change {
            at: self.now(),
            kind,
            entity: self.fleet.nodes[node].entity.clone(),
            summary: format!("{} of {}", kind.as_str(), self.fleet.nodes[node].name),
            source: "api".to_owned(),
        });
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

    /// Brings back the version and the configuration before, copy by copy.
    pub fn roll_back(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        state.configuration = state.previous_configuration;
        let version = state.previous_version;
        self.deploy(node, version);
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

    fn start(&mut self, copy: usize, version: u32) {
        self.forget(copy);
        self.next_pid += 1;
        let (pid, started) = (self.next_pid, self.now());
        let replica = &mut self.copies[copy];
        replica.version = version;
        replica.pid = pid;
        replica.started = started;
        replica.state = Process::Running;
        replica.leaked = 0.0;
        replica.configuration = self.nodes[replica.node].configuration;
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

    pub(crate) fn roll_out(&mut self) {
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
