//! Missing completions: requests that are begun and do not end.
//!
//! A hanging request has no span until it ends, so it is told by what ceases:
//!
//! - *In flight*: a service that used to complete at least one request in 5 s completed none for 10
//!   s, while a reading of its requests in flight, taken since, exceeds what always is in flight.
//! - *Share*: an operation (or a call to another service) that used to make up a steady share of
//!   the completions of its service has none, while the others go on. With a share `p` and `n`
//!   completions of the service since, the chance of that is at most `(1-p)^n <= e^(-pn)`; it must
//!   be below one in a million, the silence at least 15 s, and three times the longest silence
//!   there ever was.
//!
//! The share alone does not prove harm: users may simply stop using a function. The share follows a
//! slow decline, and besides there must be one of
//! - requests waiting in the service or in a caller of it;
//! - an abrupt end: at least one completion per second over half an hour or longer, and a silence
//!   of 30 s, four times the longest, that cannot be chance even for requests as clustered as these
//!   (users come in sessions: the expected number is divided by the variance-to-mean ratio of the
//!   counts per minute). For calls, the caller's completions must have fallen by what needed the
//!   call, else a cache or a flag explains it, and what is called must be known as a service,
//!   database or queue: an address may be scaled in.
//!
//! Not told apart from harm: a single steady client of one operation that stops at once. Not
//! noticed: an operation below one request per second that hangs where nobody reports requests in
//! flight; its callers' timeouts, which are errors, or a probe will tell.

mod flow;

use std::time::Duration;

use model::symptom::{Severity, Symptom, SymptomKind};
use model::tick::SeriesKey;
use model::{Entity, Timestamp};

pub use flow::Flow;
use flow::LONGER_THAN_EVER;

use super::Spec;
use crate::config::Stalled;
use crate::service::Service;
use crate::standing::Standing;

pub const SPEC: Spec = Spec {
    id: "stalled",
    title: "Missing completions",
    unit: "seconds",
    default: "10 s with at least 3 requests waiting, 15 s (30 s) while everything else goes on",
    documentation: "Notices requests that hang before any timeout ends them: by requests in \
        flight (`http.server.active_requests`) without completions, or because an operation or a \
        call to another service ceases to complete while the service goes on with everything \
        else.",
};

/// A service must have completed so many requests per second for its silence to mean anything.
const USED_TO_COMPLETE: f64 = 0.2;

/// The service goes on when something completed this recently.
const GOES_ON: Duration = Duration::from_secs(10);

/// Source of the symptom of a whole service.
pub const IN_FLIGHT: &str = "requests in flight";

/// Requests that wait, in callers of a service, by readings not before a time.
pub type WaitingInCallers<'a> = &'a dyn Fn(&Service, Timestamp) -> f64;

/// After all requests of a tick: raises what is stalled in one service.
pub fn judge(
    entity: &Entity,
    service: &mut Service,
    config: &Stalled,
    now: Timestamp,
    waiting_in_callers: WaitingInCallers<'_>,
) {
    let in_flight_min = config.in_flight_min as f64;
    judge_service(entity, service, config, now);
    let goes_on = service.silent(now).is_some_and(|silence| silence <= GOES_ON);
    let mut flows = std::mem::take(&mut service.flows);
    for (series, flow) in &mut flows {
        flow.compare(service.arrived, now);
        if !goes_on {
            continue;
        }
        if let Some(standing) = &mut flow.standing {
            if now.since(flow.last_arrival) >= config.share_silent_for.0 {
                standing.see_bad();
            }
            continue;
        }
        let Some(missing) = flow.missing(config, now) else { continue };
        let since = flow.last_arrival + GOES_ON;
        let waiting = service.waiting(since) + waiting_in_callers(service, since);
        let proven = waiting >= in_flight_min || flow.ended_abruptly(series, missing, service, now);
        if proven {
            let symptom = flow_symptom(entity, series, flow, missing, waiting, now);
            flow.standing = Some(Standing::new(symptom));
        }
    }
    service.flows = flows;
}

fn judge_service(entity: &Entity, service: &mut Service, config: &Stalled, now: Timestamp) {
    let Some(last) = service.last_request else { return };
    let silence = now.since(last);
    if silence < config.silent_for.0 || service.rate.per_second() < USED_TO_COMPLETE {
        return;
    }
    // Only a reading taken well after the last completion tells of waiting rather than of working.
    let waiting = service.waiting(last + config.silent_for.0);
    if waiting < config.in_flight_min as f64 {
        return;
    }
    if let Some(standing) = &mut service.stalled {
        standing.see_bad();
        return;
    }
    let summary = format!(
        "{entity} completed no request for {} s while {waiting:.0} are waiting",
        silence.as_secs()
    );
    let symptom = Symptom {
        source: IN_FLIGHT.to_owned(),
        onset: service.last_request_end.min(now),
        measured: silence.as_secs_f64(),
        threshold: config.silent_for.0.as_secs_f64(),
        bad: waiting,
        total: waiting,
        summary,
        ..blank(entity, now)
    };
    service.stalled = Some(Standing::new(symptom));
}

fn flow_symptom(
    entity: &Entity,
    series: &SeriesKey,
    flow: &Flow,
    missing: f64,
    waiting: f64,
    now: Timestamp,
) -> Symptom {
    let silence = now.since(flow.last_arrival);
    let (source, what) = match series {
        SeriesKey::Edge { callee, .. } => {
            (format!("calls to {callee}"), format!("{entity} completed no call to {callee}"))
        }
        SeriesKey::Operation(operation) => (
            format!("operation {}", operation.name),
            format!("{entity} completed no {}", operation.name),
        ),
        SeriesKey::Service(other) | SeriesKey::Instance(other) => {
            (format!("requests of {other}"), format!("{other} completed nothing"))
        }
    };
    let waits = if waiting >= 1.0 { format!(", {waiting:.0} are waiting") } else { String::new() };
    Symptom {
        source,
        onset: flow.last_end.min(now),
        measured: silence.as_secs_f64(),
        threshold: LONGER_THAN_EVER * flow.longest_silence_seconds,
        bad: missing.round(),
        total: missing.round(),
        summary: format!(
            "{what} for {} s although the rest goes on; about {missing:.0} were to be \
             expected{waits}",
            silence.as_secs()
        ),
        ..blank(entity, now)
    }
}

/// A stalled symptom without its particulars.
fn blank(entity: &Entity, now: Timestamp) -> Symptom {
    Symptom {
        entity: entity.clone(),
        kind: SymptomKind::Stalled,
        source: String::new(),
        severity: Severity::Page,
        onset: now,
        detected: now,
        recovering_since: None,
        measured: 0.0,
        threshold: 0.0,
        unit: "seconds".to_owned(),
        bad: 0.0,
        total: 0.0,
        error_kinds: Vec::new(),
        exemplar: None,
        runbook_url: String::new(),
        summary: String::new(),
    }
}
