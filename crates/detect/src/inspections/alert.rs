//! Alerts of other systems: one that fires is a symptom of what it speaks of.
//!
//! Alerts of one name about one entity are one symptom, however many fire. It begins with the first
//! of them and ends once all were said to be over for `clear_after`, so that flapping is no news;
//! or once none was told of for `expire_after`. That is the one exception to D-1: who does not
//! repeat an alert has, by the word of that system, nothing to say any more.
//!
//! The same alert told again changes nothing but when it was told last; an alert that was said to
//! be over does not fire again by a message of before. Bounded by `ALERTS_MAX` alerts: what is over
//! gives way first, then what comes is left out and counted.

mod mapping;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::symptom::{Severity, Symptom, SymptomKey, SymptomKind};
use model::{AlertReport, AlertState, Entity, Timestamp};
use serde::{Deserialize, Serialize};

use super::Spec;
use crate::config::Alerts as Config;
pub use mapping::{Known, Meaning, meaning};

pub const SPEC: Spec = Spec {
    id: "alert",
    title: "Alert of another system",
    unit: "alerts",
    default: "1 alert that fires",
    documentation: "An alert that Alertmanager, or what speaks like it, tells of at \
        `POST /api/v1/alerts/alertmanager`. Severities of `detect.alerts.page` page, others make \
        tickets; what an alert is about is read off its labels.",
};

/// Alerts remembered; 1 KB each at most.
pub const ALERTS_MAX: usize = 2_000;
/// What is over is remembered for this long, so that a message of before is known as such.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Instances named in a summary.
const NAMED_MAX: usize = 3;

/// All alerts that were told of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// By fingerprint.
    told: BTreeMap<String, Told>,
    standing: BTreeMap<SymptomKey, Symptom>,
    left_out: u64,
}

/// One alert, as it was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub name: String,
    pub entity: Entity,
    /// The entity is one that telemetry tells of, or that a rule names.
    pub is_mapped: bool,
    pub severity: Severity,
    pub instance: String,
    pub starts_at: Timestamp,
    pub last_told: Timestamp,
    pub told_by: String,
    /// Over since then.
    pub ended: Option<Timestamp>,
    pub summary: String,
    pub runbook_url: String,
    pub generator_url: String,
}

impl Told {
    fn key(&self) -> SymptomKey {
        let (entity, source) = (self.entity.clone(), self.name.clone());
        SymptomKey { entity, kind: SymptomKind::Alert, source }
    }
}

impl Alerts {
    /// Takes one report; `known` tells which services there are.
    pub fn take(&mut self, report: &AlertReport, config: &Config, known: &dyn Known) {
        let Some(meaning) = meaning(report, config, known) else {
            // A rule may have been added since it began.
            self.told.remove(&report.fingerprint);
            return;
        };
        let before = self.told.get(&report.fingerprint);
        let told = told(report, meaning);
        // Who tells late of what is over by now, or of the same end again, tells nothing new.
        let ended_before = before.and_then(|before| before.ended);
        if ended_before.is_some_and(|ended| told.starts_at <= ended) {
            return;
        }
        if before.is_none() && !self.make_room() {
            self.left_out += 1;
            return;
        }
        self.told.insert(report.fingerprint.clone(), told);
    }

    /// What is over, and what nobody told of for too long, ends.
    pub fn conclude(
        &mut self,
        config: &Config,
        clear_after: Duration,
        now: Timestamp,
    ) -> Vec<SymptomKey> {
        let expired = |told: &Told| match told.ended {
            None => now.since(told.last_told) > config.expire_after.0,
            Some(ended) => now.since(ended) > REMEMBERED.max(clear_after),
        };
        self.told.retain(|_, told| !expired(told));
        let mut groups: BTreeMap<SymptomKey, Vec<&Told>> = BTreeMap::new();
        for told in self.told.values() {
            groups.entry(told.key()).or_default().push(told);
        }
        let mut standing = BTreeMap::new();
        for (key, group) in groups {
            let before = self.standing.get(&key);
            if let Some(symptom) = symptom(&key, &group, before, clear_after, now) {
                standing.insert(key, symptom);
            }
        }
        let before = std::mem::replace(&mut self.standing, standing);
        before.into_keys().filter(|key| !self.standing.contains_key(key)).collect()
    }

    /// Nobody listened until `now`: who could not tell has not fallen silent.
    pub fn resume(&mut self, now: Timestamp) {
        self.told.values_mut().for_each(|told| told.last_told = now);
    }

