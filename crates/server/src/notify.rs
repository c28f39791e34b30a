//! Notifications: one POST per receiver and incident event, in the shape of Alertmanager's webhook,
//! version 4, so that whatever takes those takes ours.
//!
//! What is owed stands in the journal, written with the event; it is tried with growing pauses and
//! given up after a day. Receivers may get a notification twice, never not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use engine::{Event, EventKind, IncidentReason};
use model::{Incident, IncidentState, Symptom};
use serde::Serialize;
use tokio::sync::Notify;

use crate::config::Receiver;
use crate::journal::{Journal, Owed};
use crate::probes;

const ATTEMPTS_MAX: u32 = 100;
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(900);
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// Which events people are notified of.
pub fn notifies(event: &Event) -> bool {
    match &event.kind {
        EventKind::Incident { reason, .. } => *reason != IncidentReason::Updated,
        _ => false,
    }
}

/// Delivers what is owed until it is aborted.
pub async fn run(
    receivers: Vec<Receiver>,
    journal: Arc<Journal>,
    rung: Arc<Notify>,
    client: reqwest::Client,
    external_url: String,
) {
    let mut pause = PAUSE_MIN;
    loop {
        // One after another, and nothing after a failure: a receiver sees events in their order.
        let mut failing: BTreeSet<String> = BTreeSet::new();
        let owed = journal.owed().unwrap_or_else(|error| {
            tracing::error!("cannot read what is owed: {:#}", anyhow::Error::new(error));
            failing.extend(receivers.iter().map(|receiver| receiver.name.clone()));
            Vec::new()
        });
        for owed in owed {
            if failing.contains(&owed.receiver) {
                continue;
            }
            let receiver = owed.receiver.clone();
            if !deliver(&receivers, &journal, &client, &external_url, owed).await {
                failing.insert(receiver);
            }
        }
        let wait = if failing.is_empty() { PAUSE_MAX } else { pause };
        pause = if failing.is_empty() { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
        let _ = tokio::time::timeout(wait, rung.notified()).await;
    }
}

/// Tries once; true when nothing more is owed of it.
async fn deliver(
    receivers: &[Receiver],
    journal: &Journal,
    client: &reqwest::Client,
    external_url: &str,
    owed: Owed,
) -> bool {
    let receiver = receivers.iter().find(|receiver| receiver.name == owed.receiver);
    let event = match journal.event(owed.event_seq) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!("cannot read an event: {:#}", anyhow::Error::new(error));
            return false;
        }
    };
    let settled = match (receiver, event.map(|event| event.kind)) {
        (Some(receiver), Some(EventKind::Incident { reason, incident })) => {
            let message = message(&receiver.name, reason, &incident, external_url);
            match post(client, receiver, &message).await {
                Ok(()) => Some("delivered".to_owned()),
                Err(error) if owed.attempts + 1 >= ATTEMPTS_MAX => {
                    tracing::error!(receiver = %owed.receiver, %error, "notification is given up");
                    Some(format!("given up: {error}"))
                }
                Err(error) => {
                    tracing::warn!(receiver = %owed.receiver, %error, "notification failed");
                    None
                }
            }
        }
        (None, _) => Some("no such receiver is configured any more".to_owned()),
        (_, _) => Some("not an incident".to_owned()),
    };
    if let Err(error) = journal.attempted(&owed, settled.as_deref()) {
        tracing::error!("cannot note a delivery: {:#}", anyhow::Error::new(error));
        return false;
    }
    settled.is_some()
}

async fn post(
    client: &reqwest::Client,
    receiver: &Receiver,
    message: &Message,
) -> Result<(), String> {
    let mut request = client.post(&receiver.webhook.url).timeout(POST_TIMEOUT).json(message);
    if let Some(token) = &receiver.webhook.token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.map_err(probes::reason)?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("answered {status}")),
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
    let alert = |index: usize, symptom: &Symptom| alert(incident, index, symptom, &common, &url);
    let resolved = incident.state == IncidentState::Resolved;
    Message {
        version: "4",
        group_key: format!("{{}}:{{incident=\"{}\"}}", incident.id),
        truncated_alerts: 0,
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
        alerts: incident.symptoms.iter().enumerate().map(|(i, s)| alert(i, s)).collect(),
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
        ("service", symptom.entity.owner().map_or(String::new(), |owner| owner.name)),
        ("entity", symptom.entity.to_string()),
        ("slo", symptom.source.clone()),
        ("severity", format!("{:?}", symptom.severity).to_lowercase()),
    ]));
    let ended = match (firing, incident.resolved.or(incident.mitigated)) {
        (false, Some(at)) => at.to_string(),
        _ => NOT_ENDED.to_owned(),
    };
    Alert {
        status: if firing { FIRING } else { RESOLVED },
        labels: all,
        annotations: labels([("summary", symptom.summary.clone())]),
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
