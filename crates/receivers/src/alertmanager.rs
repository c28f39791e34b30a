//! Alertmanager's webhook, version 4: what Prometheus' Alertmanager (and Grafana, and our own
//! notifications) post for a group of alerts.
//!
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>
//!
//! Read whole or refused whole, with the place that is wrong; fields that are not known are passed
//! over, as that document asks for. Bounded: of more than [`ALERTS_MAX`] alerts those that fire
//! come first and the rest is counted, long texts are cut. Nothing is judged here.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;
use model::alert::{AlertReport, AlertState, fingerprint};
use schemars::JsonSchema;
use serde::Deserialize;

/// Alerts taken of one message.
pub const ALERTS_MAX: usize = 1_000;
/// Labels of one alert.
pub const LABELS_MAX: usize = 64;
/// Bytes of a label's name or value; longer values are cut.
pub const LABEL_BYTES_MAX: usize = 512;
/// Bytes of a summary or an address; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 1_024;
const FINGERPRINT_BYTES_MAX: usize = 64;

/// What Alertmanager posts: alerts of one group.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AlertmanagerMessage")]
pub struct Message {
    /// `4`.
    pub version: String,
    /// Alerts of the group that were not sent (`max_alerts`).
    #[serde(default)]
    pub truncated_alerts: u64,
    pub alerts: Vec<Alert>,
}

/// One alert of a message.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AlertmanagerAlert")]
pub struct Alert {
    /// `firing` or `resolved`.
    pub status: String,
    /// `alertname` names it.
    pub labels: BTreeMap<String, String>,
    /// `summary` (else `message`, `description`) and `runbook_url` are shown.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339.
    pub starts_at: String,
    /// RFC 3339; `0001-01-01T00:00:00Z` while it fires.
    #[serde(default)]
    pub ends_at: String,
    #[serde(default, rename = "generatorURL")]
    pub generator_url: String,
    /// Hash of the labels; absent: one of our own.
    #[serde(default)]
    pub fingerprint: String,
}

/// What was read of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    pub reports: Vec<AlertReport>,
    /// Not sent, or too many to be taken.
    pub left_out: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the body is not a message of Alertmanager's webhook")]
    Json(#[from] serde_json::Error),
    #[error("version `{0}` of Alertmanager's webhook is not known here; `4` is")]
    Version(String),
    #[error("alerts[{index}].{field}: {message}")]
    Alert { index: usize, field: &'static str, message: String },
}

/// Reads a message that arrived at `at` from `told_by`.
pub fn parse(body: &[u8], at: Timestamp, told_by: &str) -> Result<Alerts, Error> {
    let message: Message = serde_json::from_slice(body)?;
    if message.version != "4" {
        return Err(Error::Version(cut(&message.version, 32)));
    }
    let mut reports = Vec::new();
    for (index, alert) in message.alerts.into_iter().enumerate() {
        let wrong = |(field, message)| Error::Alert { index, field, message };
        reports.push(report(alert, at, told_by).map_err(wrong)?);
    }
    // What hurts now is kept; else the order of the message.
    reports.sort_by_key(|report| report.state != AlertState::Firing);
    let over = reports.len().saturating_sub(ALERTS_MAX);
    reports.truncate(ALERTS_MAX);
    Ok(Alerts { reports, left_out: message.truncated_alerts.saturating_add(over as u64) })
}

type Wrong = (&'static str, String);

fn report(alert: Alert, at: Timestamp, told_by: &str) -> Result<AlertReport, Wrong> {
    if alert.labels.is_empty() {
        return Err(("labels", "an alert has at least one label".to_owned()));
    }
    if alert.labels.len() > LABELS_MAX {
        let message = format!("{} labels, at most {LABELS_MAX}", alert.labels.len());
        return Err(("labels", message));
    }
    let starts_at = moment(&alert.starts_at).map_err(|message| ("startsAt", message))?;
    let ends_at = match alert.ends_at.as_str() {
        "" => None,
        text => moment(text).map_err(|message| ("endsAt", message))?,
    };
    let state = match alert.status.as_str() {
        "firing" => AlertState::Firing,
        "resolved" => AlertState::Resolved(ends_at.unwrap_or(at)),
        other => {
            let other = cut(other, 32);
            return Err(("status", format!("`{other}` is neither `firing` nor `resolved`")));
        }
    };
    let fingerprint = match alert.fingerprint.as_str() {
        "" => fingerprint(&alert.labels),
        told => cut(told, FINGERPRINT_BYTES_MAX),
    };
    let texts = ["summary", "message", "description"];
    let told = texts.iter().filter_map(|name| alert.annotations.get(*name));
    let summary = told.map(|text| one_line(text)).find(|text| !text.is_empty());
    let runbook = ["runbook_url", "runbook"];
    let runbook_url = runbook.iter().find_map(|name| alert.annotations.get(*name));
    let label = |(name, value): (String, String)| {
        (cut(&name, LABEL_BYTES_MAX), cut(&value, LABEL_BYTES_MAX))
    };
    Ok(AlertReport {
        at,
        told_by: told_by.to_owned(),
        fingerprint,
        state,
        starts_at: starts_at.unwrap_or(at),
        labels: alert.labels.into_iter().map(label).collect(),
        summary: summary.unwrap_or_default(),
        runbook_url: runbook_url.map_or_else(String::new, |url| link(url)),
        generator_url: link(&alert.generator_url),
    })
}

/// RFC 3339 with any offset; `None` is Go's zero time.
fn moment(text: &str) -> Result<Option<Timestamp>, String> {
    if text.starts_with("0001-01-01T") {
        return Ok(None);
    }
    let wrong = || format!("`{}` is not a time in RFC 3339", cut(text, 48));
    if text.ends_with('Z') {
        return Timestamp::parse_rfc3339(text).map(Some).ok_or_else(wrong);
    }
    let at = text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at));
    let (local, offset) = at.map(|at| text.split_at(at)).ok_or_else(wrong)?;
    let local = Timestamp::parse_rfc3339(&format!("{local}Z")).ok_or_else(wrong)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = offset.get(1..).and_then(|rest| rest.split_once(':'));
    let (hours, minutes) = parts.filter(|(h, m)| digits(h) && digits(m)).ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let offset_by = Duration::from_secs(number(hours)? * 3_600 + number(minutes)? * 60);
    match offset.as_bytes().first() {
        Some(b'+') => Ok(Some(local - offset_by)),
        Some(b'-') => Ok(Some(local + offset_by)),
        _ => Err(wrong()),
    }
}

