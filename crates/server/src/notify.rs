//! Notifications: one POST per receiver and incident event, in the shape of Alertmanager's webhook,
//! version 4, so that whatever takes those takes ours.
//!
//! What is owed stands in the journal, written with the event; it is tried with growing pauses and
//! given up after a day, or when the receiver says that it will never take it. Receivers may get a
//! notification twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{Event, EventKind, IncidentReason};
use model::{Incident, IncidentState, Symptom};
use reqwest::StatusCode;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Receiver;
use crate::journal::{self, Journal, Owed};
use crate::{clock, probes};

/// What was owed for this long, and fails again, is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// While the journal cannot be used.
const JOURNAL_AGAIN: Duration = Duration::from_secs(5);
/// The rest is counted in `truncatedAlerts`.
const ALERTS_MAX: usize = 100;

/// Which events people are notified of.
pub fn notifies(event: &Event) -> bool {
    match &event.kind {
        EventKind::Incident { reason, .. } => *reason != IncidentReason::Updated,
        _ => false,
    }
}

/// Delivers what is owed until the set is dropped. Each receiver has a task of its own, so that one
/// that is away holds no other up. `rung` changes when something new may be owed.
pub fn spawn(
    receivers: &[Receiver],
    journal: &Arc<Journal>,
    rung: &watch::Receiver<u64>,
    client: &reqwest::Client,
    external_url: &str,
) -> Result<JoinSet<()>, journal::Error> {
    let names: Vec<String> = receivers.iter().map(|receiver| receiver.name.clone()).collect();
    let strangers = journal.settle_strangers(&names)?;
    if strangers > 0 {
        tracing::warn!("{strangers} notifications were owed to receivers no longer configured");
    }
    let mut tasks = JoinSet::new();
    for receiver in receivers {
        let courier = Courier {
            receiver: receiver.clone(),
            journal: journal.clone(),
            client: client.clone(),
            external_url: external_url.to_owned(),
        };
        tasks.spawn(courier.run(rung.clone()));
    }
    Ok(tasks)
}

/// Brings one receiver what it is owed.
struct Courier {
    receiver: Receiver,
    journal: Arc<Journal>,
    client: reqwest::Client,
    external_url: String,
}

/// How a try went.
enum Tried {
    Delivered,
    /// No repetition would change it.
    Refused(String),
    Failed(String),
}

impl Courier {
    async fn run(self, mut rung: watch::Receiver<u64>) {
        loop {
            rung.mark_unchanged();
            let wait = match self.round().await {
                Ok(wait) => wait,
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    tracing::error!(receiver = %self.receiver.name, "notifications: {error:#}");
                    // A ring changes nothing about the journal.
                    tokio::time::sleep(JOURNAL_AGAIN).await;
                    continue;
                }
            };
            if let Ok(Err(_)) = tokio::time::timeout(wait, rung.changed()).await {
                return;
            }
        }
    }

    /// Tries all that is due; returns how long nothing will be.
    async fn round(&self) -> Result<Duration, journal::Error> {
        let name = self.receiver.name.clone();
        loop {
            let now = clock::now();
            let (journal, receiver) = (self.journal.clone(), name.clone());
            let due = off_the_loop(move || match journal.due(&receiver, now, PAUSE_MAX)? {
                Some(owed) => Ok(Ok((journal.event(owed.event_seq), owed))),
                None => Ok(Err(journal.next_try(&receiver)?)),
            });
            match due.await? {
                Ok((event, owed)) => self.deliver(event, owed).await?,
                Err(None) => return Ok(PAUSE_MAX),
                Err(Some(at)) => return Ok(at.since(now).clamp(PAUSE_MIN / 10, PAUSE_MAX)),
            }
        }
    }

    async fn deliver(
        &self,
        event: Result<Option<Event>, journal::Error>,
        owed: Owed,
    ) -> Result<(), journal::Error> {
        let tried = match event {
            Ok(Some(event)) => self.tell(event.kind).await,
            Ok(None) => Tried::Refused("the event is gone".to_owned()),
            Err(error @ journal::Error::Json(_)) => Tried::Refused(error.to_string()),
            Err(error) => return Err(error),
        };
        let now = clock::now();
        let (receiver, event) = (&self.receiver.name, owed.event_seq);
        let settled = match tried {
            Tried::Delivered => Some("delivered".to_owned()),
            Tried::Refused(why) => {
                tracing::error!(receiver, event, "notification is given up: {why}");
                Some(format!("given up: {why}"))
            }
            Tried::Failed(why) if now.since(owed.since) >= GIVEN_UP_AFTER => {
                tracing::error!(receiver, event, "notification is given up after a day: {why}");
                Some(format!("given up after a day: {why}"))
            }
            Tried::Failed(why) => {
                tracing::warn!(receiver, event, "notification failed: {why}");
                None
            }
        };
        let journal = self.journal.clone();
        off_the_loop(move || match settled {
            Some(how) => journal.settle(&owed, &how),
            None => journal.try_again(&owed, now + pause(owed.attempts)),
        })
        .await
    }

    async fn tell(&self, kind: EventKind) -> Tried {
        let EventKind::Incident { reason, incident } = kind else {
            return Tried::Refused("the event is not of an incident".to_owned());
        };
        let message = message(&self.receiver.name, reason, &incident, &self.external_url);
        let webhook = &self.receiver.webhook;
        let mut request = self.client.post(&webhook.url).timeout(POST_TIMEOUT).json(&message);
        if let Some(token) = &webhook.token {
            request = request.bearer_auth(token);
        }
        match request.send().await {
            Ok(response) => judge(response.status()),
            Err(error) => Tried::Failed(probes::reason(error)),
        }
    }
}

