//! Did it help? Users' figures decide, for as long as the policy asks.

use std::collections::BTreeMap;

use model::tick::ProcessReport;
use model::{Incident, IncidentId, PlanId, PlanState, Timestamp};

use super::Healer;
use super::credit::{Standing, standing, why_not_ours};
use super::people::Call;
use crate::autonomy::Trial;
use crate::proposals::{Proposals, StepInput};
use crate::record::Record;
use crate::recovery::{Proof, good_1m, proof};

/// What one look at the figures says.
enum Finding {
    Recovered(String),
    NotRecovered(String),
    /// Users are well, and not by this plan.
    ByOthers(String),
    /// The incident vanished; nothing can be proven any more.
    Lost,
    /// Figures are well, yet nobody makes requests that could prove it.
    Unproven,
    Wait,
}

impl Healer {
    pub(super) fn verify(
        &mut self,
        input: &StepInput<'_>,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        let verifying = self.ids(|record| record.plan.state == PlanState::Verifying);
        if self.hold.is_some() {
            return self.postpone(&verifying, input.now);
        }
        for id in verifying {
            let Some(record) = self.records.get_mut(&id) else { continue };
            let incident = incidents.get(&record.plan.incident).copied();
            if let (Some(incident), Some(since)) = (incident, held_from(record)) {
                record.tally.take(since, input.now, good_1m(incident, input.objectives));
            }
            let memory = self.memory.get(&record.plan.target);
            let report = memory.and_then(|memory| memory.report.as_ref());
            let finding = find(record, incident, report, input);
            self.conclude(id, finding, input.now, out);
        }
    }

    /// Figures that cannot be trusted prove neither recovery nor failure: the time in which users
    /// should recover begins anew.
    fn postpone(&mut self, verifying: &[PlanId], now: Timestamp) {
        for id in verifying {
            if let Some(record) = self.records.get_mut(id) {
                record.verifying_since = Some(now);
            }
        }
    }

    fn conclude(&mut self, id: PlanId, finding: Finding, now: Timestamp, out: &mut Proposals) {
        match finding {
            Finding::Recovered(why) => {
                self.learn(id, Trial::Cured, now);
                self.enter(id, PlanState::Verified, &why, now, out);
            }
            Finding::NotRecovered(why) => {
                self.learn(id, Trial::Failed, now);
                self.not_recovered(id, &why, now, out);
            }
            Finding::ByOthers(why) => {
                if let Some(record) = self.records.get_mut(&id) {
                    record.by_others = true;
                }
                self.enter(id, PlanState::Withdrawn, &why, now, out);
            }
            Finding::Lost => {
                let why = "the incident is no longer reported: recovery was not proven";
                self.enter(id, PlanState::GaveUp, why, now, out);
            }
            Finding::Unproven => {
                let Some(plan) = self.plan(id) else { return };
                let why = format!(
                    "{} {} was done, but too few requests are made to prove that it helped",
                    plan.kind, plan.target
                );
                self.call_about(id, Call::Unproven(id), &why, out);
            }
            Finding::Wait => {}
        }
    }
}

/// Since when users are well, as far as it may be due to the last attempt: a recovery that began
/// before the order says nothing about it.
pub(super) fn held_from(record: &Record) -> Option<Timestamp> {
    let ordered = record.plan.attempts.last().map(|attempt| attempt.ordered);
    record.recovery.since.map(|since| ordered.map_or(since, |ordered| since.max(ordered)))
}

fn find(
    record: &Record,
    incident: Option<&Incident>,
    report: Option<&ProcessReport>,
    input: &StepInput<'_>,
) -> Finding {
    let now = input.now;
    let begun = record.verifying_since.unwrap_or(now);
    let policy = &record.policy;
    let recovery = record.recovery;
    if recovery.gone && !recovery.resolved {
        return Finding::Lost;
    }
    if let Standing::Died(process) = standing(record, report) {
        let pid = process.pid;
        return Finding::NotRecovered(format!("pid {pid}, which came up, is gone again"));
    }
    let within = policy.verify_within_at(record.step);
    let is_late = now >= begun + within.0;
    let Some(held_from) = held_from(record) else {
        let why = format!("users did not recover within {within}");
        return if is_late { Finding::NotRecovered(why) } else { Finding::Wait };
    };
    let proof = match incident.map_or(Proof::Well, |incident| proof(incident, input.objectives)) {
        Proof::Well if !record.tally.is_enough() => Proof::Unproven,
        proof => proof,
    };
    if proof == Proof::Burning && is_late && !recovery.resolved {
        return Finding::NotRecovered("users' figures are bad again".to_owned());
    }
    if now < held_from + policy.verify_for.0 {
        return Finding::Wait;
    }
    match proof {
        Proof::Well => recovered(record, report, held_from),
        // The diagnosis held the recovery for its own time before it resolved the incident.
        _ if recovery.resolved => recovered(record, report, held_from),
        Proof::Unproven if is_late => Finding::Unproven,
        Proof::Unproven | Proof::Burning => Finding::Wait,
    }
}

fn recovered(record: &Record, report: Option<&ProcessReport>, since: Timestamp) -> Finding {
    match why_not_ours(record, report) {
        Some(why) => Finding::ByOthers(why),
        None => {
            let (since, held) = (since.clock(), record.policy.verify_for);
            Finding::Recovered(format!("users are well since {since}, for {held}"))
        }
    }
}

#[cfg(test)]
mod tests;
