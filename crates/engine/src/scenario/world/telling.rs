//! What is told of the system that a scenario plays: telemetry, and an agent's reports.

use std::collections::BTreeMap;

use model::Timestamp;
use model::signal::Batch;
use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::time::SECOND;

use super::super::telemetry::{active_requests, group, resource};
use super::{Instance, State, World};

/// Stock SDKs send spans each 5 s and metrics each 60 s.
const SPAN_EXPORT_SECS: u64 = 5;
const METRIC_EXPORT_SECS: u64 = 60;
/// Memory of a process that leaks nothing.
const USUAL_BYTES: u64 = 64 << 20;

impl World {
    /// What the SDKs send at `now`. Each instance has its own phase.
    pub(super) fn export(&mut self, now: Timestamp) -> Vec<Batch> {
        let second = now.0 / SECOND;
        let mut batches = Vec::new();
        let in_flight: BTreeMap<String, i64> =
            self.services.iter().map(|(name, s)| (name.clone(), s.in_flight)).collect();
        for (index, (name, instance)) in self.instances.iter_mut().enumerate() {
            if instance.state == State::Crashed || instance.muted || instance.halted {
                continue;
            }
            let phase = second + index as u64;
            let Instance { service, version, pid, .. } = instance;
            let resource = resource(service, name, version, *pid);
            if phase.is_multiple_of(SPAN_EXPORT_SECS) && !instance.spans.is_empty() {
                let items = std::mem::take(&mut instance.spans);
                batches.push(Batch::Traces(vec![group(&resource, items)]));
            }
            let stuck = in_flight.get(&instance.service).copied().unwrap_or(0);
            let due = phase.is_multiple_of(METRIC_EXPORT_SECS);
            if due && instance.state == State::Running {
                let metrics = vec![active_requests(now, stuck)];
                batches.push(Batch::Metrics(vec![group(&resource, metrics)]));
            }
        }
        batches
    }

    /// What an agent would report of the targets.
    pub(in crate::scenario) fn processes(
        &mut self,
        targets: &[String],
        now: Timestamp,
    ) -> Vec<ProcessReport> {
        let mut reports = Vec::new();
        for target in targets {
            let Some((entity, name)) = self.target(target) else { continue };
            let Some(instance) = self.instances.get_mut(&name) else { continue };
            let identity = ProcessIdentity {
                host: "host".to_owned(),
                boot_id: "boot".to_owned(),
                pid: instance.pid,
                start_ticks: instance.started.0 / (SECOND / 100),
            };
            let state = match instance.state {
                State::Running => {
                    instance.last_seen = now;
                    ProcessState::Running(identity)
                }
                // Others who stop a process do not ask Immune: it is gone, no more can be seen.
                State::Crashed | State::Stopped => ProcessState::Gone {
                    last: identity,
                    last_seen: instance.last_seen,
                    stop_requested: self.asked.contains(&name),
                },
            };
            let memory_bytes =
                (instance.state == State::Running).then_some(USUAL_BYTES + instance.leaked);
            let target = target.clone();
            reports.push(ProcessReport { at: now, target, entity, state, memory_bytes });
        }
        reports
    }
}
