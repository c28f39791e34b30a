//! Certificates: one that a probe was shown is about to expire.
//!
//! Nobody is hurt until then, so it is a ticket; when it has expired, the probe fails, and that is
//! a page of its own. It ends once another certificate is shown.

use std::time::Duration;

use model::symptom::{Severity, Symptom, SymptomKind};
use model::tick::ProbeResult;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Spec;
use crate::standing::Standing;
use crate::wording;

pub const SPEC: Spec = Spec {
    id: "certificate",
    title: "Certificate about to expire",
    unit: "seconds",
    default: "14 days before",
    documentation: "Notices that the certificate which a server shows to an `https` probe expires \
        within `detect.certificate_within`. A ticket, until it is renewed; when it has expired, \
        the probe fails.",
};

/// Answers with another certificate before it ends.
const GOOD_MIN: f64 = 2.0;

/// The certificate that one probe is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    pub standing: Option<Standing>,
}

impl Watch {
    /// An answer that shows no certificate says nothing of it.
    pub fn take(&mut self, result: &ProbeResult, within: Duration, now: Timestamp) {
        let Some(until) = result.certificate_until else { return };
        let left = until.since(now);
        let is_near = left <= within;
        match &mut self.standing {
            Some(standing) if is_near => {
                standing.see_bad();
                standing.symptom.measured = left.as_secs_f64();
            }
            Some(standing) => standing.see_good(now, 1.0),
            None if is_near => {
                self.standing = Some(Standing::new(symptom(result, until, within, now)));
            }
            None => {}
        }
    }

    pub fn held(&self, clear_after: Duration) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.held(clear_after, GOOD_MIN))
    }
}

fn symptom(result: &ProbeResult, until: Timestamp, within: Duration, now: Timestamp) -> Symptom {
    let left = until.since(now).as_secs_f64();
    Symptom {
        entity: result.entity.clone(),
        kind: SymptomKind::Certificate,
        source: result.probe.clone(),
        severity: Severity::Ticket,
        onset: now,
        detected: now,
        recovering_since: None,
        measured: left,
        threshold: within.as_secs_f64(),
        unit: "seconds".to_owned(),
        bad: 0.0,
        total: 0.0,
        error_kinds: Vec::new(),
        exemplar: None,
        runbook_url: String::new(),
        summary: format!(
            "the certificate that probe {} of {} is shown expires in {}, at {until}",
            result.probe,
            result.entity,
            wording::span(left)
        ),
    }
}
