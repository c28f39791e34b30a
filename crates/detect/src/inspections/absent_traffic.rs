//! Absent traffic: requests that came steadily are gone although the service is still heard of.
//!
//! Something before it keeps users out: a balancer, a name, a certificate. Only services that no
//! other service is known to call are watched, since the traffic of the others is not users' own:
//! when it ceases, who ceased to call has the symptom. The expected rate follows the last ten
//! minutes, so a night falls slowly enough to be silent.
//!
//! The service must have been heard well *after* its last request: a process that was stopped says
//! its last with its last request. Not heard of at all is "no data", never a page by itself.

use std::time::Duration;

use model::symptom::{Severity, Symptom, SymptomKind};
use model::{Entity, Timestamp};

use super::Spec;
use crate::config::AbsentTraffic;
use crate::service::Service;
use crate::standing::Standing;

pub const SPEC: Spec = Spec {
    id: "absent_traffic",
    title: "Absent traffic",
    unit: "per_second",
    default: "no request for 60 s where at least 100 were to be expected",
    documentation: "Notices that no request arrives any more at a service that users call, though \
        it is up and its other telemetry still comes. Set `absent_traffic.enabled: false` where \
        traffic ends by itself, such as under a load test.",
};

/// Metrics come each minute: heard within this is heard.
const HEARD_WITHIN: Duration = Duration::from_secs(90);

/// How long after the last request the service must still have been heard.
const HEARD_AFTER: Duration = Duration::from_secs(30);

/// `hurt`: an objective of the service fires, which says it already; users who leave then prove
/// nothing.
pub fn judge(
    entity: &Entity,
    service: &mut Service,
    config: &AbsentTraffic,
    now: Timestamp,
    hurt: bool,
) {
    let (Some(first), Some(last)) = (service.first_request, service.last_request) else { return };
    let absent = now.since(last);
    if let Some(standing) = &mut service.absent {
        if absent >= config.absent_for.0 {
            standing.see_bad();
        }
        return;
    }
    if hurt || service.stalled.is_some() || !service.callers.is_empty() {
        return;
    }
    let rate = service.rate.per_second();
    let expected = rate * config.absent_for.0.as_secs_f64();
    let fires = absent >= config.absent_for.0
        && last.since(first) >= config.learn_for.0
        && expected >= config.expected_requests_min as f64
        && service.heard >= last + HEARD_AFTER
        && now.since(service.heard) <= HEARD_WITHIN;
    if !fires {
        return;
    }
    let missing = (rate * absent.as_secs_f64()).round();
    service.absent = Some(Standing::new(Symptom {
        entity: entity.clone(),
        kind: SymptomKind::AbsentTraffic,
        source: "traffic".to_owned(),
        severity: Severity::Page,
        onset: service.last_request_end.min(now),
        detected: now,
        recovering_since: None,
        measured: 0.0,
        threshold: rate,
        unit: "per_second".to_owned(),
        bad: missing,
        total: missing,
        error_kinds: Vec::new(),
        exemplar: None,
        summary: format!(
            "no request reached {entity} for {} s; {rate:.1} per second were usual, and it is \
             still heard of",
            absent.as_secs()
        ),
    }));
}
