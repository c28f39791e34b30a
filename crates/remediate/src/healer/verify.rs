//! Did it help? Users' figures decide, for as long as the policy asks.

use std::collections::BTreeMap;

use model::symptom::ObjectiveState;
use model::{Incident, IncidentId, PlanId, PlanState, Timestamp};

use super::Healer;
use super::people::Call;
use crate::proposals::{Proposals, StepInput};
use crate::record::Record;
use crate::recovery::{Proof, proof};

/// What one look at the figures says.
enum Finding {
    Recovered(String),
    NotRecovered(String),
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
            let Some(record) = self.records.get(&id) else { continue };
            let incident = incidents.get(&record.plan.incident).copied();
            let finding = find(record, incident, input.objectives, input.now);
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
            Finding::Recovered(why) => self.enter(id, PlanState::Verified, &why, now, out),
            Finding::NotRecovered(why) => self.attempt_failed(id, &why, now, out),
            Finding::Lost => {
                let why = "the incident is no longer reported: recovery was not proven";
                self.enter(id, PlanState::GaveUp, why, now, out);
            }
            Finding::Unproven => {
                let why = "it was done, but too few requests are made to prove that it helped";
                self.call_about(id, Call::Unproven(id), why, out);
            }
            Finding::Wait => {}
        }
    }
}

fn find(
    record: &Record,
    incident: Option<&Incident>,
    objectives: &[ObjectiveState],
    now: Timestamp,
) -> Finding {
    let begun = record.verifying_since.unwrap_or(now);
    let ordered = record.plan.attempts.last().map_or(begun, |attempt| attempt.ordered);
    let policy = &record.policy;
    let recovery = record.recovery;
    if recovery.gone && !recovery.resolved {
        return Finding::Lost;
    }
    let is_late = now >= begun + policy.verify_within.0;
    let Some(since) = recovery.since else {
        let why = format!("users did not recover within {}", policy.verify_within);
        return if is_late { Finding::NotRecovered(why) } else { Finding::Wait };
    };
    // A recovery that began before the order says nothing about it.
    let held_from = since.max(ordered);
    let proof = incident.map_or(Proof::Well, |incident| proof(incident, objectives));
    if proof == Proof::Burning && is_late && !recovery.resolved {
        return Finding::NotRecovered("users' figures are bad again".to_owned());
    }
    if now < held_from + policy.verify_for.0 {
        return Finding::Wait;
    }
    let recovered = || {
        let since = held_from.clock();
        Finding::Recovered(format!("users are well since {since}, for {}", policy.verify_for))
    };
    match proof {
        Proof::Well => recovered(),
        // The diagnosis held the recovery for its own time before it resolved the incident.
        _ if recovery.resolved => recovered(),
        Proof::Unproven if is_late => Finding::Unproven,
        Proof::Unproven | Proof::Burning => Finding::Wait,
    }
}
