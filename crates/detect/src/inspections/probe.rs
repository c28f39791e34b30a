//! Probes: so many failures in a row are a symptom of the probe's entity.
//!
//! The onset is the first failure of the row. It ends when answers were good for the usual hold; a
//! probe that gives no results at all says nothing, neither good nor bad.

use std::time::Duration;

use model::symptom::{Severity, Symptom, SymptomKind};
use model::tick::ProbeResult;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Spec, certificate};
use crate::config::Probe;
use crate::standing::Standing;

pub const SPEC: Spec = Spec {
    id: "probe",
    title: "Failing probe",
    unit: "failures",
    default: "3 failures in a row",
    documentation: "An HTTP or TCP request that Immune makes itself at an interval, from `probes` \
        in configuration. Notices what telemetry cannot tell: that there is no answer at all.",
};

/// Good answers that must have come before the symptom ends.
const GOOD_MIN: f64 = 2.0;

/// One probe of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    failures: u32,
    first_failure: Timestamp,
    pub standing: Option<Standing>,
    pub certificate: certificate::Watch,
}

impl Watch {
    pub fn take(&mut self, result: &ProbeResult, probe: &Probe, now: Timestamp) {
        let at = result.at.min(now);
        let Some(error) = &result.error else {
            self.failures = 0;
            if let Some(standing) = &mut self.standing {
                standing.see_good(at, 1.0);
            }
            return;
        };
        if self.failures == 0 {
            self.first_failure = at;
        }
        self.failures = self.failures.saturating_add(1);
        match &mut self.standing {
            Some(standing) => {
                standing.see_bad();
                let symptom = &mut standing.symptom;
                symptom.bad += 1.0;
                symptom.total += 1.0;
                symptom.measured = f64::from(self.failures);
                symptom.error_kinds = vec![(error.clone(), symptom.bad)];
            }
            None if self.failures >= probe.failures => {
                self.standing = Some(Standing::new(self.symptom(result, probe, error, now)));
            }
            None => {}
        }
    }

    fn symptom(&self, result: &ProbeResult, probe: &Probe, error: &str, now: Timestamp) -> Symptom {
        let failures = f64::from(self.failures);
        Symptom {
            entity: result.entity.clone(),
            kind: SymptomKind::ProbeFailing,
            source: probe.name.clone(),
            severity: Severity::Page,
            onset: self.first_failure,
            detected: now,
            recovering_since: None,
            measured: failures,
            threshold: f64::from(probe.failures),
            unit: "failures".to_owned(),
            bad: failures,
            total: failures,
            error_kinds: vec![(error.to_owned(), failures)],
            exemplar: None,
            runbook_url: String::new(),
            summary: format!(
                "probe {} of {} failed {} times in a row: {error}",
                probe.name, result.entity, self.failures
            ),
        }
    }

    pub fn held(&self, clear_after: Duration) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.held(clear_after, GOOD_MIN))
    }
}