    /// Ends all.
    pub fn end(&mut self) -> Vec<SymptomKey> {
        self.told.clear();
        std::mem::take(&mut self.standing).into_keys().collect()
    }

    pub fn firing(&self) -> impl Iterator<Item = &Symptom> {
        self.standing.values()
    }

    /// All that are remembered, by fingerprint.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Told)> {
        self.told.iter()
    }

    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn make_room(&mut self) -> bool {
        if self.told.len() < ALERTS_MAX {
            return true;
        }
        let over = self.told.iter().filter_map(|(print, told)| Some((told.ended?, print)));
        let oldest = over.min().map(|(_, print)| print.clone());
        oldest.is_some_and(|print| self.told.remove(&print).is_some())
    }
}

fn told(report: &AlertReport, meaning: Meaning) -> Told {
    let name = match report.name() {
        "" => "without a name",
        name => name,
    };
    Told {
        name: name.to_owned(),
        entity: meaning.entity,
        is_mapped: meaning.is_mapped,
        severity: meaning.severity,
        instance: meaning.instance,
        // Clocks differ; nothing begins later than it is told.
        starts_at: report.starts_at.min(report.at),
        last_told: report.at,
        told_by: report.told_by.clone(),
        ended: match report.state {
            AlertState::Firing => None,
            AlertState::Resolved(at) => Some(at.min(report.at)),
        },
        summary: report.summary.clone(),
        runbook_url: report.runbook_url.clone(),
        generator_url: report.generator_url.clone(),
    }
}

/// The symptom of alerts of one name about one entity, while there is one.
fn symptom(
    key: &SymptomKey,
    group: &[&Told],
    before: Option<&Symptom>,
    clear_after: Duration,
    now: Timestamp,
) -> Option<Symptom> {
    let firing: Vec<&Told> = group.iter().copied().filter(|told| told.ended.is_none()).collect();
    if firing.is_empty() {
        // Held for a while: alerts flap.
        let before = before?;
        // By our own clock, so that a late word ends nothing before it was heard.
        let over = group.iter().map(|told| told.last_told).max()?;
        let since = before.recovering_since.unwrap_or(over).max(over);
        let is_over = now.since(since) >= clear_after;
        let recovering = Symptom { recovering_since: Some(since), ..before.clone() };
        return (!is_over).then_some(recovering);
    }
    let severity = firing.iter().map(|told| told.severity).max()?;
    let first = firing.iter().copied().min_by_key(|told| (told.starts_at, &told.instance))?;
    let onset = before.map_or(first.starts_at, |before| before.onset.min(first.starts_at));
    let raised = before.filter(|before| before.severity >= severity);
    let count = firing.len() as f64;
    let with_runbook = firing.iter().map(|told| &told.runbook_url).find(|url| !url.is_empty());
    Some(Symptom {
        entity: key.entity.clone(),
        kind: SymptomKind::Alert,
        source: key.source.clone(),
        severity,
        onset,
        detected: raised.map_or(now, |before| before.detected),
        recovering_since: None,
        measured: count,
        threshold: 1.0,
        unit: "alerts".to_owned(),
        bad: 0.0,
        total: 0.0,
        error_kinds: Vec::new(),
        exemplar: None,
        runbook_url: with_runbook.cloned().unwrap_or_default(),
        summary: summary(key, &firing, first),
    })
}

/// `alert HighErrorRate of orders: 7 % of requests fail (orders-1, orders-2), told by prometheus`
fn summary(key: &SymptomKey, firing: &[&Told], first: &Told) -> String {
    let mut text = format!("alert {} of {}", key.source, key.entity);
    if !first.summary.is_empty() {
        text.push_str(": ");
        text.push_str(&first.summary);
    }
    let instances: BTreeSet<&str> = firing.iter().map(|told| told.instance.as_str()).collect();
    let named: Vec<&str> = instances.iter().copied().filter(|name| !name.is_empty()).collect();
    if !named.is_empty() {
        let more = named.len().saturating_sub(NAMED_MAX);
        let named = named[..named.len().min(NAMED_MAX)].join(", ");
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push_str(&format!(" ({named}{rest})"));
    }
    text.push_str(&format!(", told by {}", first.told_by));
    if !first.is_mapped {
        text.push_str(&format!("; no telemetry tells of {}", key.entity));
    }
    text
}

#[cfg(test)]
mod tests;
