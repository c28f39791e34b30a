//! What is seen beside telemetry: probes of entries, agents' looks into databases and disks,
//! changes that somebody tells of.

use std::time::Duration;

use engine::Core;
use model::Timestamp;
use model::condition::{
    Blocker, Condition, ConditionReport, DatabaseCondition, DatabaseFailure, Disk,
};
use model::tick::ProbeResult;

use crate::fleet::{Fleet, Kind, Probe};
use crate::world::{Process, World};

/// An agent looks into a database so often, and tells what is not news once a minute.
const LOOK_EVERY: u64 = 5;
const TELL_EVERY: u64 = 60;
/// A transaction that has blocked for so long may be ended: the default of `blocks_for`.
const BLOCKS_FOR: Duration = Duration::from_secs(30);
const BLOCKER_PID: i32 = 812;
const DISK_BYTES: u64 = 64 << 30;
const USUALLY_FREE_BYTES: u64 = 20 << 30;
/// A server is configured for so many times the connections that all pools together hold.
const CONNECTIONS_SPARE: f64 = 1.5;
/// An answer to a probe that asks only whether anybody is there.
const ANSWER_SECONDS: f64 = 0.002;

impl World {
    pub(crate) fn look_around(&mut self, core: &mut Core) {
        std::mem::take(&mut self.changes).into_iter().for_each(|it| core.observer.change(it));
        for at in 0..self.fleet.entries.len() {
            let entry = &self.fleet.entries[at];
            let (node, probe) = (entry.node, entry.probe);
            if let Some(probe) = probe
                && (self.second + at as u64).is_multiple_of(probe.every_seconds)
            {
                core.observer.probe(self.probe(node, probe));
            }
        }
        for node in 0..self.fleet.nodes.len() {
            let of = &self.fleet.nodes[node];
            let is_due = (self.second + node as u64).is_multiple_of(LOOK_EVERY);
            if of.agent && of.kind == Kind::Database && is_due {
                self.look_into(core, node);
            }
        }
    }

    /// One probe of an entry; which copy answers is chance.
    fn probe(&mut self, node: usize, probe: Probe) -> ProbeResult {
        let rotation = self.rotation(node);
        let copy = rotation.get(self.probes.below(rotation.len())).map(|at| &self.copies[*at]);
        let outcome = self.nodes[node].outcome;
        let timed_out = (Some(format!("timed out after {} s", probe.timeout_seconds)), 1e9);
        let (error, seconds) = match copy {
            Some(copy) if copy.state == Process::Running => {
                let flow = &copy.flow;
                let all = flow.answered + flow.shed + flow.given_up;
                let is_shed =
                    flow.shed > 0 && self.probes.chance(flow.shed as f64 / all.max(1) as f64);
                let seconds = match probe.deep {
                    true => outcome.seconds,
                    false => copy.wait_seconds + ANSWER_SECONDS,
                };
                match () {
                    () if copy.conduct.hangs || seconds > probe.timeout_seconds => timed_out,
                    () if is_shed => (Some("status 503".to_owned()), ANSWER_SECONDS),
                    () if probe.deep && self.probes.chance(outcome.errors) => {
                        (Some("status 500".to_owned()), seconds)
                    }
                    () => (None, seconds),
                }
            }
            _ => (Some("connection refused".to_owned()), ANSWER_SECONDS),
        };
        let refused = outcome.refused;
        let is_refused = self.nodes[node].refuse.is_some() && self.probes.chance(refused);
        let of = &self.fleet.nodes[node];
        ProbeResult {
            at: self.now(),
            probe: probe_name(&of.name),
            entity: of.entity.clone(),
            error: if is_refused { Some("connection refused".to_owned()) } else { error },
            duration_nanos: (1e9 * seconds.min(probe.timeout_seconds)) as u64,
        }
    }

    /// An agent's look into a database and at its disk, told where it is news.
    fn look_into(&mut self, core: &mut Core, node: usize) {
        let now = self.now();
        let conditions = [
            Condition::Database(self.database(node, now)),
            Condition::Disks(vec![Disk {
                folder: "/var/lib/postgresql".to_owned(),
                bytes: DISK_BYTES,
                free_bytes: if self.nodes[node].is_full { 0 } else { USUALLY_FREE_BYTES },
            }]),
        ];
        let Some(copy) = self.nodes[node].copies.first().copied() else { return };
        let is_due = (self.second + node as u64) % TELL_EVERY < LOOK_EVERY;
        for (at, condition) in conditions.into_iter().enumerate() {
            let report = ConditionReport {
                at: now,
                target: self.copies[copy].name.clone(),
                entity: self.fleet.nodes[node].entity.clone(),
                condition,
            };
            let last = &mut self.nodes[node].looked[at];
            if is_due || last.as_ref().is_none_or(|last| !report.is_like(last)) {
                *last = Some(report.clone());
                core.observer.condition(report);
            }
        }
    }

    fn database(&mut self, node: usize, now: Timestamp) -> DatabaseCondition {
        let copy = self.nodes[node].copies.first().map(|copy| &self.copies[*copy]);
        let is_running = copy.is_some_and(|copy| copy.state == Process::Running);
        let state = &mut self.nodes[node];
        let refuses = state.refuse.is_some_and(|(share, _)| share >= 1.0);
        if !is_running || (refuses && !state.is_locked && !state.is_full) {
            return DatabaseCondition::Fails(DatabaseFailure::Unreachable);
        }
        if copy.is_some_and(|copy| copy.conduct.hangs) {
            return DatabaseCondition::Fails(DatabaseFailure::TimedOut);
        }
        state.locked_since = state.is_locked.then(|| state.locked_since.unwrap_or(now));
        let connections_max = CONNECTIONS_SPARE * connections(&self.fleet, node).max(20.0);
        let waits = state.refuse.map_or(0.0, |(share, _)| share * state.arrivals as f64);
        let blocker = state.locked_since.map(|since| Blocker {
            pid: BLOCKER_PID,
            since,
            overdue: now.since(since) >= BLOCKS_FOR,
        });
        DatabaseCondition::Answers {
            waiting: if state.is_locked { (waits as u32).max(1) } else { 0 },
            blocker,
            connections: (connections_max / (2.0 * CONNECTIONS_SPARE)) as u32,
            connections_max: connections_max as u32,
        }
    }
}

/// All connections that callers' pools may hold to a database.
pub(crate) fn connections(fleet: &Fleet, node: usize) -> f64 {
    let pools = |caller: usize| {
        let of = &fleet.nodes[caller];
        let calls = of.calls.iter().filter(|call| call.to == node);
        of.copies as f64 * calls.filter_map(|call| call.pool).sum::<f64>()
    };
    fleet.callers(node).map(pools).sum()
}

pub(crate) fn probe_name(service: &str) -> String {
    format!("{service}-front")
}
