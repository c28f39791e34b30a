//! Which objectives an entity has: those configured for it, and defaults of the kinds it has none
//! of.

use model::entity::{Entity, EntityKind};
use model::human::HumanDuration;
use model::symptom::SymptomKind;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Slo, default_window};

pub const DEFAULT_AVAILABILITY: &str = "default-availability";
pub const DEFAULT_LATENCY: &str = "default-latency";

/// What is promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Name of the SLO.
    pub source: String,
    pub kind: SymptomKind,
    /// 0–1.
    pub objective: f64,
    /// Of latency objectives; absent while it is learned.
    pub threshold_seconds: Option<f64>,
    /// Where the limit was learned: requests slower than this are a page, not a ticket.
    pub page_seconds: Option<f64>,
    pub learned: bool,
    /// Period of the error budget.
    pub window: HumanDuration,
}

impl Definition {
    fn configured(slo: &Slo) -> Self {
        let threshold_seconds = slo.latency.as_ref().map(|limit| limit.threshold.0.as_secs_f64());
        let kind = match threshold_seconds {
            Some(_) => SymptomKind::LatencyBurn,
            None => SymptomKind::AvailabilityBurn,
        };
        let objective = ratio(slo.objective);
        Definition {
            source: slo.name.clone(),
            kind,
            objective,
            threshold_seconds,
            page_seconds: None,
            learned: false,
            window: slo.window,
        }
    }

    fn default(source: &str, kind: SymptomKind, percent: f64) -> Self {
        Definition {
            source: source.to_owned(),
            kind,
            objective: ratio(percent),
            threshold_seconds: None,
            page_seconds: None,
            learned: kind == SymptomKind::LatencyBurn,
            window: default_window(),
        }
    }

    /// True when what was counted under the other still answers this one.
    pub fn same_promise(&self, other: &Definition) -> bool {
        self.kind == other.kind
            && self.learned == other.learned
            && self.objective == other.objective
            && self.window == other.window
            && (self.learned || self.threshold_seconds == other.threshold_seconds)
    }
}

/// A share from percent, rounded so that 99.9 % allows exactly what people expect of it.
fn ratio(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e8
}

/// Objectives of a service or operation with traffic, configured ones first.
pub fn definitions_for(entity: &Entity, config: &Config) -> Vec<Definition> {
    let (service, operation) = match entity.kind {
        EntityKind::Service => (&entity.name, None),
        EntityKind::Operation => (&entity.part_of, Some(&entity.name)),
        _ => return Vec::new(),
    };
    let applies = |slo: &&Slo| {
        let environment = slo.environment.as_ref();
        slo.service == *service
            && slo.operation.as_ref() == operation
            && environment.is_none_or(|name| *name == entity.scope.environment)
    };
    let mut definitions: Vec<Definition> =
        config.slos.iter().filter(applies).map(Definition::configured).collect();
    if operation.is_some() || !config.default_slo.enabled {
        return definitions;
    }
    let missing = |definitions: &[Definition], kind| definitions.iter().all(|d| d.kind != kind);
    let default = &config.default_slo;
    if missing(&definitions, SymptomKind::AvailabilityBurn) {
        let kind = SymptomKind::AvailabilityBurn;
        definitions.push(Definition::default(DEFAULT_AVAILABILITY, kind, default.objective));
    }
    if default.latency.enabled && missing(&definitions, SymptomKind::LatencyBurn) {
        let kind = SymptomKind::LatencyBurn;
        definitions.push(Definition::default(DEFAULT_LATENCY, kind, default.latency.objective));
    }
    definitions
}