fn judge(status: StatusCode) -> Tried {
    let why = format!("answered {status}");
    match status.as_u16() {
        200..300 => Tried::Delivered,
        400 | 401 | 403 | 404 | 405 | 410 | 413 | 415 | 422 => Tried::Refused(why),
        _ => Tried::Failed(why),
    }
}

/// Before the next try, after this many before the one that just failed.
fn pause(attempts: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << attempts.min(16)).min(PAUSE_MAX)
}

async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, journal::Error> + Send + 'static,
) -> Result<T, journal::Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime ends: so does this task, here.
        Err(_) => std::future::pending().await,
    }
}

/// <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
    status: &'static str,
    receiver: String,
    group_labels: BTreeMap<String, String>,
    common_labels: BTreeMap<String, String>,
    common_annotations: BTreeMap<String, String>,
    #[serde(rename = "externalURL")]
    external_url: String,
    /// Why this comes now; an addition of newer Alertmanagers, with our own words.
    #[serde(rename = "notification_reason")]
    notification_reason: &'static str,
    alerts: Vec<Alert>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: &'static str,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

const FIRING: &str = "firing";
const RESOLVED: &str = "resolved";
/// Alertmanager's zero time: not ended.
const NOT_ENDED: &str = "0001-01-01T00:00:00Z";

fn message(
    receiver: &str,
    reason: IncidentReason,
    incident: &Incident,
    external_url: &str,
) -> Message {
    let url = format!("{external_url}/api/v1/incidents/{}", incident.id);
    let common = labels([
        ("incident", incident.id.to_string()),
        ("environment", incident.scope.environment.clone()),
        ("tenant", incident.scope.tenant.clone()),
    ]);
    let mut annotations = labels([
        ("summary", incident.title.clone()),
        ("state", incident.state.as_str().to_owned()),
    ]);
    if let Some(cause) = incident.causes.first() {
        annotations.insert("cause".to_owned(), cause.summary.clone());
        annotations.insert("cause_kind".to_owned(), cause.kind.as_str().to_owned());
        annotations.insert("confidence".to_owned(), format!("{:.2}", cause.confidence));
    }
    if !incident.needs_human.is_empty() {
        annotations.insert("needs_human".to_owned(), incident.needs_human.clone());
    }
    let alert = |index: &usize| alert(incident, *index, &incident.symptoms[*index], &common, &url);
    let mut told: Vec<usize> = (0..incident.symptoms.len()).collect();
    // What hurts now is told of first.
    told.sort_by_key(|index| !incident.firing.contains(&(*index as u32)));
    let truncated = told.len().saturating_sub(ALERTS_MAX);
    told.truncate(ALERTS_MAX);
    let resolved = incident.state == IncidentState::Resolved;
    Message {
        version: "4",
        group_key: format!("{{}}:{{incident=\"{}\"}}", incident.id),
        truncated_alerts: truncated as u64,
        status: if resolved { RESOLVED } else { FIRING },
        receiver: receiver.to_owned(),
        group_labels: labels([("incident", incident.id.to_string())]),
        common_labels: common.clone(),
        common_annotations: annotations,
        external_url: external_url.to_owned(),
        notification_reason: match reason {
            IncidentReason::Opened => "opened",
            IncidentReason::Changed => "changed",
            IncidentReason::NeedsHuman => "needs_human",
            IncidentReason::Resolved => "resolved",
            IncidentReason::Updated => "updated",
        },
        alerts: told.iter().map(alert).collect(),
    }
}

fn alert(
    incident: &Incident,
    index: usize,
    symptom: &Symptom,
    common: &BTreeMap<String, String>,
    url: &str,
) -> Alert {
    let firing = incident.firing.contains(&(index as u32));
    let mut all = common.clone();
    all.extend(labels([
        ("alertname", symptom.kind.as_str().to_owned()),
        ("service", symptom.entity.owner().map_or(String::new(), |owner| owner.name.clone())),
        ("entity", symptom.entity.to_string()),
        ("slo", symptom.source.clone()),
        ("severity", format!("{:?}", symptom.severity).to_lowercase()),
    ]));
    let ended = match (firing, incident.resolved.or(incident.mitigated)) {
        (false, Some(at)) => at.to_string(),
        _ => NOT_ENDED.to_owned(),
    };
    let mut annotations = labels([("summary", symptom.summary.clone())]);
    if !symptom.runbook_url.is_empty() {
        annotations.insert("runbook_url".to_owned(), symptom.runbook_url.clone());
    }
    Alert {
        status: if firing { FIRING } else { RESOLVED },
        labels: all,
        annotations,
        starts_at: symptom.onset.to_string(),
        ends_at: ended,
        generator_url: url.to_owned(),
        fingerprint: format!("{:016x}", fingerprint(&symptom.entity.key(), symptom)),
    }
}

fn labels<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// FNV-1a over what identifies a symptom: stable across restarts.
fn fingerprint(entity: &str, symptom: &Symptom) -> u64 {
    let text = format!("{entity}|{}|{}", symptom.kind.as_str(), symptom.source);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_will_never_take_is_not_repeated() {
        for status in [400, 401, 403, 404, 410, 413] {
            let judged = judge(StatusCode::from_u16(status).unwrap());
            assert!(matches!(judged, Tried::Refused(_)), "{status}");
        }
        for status in [302, 408, 429, 500, 502, 503] {
            let judged = judge(StatusCode::from_u16(status).unwrap());
            assert!(matches!(judged, Tried::Failed(_)), "{status}");
        }
        assert!(matches!(judge(StatusCode::NO_CONTENT), Tried::Delivered));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(pause(0), PAUSE_MIN);
        assert_eq!(pause(3), 8 * PAUSE_MIN);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }
}
