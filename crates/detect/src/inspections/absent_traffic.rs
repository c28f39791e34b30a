//! Absent traffic: requests that came steadily are gone although the service is still heard of.
//!
//! Something before it keeps users out: a balancer, a name, a certificate. Only services that no
//! other service is known to call are watched, since the traffic of the others is not users' own:
//! when it ceases, who ceased to call has the symptom. The expected rate follows the last ten
//! minutes, so a night falls slowly enough to be silent.
//!
//! Two ways to be sure:
//!
//! - *Gone*: its traffic ends with its processes: an agent saw one of them die unasked and none
//!   runs. Nobody is left to tell of failed requests, so this is a page at once.
//! - *Heard of*: it is up and its other telemetry still comes. The service must have been heard
//!   well *after* its last request: a process that was stopped says its last with its last request.
//!   But jobs end and so do load tests: it is a page only where a day of life says that traffic
//!   never ceases for so long, a ticket before, and nothing where it ceased for so long already.
//!
//! Not heard of at all is "no data", never a page by itself.

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
    default: "no request for 60 s where at least 100 were to be expected (10 s and 20 where its \
        processes died)",
    documentation: "Notices that no request arrives any more at a service that users call: its \
        last process died, or it is up and its other telemetry still comes. The latter is a page \
        where its traffic never ceased for so long in a day of life or more, a ticket in a \
        younger one, and nothing where it ceased for so long before, as that of a nightly job.",
};

/// Metrics come each minute: heard within this is heard.
const HEARD_WITHIN: Duration = Duration::from_secs(90);

/// How long after the last request the service must still have been heard.
const HEARD_AFTER: Duration = Duration::from_secs(30);

/// Its processes died with its traffic: so long nothing, so many expected, known for so long.
const GONE_FOR: Duration = Duration::from_secs(10);
const GONE_EXPECTED: f64 = 20.0;
const GONE_KNOWN_FOR: Duration = Duration::from_secs(60);

/// The rhythm of traffic is known after this.
const RHYTHM_KNOWN_AFTER: Duration = Duration::from_secs(86_400);

/// `hurt`: an objective of the service fires, which says it already; users who leave then prove
/// nothing.
pub fn judge(
    entity: &Entity,
    service: &mut Service,
    config: &AbsentTraffic,
    now: Timestamp,
    hurt: bool,
) {
    let Some(last) = service.last_request else { return };
    let absent = now.since(last);
    if let Some(standing) = &mut service.absent
        && absent >= config.absent_for.0
    {
        standing.see_bad();
    }
    if !service.callers.is_empty() {
        return;
    }
    let severity = if gone(service, now) {
        Some(Severity::Page)
    } else if hurt || service.stalled.is_some() {
        None
    } else {
        heard_of(service, config, now)
    };
    let standing = service.absent.as_ref().map(|standing| standing.symptom.severity);
    if severity > standing
        && let Some(severity) = severity
    {
        let symptom = symptom(entity, service, severity, absent, now);
        service.absent = Some(Standing::new(symptom));
    }
}

/// Its processes died with its traffic.
fn gone(service: &Service, now: Timestamp) -> bool {
    let (Some(first), Some(last)) = (service.first_request, service.last_request) else {
        return false;
    };
    let absent = now.since(last);
    absent >= GONE_FOR
        && now.since(service.heard) >= GONE_FOR
        && last.since(first) >= GONE_KNOWN_FOR
        && service.rate.per_second() * absent.as_secs_f64() >= GONE_EXPECTED
        && service.processes.died_with(service.last_request_end, last, now)
}

/// It is up, and nobody asks.
fn heard_of(service: &Service, config: &AbsentTraffic, now: Timestamp) -> Option<Severity> {
    let (first, last) = (service.first_request?, service.last_request?);
    let absent = now.since(last);
    let life = last.since(first);
    let expected = service.rate.per_second() * config.absent_for.0.as_secs_f64();
    let fires = absent >= config.absent_for.0
        && life >= config.learn_for.0
        && expected >= config.expected_requests_min as f64
        && service.heard >= last + HEARD_AFTER
        && now.since(service.heard) <= HEARD_WITHIN
        && absent.as_secs_f64() > service.longest_silence_seconds;
    let severity = if life >= RHYTHM_KNOWN_AFTER { Severity::Page } else { Severity::Ticket };
    fires.then_some(severity)
}

fn symptom(
    entity: &Entity,
    service: &Service,
    severity: Severity,
    absent: Duration,
    now: Timestamp,
) -> Symptom {
    let rate = service.rate.per_second();
    let missing = (rate * absent.as_secs_f64()).round();
    let state = if service.processes.died(now) {
        "its last process is gone"
    } else {
        "it is still heard of"
    };
    Symptom {
        entity: entity.clone(),
        kind: SymptomKind::AbsentTraffic,
        source: "traffic".to_owned(),
        severity,
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
        runbook_url: String::new(),
        summary: format!(
            "no request reached {entity} for {} s; {rate:.1} per second were usual, and {state}",
            absent.as_secs()
        ),
    }
}
