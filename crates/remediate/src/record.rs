//! What the healer remembers: of each plan beyond the plan itself, and of each target.
//!
//! Invariant: a final plan never changes its state (`Record::enter` refuses).

use std::time::Duration;

use model::plan::{Attempt, Undo};
use model::tick::{ProcessIdentity, ProcessReport};
use model::{Action, Incident, IncidentState, Mode, Plan, PlanState, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Policy;
use crate::recovery::{Tally, recovering_since};

/// Timeline texts of one plan; a plan that keeps changing does not drown its incident.
pub(crate) const NOTES_PER_PLAN_MAX: u32 = 40;

/// Who stopped healing, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Freeze {
    pub who: String,
    pub reason: String,
    pub at: Timestamp,
}

/// Where a plan stands with the people asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Approval {
    NotNeeded,
    /// Silence after `until` is a no.
    Asked {
        until: Timestamp,
    },
    /// Good for a first order until `until`, then for the further attempts.
    Given {
        who: String,
        at: Timestamp,
        until: Timestamp,
    },
}

/// A plan and what is needed to carry it on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub plan: Plan,
    /// The policy as it was when the plan was made.
    pub policy: Policy,
    pub approval: Approval,
    /// What the policy says; the plan's own mode may be earned.
    pub base_mode: Mode,
    /// Since when a guardrail holds it.
    pub held_since: Option<Timestamp>,
    /// Since when the last attempt is being verified.
    pub verifying_since: Option<Timestamp>,
    pub recovery: Recovery,
    /// Executors had until then to tell the end of the last order.
    pub outcome_due: Option<Timestamp>,
    /// The last outcome is our own conclusion from silence; a real one may still replace it.
    pub outcome_assumed: bool,
    /// The process that ran right after the last attempt was done: what the attempt started.
    pub started: Option<ProcessIdentity>,
    pub tally: Tally,
    /// It ended because others did what it was for.
    pub by_others: bool,
    /// It ended in an earlier opening of its incident and says nothing of this one.
    pub past: bool,
    /// Attempts made in earlier openings; they no longer count.
    pub spent: u32,
    pub notes: u32,
    /// Where the plan stands on its policy's ladder, and how many attempts were made before it
    /// came there.
    pub step: usize,
    pub made_before_step: usize,
    pub undoing: Option<Undoing>,
}

/// An attempt that did not help is being taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Undoing {
    pub since: Timestamp,
    /// Why the attempt did not help.
    pub why: String,
    /// Executors have until then to tell the end of it, once it is ordered.
    pub due: Option<Timestamp>,
}

/// What is known of the recovery of the plan's incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// Users' figures are well since.
    pub since: Option<Timestamp>,
    /// The incident was seen resolved.
    pub resolved: bool,
    /// The incident is not reported any more.
    pub gone: bool,
}

/// A storm (G-13) as it was seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StormSeen {
    pub last: Timestamp,
    pub troubled: usize,
    pub all: usize,
}

/// What is remembered of a target across plans and incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetMemory {
    pub report: Option<ProcessReport>,
    /// When the latest look came, by the server's clock.
    pub looked: Option<Timestamp>,
    /// When a process of it was last seen to be gone, unasked.
    pub died: Option<Timestamp>,
    /// The process that runs, and since when it is known.
    pub running: Option<(ProcessIdentity, Timestamp)>,
    /// Actions since the last quiet time.
    pub level: u32,
    pub not_before: Option<Timestamp>,
    /// End of the quiet time after which the waits start anew.
    pub quiet_at: Option<Timestamp>,
}

impl Record {
    /// Waits for a guardrail, a person, or the end of a back-off.
    pub fn is_waiting(&self) -> bool {
        use PlanState::{AwaitingApproval, BackingOff, Held};
        matches!(self.plan.state, Held | AwaitingApproval | BackingOff)
    }

    /// Its action is under way or not yet proven.
    pub fn is_busy(&self) -> bool {
        use PlanState::{Running, Undoing, Verifying};
        matches!(self.plan.state, Running | Verifying | Undoing)
    }

    pub fn is_final(&self) -> bool {
        self.plan.state.is_final()
    }

    pub fn last_action(&self) -> Option<&Action> {
        self.plan.attempts.last().map(|attempt| &attempt.action)
    }

    /// Attempts at the present step of the ladder.
    pub fn attempts_at_step(&self) -> u32 {
        let made = self.plan.attempts.len().saturating_sub(self.made_before_step);
        u32::try_from(made).unwrap_or(u32::MAX)
    }

    /// The undo that was ordered last.
    pub fn last_undo(&self) -> Option<&Undo> {
        self.plan.attempts.last().and_then(|attempt| attempt.undo.as_ref())
    }

    pub fn last_attempt_mut(&mut self) -> Option<&mut Attempt> {
        self.plan.attempts.last_mut()
    }

    /// Tries made since the incident was opened, last time.
    pub fn attempts_used(&self) -> u32 {
        let made = u32::try_from(self.plan.attempts.len()).unwrap_or(u32::MAX);
        made.saturating_sub(self.spent)
    }

    /// The incident was resolved and is open again.
    pub fn open_again(&mut self) {
        self.past = self.is_final();
        self.made_before_step = self.plan.attempts.len();
        self.spent = u32::try_from(self.plan.attempts.len()).unwrap_or(u32::MAX);
    }

