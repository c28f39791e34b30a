//! Have users recovered, by their own figures?
//!
//! The action's own word counts for nothing. A recovery is proven when the incident's symptoms have
//! been well for long enough while enough requests were made; absence of data proves nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use model::symptom::{Health, ObjectiveState};
use model::{Incident, IncidentState, Symptom, SymptomKind, Timestamp};

/// What users' figures say at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Well,
    /// No requests, no data, or too few to judge.
    Unproven,
    Burning,
}

/// One request that went well may be luck.
const GOOD_REQUESTS_MIN: f64 = 5.0;
/// What objectives count requests over.
const MINUTE: Duration = Duration::from_secs(60);

/// Good requests since a recovery began, put together from counts of the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    from: Timestamp,
    /// Requests are added up to then.
    until: Timestamp,
    added: f64,
    last_minute: f64,
}

impl Tally {
    /// Takes in the present count of a recovery that began at `from`.
    pub fn take(&mut self, from: Timestamp, now: Timestamp, good_1m: f64) {
        if self.from != from {
            *self = Tally { from, until: from, ..Tally::default() };
        }
        self.last_minute = good_1m;
        if now >= self.until + MINUTE {
            self.added += good_1m;
            self.until = now;
        }
    }

    pub fn is_enough(&self) -> bool {
        self.added.max(self.last_minute) >= GOOD_REQUESTS_MIN
    }
}

/// Since when users' figures are well, if they are.
pub(crate) fn recovering_since(incident: &Incident) -> Option<Timestamp> {
    match incident.state {
        IncidentState::Resolved => {
            Some(incident.mitigated.or(incident.resolved).unwrap_or(incident.onset))
        }
        IncidentState::Mitigated => incident.mitigated,
        IncidentState::Open => {
            let mut latest = None;
            for symptom in incident.telling() {
                latest = latest.max(Some(symptom.recovering_since?));
            }
            latest
        }
    }
}

/// What the objectives that told of the harm say now.
pub(crate) fn proof(incident: &Incident, objectives: &[ObjectiveState]) -> Proof {
    let mut worst = Proof::Well;
    for symptom in &incident.symptoms {
        match proof_of(symptom, objectives) {
            Proof::Burning => return Proof::Burning,
            Proof::Unproven => worst = Proof::Unproven,
            Proof::Well => {}
        }
    }
    worst
}

/// Good requests of the last minute, by the objective that has the fewest.
pub(crate) fn good_1m(incident: &Incident, objectives: &[ObjectiveState]) -> f64 {
    let told_of = incident.symptoms.iter().filter_map(|symptom| told_of(symptom, objectives));
    let good = told_of.map(|objective| {
        objective.requests_1m.max(0.0) * objective.good_ratio_1m.unwrap_or_default()
    });
    good.fold(f64::INFINITY, f64::min)
}

fn told_of<'a>(symptom: &Symptom, objectives: &'a [ObjectiveState]) -> Option<&'a ObjectiveState> {
    objectives.iter().find(|objective| {
        objective.source == symptom.source
            && objective.entity == symptom.entity
            && objective.kind == symptom.kind
    })
}

fn proof_of(symptom: &Symptom, objectives: &[ObjectiveState]) -> Proof {
    match told_of(symptom, objectives) {
        Some(objective) => judge(objective),
        // These have no objective: a probe that passes, calls that end, traffic or telemetry that
        // is back and an alert that was said to be over are seen by the symptom's own recovery.
        None if matches!(
            symptom.kind,
            SymptomKind::ProbeFailing
                | SymptomKind::Stalled
                | SymptomKind::AbsentTraffic
                | SymptomKind::Alert
                | SymptomKind::Blind
                | SymptomKind::Exhaustion
                | SymptomKind::Certificate
        ) =>
        {
            Proof::Well
        }
        None => Proof::Unproven,
    }
}

fn judge(objective: &ObjectiveState) -> Proof {
    let has_requests = objective.requests_1m > 0.0;
    if !has_requests {
        return Proof::Unproven;
    }
    // Long windows remember the harm that is over; the last minute tells of now.
    let well_now = objective.good_ratio_1m.is_some_and(|ratio| ratio >= objective.objective);
    match objective.health {
        Health::Well => Proof::Well,
        _ if well_now => Proof::Well,
        Health::Burning => Proof::Burning,
        Health::Learning | Health::NoTraffic | Health::NoData => Proof::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures as f;

    fn check(health: Health, requests_1m: f64, good_ratio_1m: Option<f64>, expect: Proof) {
        let objective = ObjectiveState { good_ratio_1m, ..f::objective(health, requests_1m) };
        assert_eq!(proof(&f::incident(1, "orders"), &[objective]), expect, "{health:?}");
    }

    #[test]
    fn only_good_requests_prove_a_recovery() {
        check(Health::Well, 10.0, Some(1.0), Proof::Well);
        check(Health::Well, 0.0, None, Proof::Unproven);
        check(Health::Well, f64::NAN, None, Proof::Unproven);
        check(Health::NoTraffic, 0.0, None, Proof::Unproven);
        check(Health::NoData, 0.0, None, Proof::Unproven);
        check(Health::Learning, 10.0, None, Proof::Unproven);
        check(Health::Burning, 10.0, Some(0.5), Proof::Burning);
    }

    #[test]
    fn a_burn_that_only_long_windows_remember_is_over() {
        check(Health::Burning, 10.0, Some(0.995), Proof::Well);
    }

    #[test]
    fn few_requests_are_counted_over_several_minutes_and_anew_for_a_new_recovery() {
        let mut tally = Tally::default();
        for second in 0..60 {
            tally.take(f::at(0), f::at(second), 3.0);
        }
        assert!(!tally.is_enough());
        tally.take(f::at(0), f::at(60), 3.0);
        assert!(!tally.is_enough(), "3 of 5");
        for second in 61..=120 {
            tally.take(f::at(0), f::at(second), 3.0);
        }
        assert!(tally.is_enough(), "6 of 5");
        tally.take(f::at(121), f::at(122), 3.0);
        assert!(!tally.is_enough(), "the recovery began anew");
        tally.take(f::at(121), f::at(123), 5.0);
        assert!(tally.is_enough());
        tally.take(f::at(124), f::at(125), f64::NAN);
        assert!(!tally.is_enough());
    }

    #[test]
    fn an_objective_that_is_not_reported_proves_nothing_but_a_probe_speaks_for_itself() {
        let mut incident = f::incident(1, "orders");
        assert_eq!(proof(&incident, &[]), Proof::Unproven);
        incident.symptoms[0].kind = SymptomKind::ProbeFailing;
        assert_eq!(proof(&incident, &[]), Proof::Well);
    }

    #[test]
    fn an_open_incident_recovers_only_when_each_firing_symptom_does() {
        let mut incident = f::incident(1, "orders");
        let mut other = f::symptom(&f::service("gateway"));
        other.recovering_since = Some(f::at(7));
        incident.symptoms.push(other);
        incident.firing = vec![0, 1, 9];
        assert_eq!(recovering_since(&incident), None);
        incident.symptoms[0].recovering_since = Some(f::at(3));
        assert_eq!(recovering_since(&incident), Some(f::at(7)));
        incident.firing.clear();
        assert_eq!(recovering_since(&incident), None, "nothing fires and nobody said it is over");
    }
}