/// Only what a browser may follow: a page that shows it makes a link of it.
fn link(url: &str) -> String {
    let url = url.trim();
    let is_web = ["http://", "https://"].iter().any(|start| url.starts_with(start));
    let fits = url.len() <= TEXT_BYTES_MAX && !url.chars().any(char::is_control);
    if is_web && fits { url.to_owned() } else { String::new() }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = cut_at(text, 2 * TEXT_BYTES_MAX).split_whitespace().collect();
    let printable = words.join(" ").chars().filter(|c| !c.is_control()).collect::<String>();
    cut(&printable, TEXT_BYTES_MAX)
}

fn cut(text: &str, bytes: usize) -> String {
    cut_at(text, bytes).to_owned()
}

fn cut_at(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn read(body: &str) -> Result<Alerts, String> {
        parse(body.as_bytes(), AT, "am").map_err(|error| error.to_string())
    }

    fn message(alert: &str) -> String {
        format!(r#"{{"version": "4", "alerts": [{alert}]}}"#)
    }

    #[test]
    fn reads_what_alertmanager_documents() {
        let read = read(include_str!("alertmanager/group.json")).unwrap();
        assert_eq!(read.left_out, 3);
        let [firing, resolved] = read.reports.as_slice() else { panic!("{read:?}") };
        assert_eq!((firing.name(), firing.state), ("HighErrorRate", AlertState::Firing));
        assert_eq!(firing.fingerprint, "c6eadffa33fcdf37");
        assert_eq!(firing.summary, "7 % of requests to orders fail");
        assert_eq!(firing.runbook_url, "https://runbooks.example/HighErrorRate");
        let began = Timestamp::parse_rfc3339("2023-11-14T21:13:20.5Z").unwrap();
        assert_eq!(firing.starts_at, began, "an offset is undone");
        let ended = Timestamp::parse_rfc3339("2023-11-14T22:00:00Z").unwrap();
        assert_eq!(resolved.state, AlertState::Resolved(ended));
        assert_eq!(resolved.fingerprint.len(), 16, "one of our own");
        assert_eq!(resolved.runbook_url, "", "no page may run what an alert says");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let alert = |status: &str, starts_at: &str| {
            let labels = r#"{"alertname": "A"}"#;
            let alert = format!(
                r#"{{"status": "{status}", "labels": {labels}, "startsAt": "{starts_at}"}}"#
            );
            read(&message(&alert)).unwrap_err()
        };
        let time = "2023-11-14T22:00:00Z";
        assert_eq!(
            alert("pending", time),
            "alerts[0].status: `pending` is neither `firing` nor `resolved`"
        );
        for wrong in ["yesterday", "", "2023-11-14T22:00:00", "2023-11-14T22:00:00+é1"] {
            let error = alert("firing", wrong);
            assert!(error.starts_with("alerts[0].startsAt: "), "{error}");
        }
        let none = r#"{"status": "firing", "labels": {}, "startsAt": "2023-11-14T22:00:00Z"}"#;
        assert_eq!(
            read(&message(none)).unwrap_err(),
            "alerts[0].labels: an alert has at least one label"
        );
        assert!(read(r#"{"version": "3", "alerts": []}"#).unwrap_err().contains("version `3`"));
        assert!(read("[]").is_err() && read("").is_err());
    }

    #[test]
    fn of_too_many_alerts_those_that_fire_are_taken_and_the_rest_is_counted() {
        let alert = |index: usize| {
            let status = if index < 10 { "resolved" } else { "firing" };
            let labels = format!(r#"{{"alertname": "A", "n": "{index}"}}"#);
            let times = r#""startsAt": "2023-11-14T22:00:00Z""#;
            format!(r#"{{"status": "{status}", "labels": {labels}, {times}}}"#)
        };
        let alerts: Vec<String> = (0..ALERTS_MAX + 5).map(alert).collect();
        let read = read(&message(&alerts.join(","))).unwrap();
        assert_eq!((read.reports.len(), read.left_out), (ALERTS_MAX, 5));
        let resolved = read.reports.iter().filter(|one| one.state != AlertState::Firing);
        assert_eq!(resolved.count(), 5);
    }
}