    /// Moves to a state; returns whether it is another one. A final state is never left.
    pub fn enter(&mut self, state: PlanState, reason: &str, now: Timestamp) -> bool {
        if self.is_final() {
            return false;
        }
        let changed = self.plan.state != state;
        if changed {
            self.plan.updated = now;
            self.held_since = (state == PlanState::Held).then_some(now);
        }
        self.plan.state = state;
        reason.clone_into(&mut self.plan.reason);
        changed
    }

    /// Takes in what this step says of the incident; `None` when it says nothing.
    pub fn see(&mut self, incident: Option<&Incident>) {
        match incident {
            Some(incident) => {
                self.recovery.since = recovering_since(incident);
                self.recovery.resolved = incident.state == IncidentState::Resolved;
                self.recovery.gone = false;
            }
            None => self.recovery.gone = true,
        }
    }
}

impl TargetMemory {
    pub fn see(&mut self, report: &ProcessReport, now: Timestamp) {
        use model::tick::ProcessState::{Gone, NeverSeen, Running};
        self.looked = Some(now);
        if matches!(report.state, Gone { stop_requested: false, .. }) && self.running.is_some() {
            self.died = Some(now);
        }
        match &report.state {
            Running(process) => {
                let known = self.running.as_ref().is_some_and(|(known, _)| known == process);
                if !known {
                    self.running = Some((process.clone(), now));
                }
            }
            Gone { .. } | NeverSeen => self.running = None,
        }
        self.report = Some(report.clone());
    }

    /// An order was made: the next one waits longer.
    pub fn ordered(&mut self, policy: &Policy, now: Timestamp) {
        if self.quiet_at.is_none_or(|quiet_at| now >= quiet_at) {
            self.level = 0;
        }
        self.level = self.level.saturating_add(1);
        self.wait(policy, now);
    }

    /// An attempt ended in failure: the wait counts from now.
    pub fn wait(&mut self, policy: &Policy, now: Timestamp) {
        let doublings = 2_u32.saturating_pow(self.level.saturating_sub(1));
        let delay = policy.back_off.0.saturating_mul(doublings).min(policy.back_off_max.0);
        let not_before = now + delay + jitter(policy, self.level, delay);
        let quiet_at = now + quiet_time(policy);
        self.not_before = self.not_before.max(Some(not_before));
        self.quiet_at = self.quiet_at.max(Some(quiet_at));
    }
}

/// A part of the wait that differs from target to target and from wait to wait, and is always the
/// same for the same (FNV-1a).
fn jitter(policy: &Policy, level: u32, delay: Duration) -> Duration {
    let bytes = policy.target.bytes().chain(level.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let share = policy.back_off_jitter.clamp(0.0, 1.0) * f64::from((hash >> 40) as u32);
    delay.mul_f64(share / f64::from(1_u32 << 24))
}

/// Twice the longest wait: a target that was well for that long starts anew.
fn quiet_time(policy: &Policy) -> Duration {
    policy.back_off_max.0.saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures as f;

    fn secs(memory: &TargetMemory, now: Timestamp) -> u64 {
        memory.not_before.unwrap().since(now).as_secs()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew_after_a_quiet_time() {
        let policy = f::policy("orders");
        let mut memory = TargetMemory::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            memory.ordered(&policy, f::at(0));
            waits.push(secs(&memory, f::at(0)));
        }
        assert_eq!(waits[..6], [30, 60, 120, 240, 480, 600]);
        assert!(waits[6..].iter().all(|wait| *wait == 600));
        memory.ordered(&policy, f::at(1_199));
        assert_eq!(secs(&memory, f::at(1_199)), 600);
        memory.ordered(&policy, f::at(1_199 + 1_200));
        assert_eq!(secs(&memory, f::at(1_199 + 1_200)), 30);
    }

    #[test]
    fn waits_of_several_targets_differ_by_at_most_the_jitter_and_are_always_the_same() {
        let of = |name: &str| {
            let policy = Policy { back_off_jitter: 0.1, ..f::policy(name) };
            let mut memory = TargetMemory::default();
            memory.ordered(&policy, f::at(0));
            memory.not_before.unwrap().since(f::at(0))
        };
        let names: Vec<String> = (0..50).map(|number| format!("target-{number}")).collect();
        let waits: std::collections::BTreeSet<_> = names.iter().map(|name| of(name)).collect();
        assert!(waits.len() > 45, "{} of 50 differ", waits.len());
        let (least, most) = (Duration::from_secs(30), Duration::from_secs(33));
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{waits:?}");
        assert_eq!(of("orders"), of("orders"));
    }

    #[test]
    fn a_process_is_known_since_it_was_first_seen() {
        let mut memory = TargetMemory::default();
        memory.see(&f::running("orders", 1), f::at(1));
        memory.see(&f::running("orders", 1), f::at(2));
        assert_eq!(memory.running, Some((f::process(1), f::at(1))));
        memory.see(&f::running("orders", 2), f::at(3));
        assert_eq!(memory.running, Some((f::process(2), f::at(3))));
        memory.see(&f::gone("orders", 2), f::at(4));
        assert_eq!(memory.running, None);
    }
}
