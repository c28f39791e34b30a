//! Whose trouble an alert tells of, and how grave that is.
//!
//! In this order: a rule of the configuration; a label that names a service which is known; a label
//! that names a host; a label that names a service which no telemetry tells of. What nothing names
//! is trouble of the system.

use std::collections::BTreeMap;

use model::{AlertReport, Entity, EntityKind, Scope, Severity};

use crate::config::{AlertRule, Alerts};

/// What an alert means here.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    pub entity: Entity,
    pub severity: Severity,
    /// Which of several it speaks of; empty where no label tells.
    pub instance: String,
    /// The entity is one that telemetry tells of, or that a rule names.
    pub is_mapped: bool,
}

/// What is known of services when an alert is told.
pub trait Known {
    /// Scopes in which a service of this name is known.
    fn scopes(&self, service: &str) -> Vec<Scope>;
    fn has_environment(&self, environment: &str) -> bool;
}

impl<T> Known for BTreeMap<Entity, T> {
    fn scopes(&self, service: &str) -> Vec<Scope> {
        let named = self.keys().filter(|entity| entity.name == service);
        named.map(|entity| entity.scope.clone()).collect()
    }

    fn has_environment(&self, environment: &str) -> bool {
        self.keys().any(|entity| entity.scope.environment == environment)
    }
}

/// `None`: it is no trouble at all.
pub fn meaning(report: &AlertReport, config: &Alerts, known: &dyn Known) -> Option<Meaning> {
    let rule = config.rules.iter().find(|rule| matches(rule, report));
    let told = first(report, &config.labels.severity).unwrap_or_default();
    let is = |list: &[String]| list.iter().any(|word| word.eq_ignore_ascii_case(told));
    let severity = rule.and_then(|rule| rule.severity);
    let is_named = |name: &String| name == report.name();
    let is_ignored = match rule {
        Some(rule) if rule.ignore => true,
        Some(_) => false,
        None => config.ignore.iter().any(is_named) || is(&config.ignore_severities),
    };
    if is_ignored {
        return None;
    }
    let severity = severity.unwrap_or(match is(&config.page) {
        true => Severity::Page,
        false => Severity::Ticket,
    });
    let instance = first(report, &config.labels.instance).unwrap_or_default().to_owned();
    let (entity, is_mapped) = entity(report, rule, config, known);
    Some(Meaning { entity, severity, instance, is_mapped })
}

fn matches(rule: &AlertRule, report: &AlertReport) -> bool {
    rule.matches.iter().all(|(name, value)| report.labels.get(name) == Some(value))
}

fn first<'a>(report: &'a AlertReport, labels: &'a [String]) -> Option<&'a str> {
    all(report, labels).next()
}

fn all<'a>(report: &'a AlertReport, labels: &'a [String]) -> impl Iterator<Item = &'a str> {
    let values = labels.iter().filter_map(|label| report.labels.get(label));
    values.map(String::as_str).filter(|value| !value.is_empty())
}

fn entity(
    report: &AlertReport,
    rule: Option<&AlertRule>,
    config: &Alerts,
    known: &dyn Known,
) -> (Entity, bool) {
    let labels = &config.labels;
    let said = rule.and_then(|rule| rule.environment.as_deref());
    let said = said.or_else(|| first(report, &labels.environment));
    let namespace = first(report, &labels.namespace).filter(|name| known.has_environment(name));
    let environment = said.or(namespace);
    let scope = environment.map_or_else(Scope::default, |name| Scope::new("default", name));
    if let Some(service) = rule.and_then(|rule| rule.service.as_deref()) {
        let scope = scope_of(service, environment, known).unwrap_or(scope);
        return (Entity::service(&scope, service), true);
    }
    let candidates = all(report, &labels.service);
    let candidates: Vec<&str> = candidates.flat_map(|name| [name, last_part(name)]).collect();
    for name in &candidates {
        if let Some(scope) = scope_of(name, environment, known) {
            return (Entity::service(&scope, name), true);
        }
    }
    if let Some(host) = first(report, &labels.host) {
        return (Entity::new(&scope, EntityKind::Host, without_port(host)), false);
    }
    match candidates.first() {
        Some(name) => (Entity::service(&scope, last_part(name)), false),
        None => (Entity::system(&scope), false),
    }
}

/// Where a service of this name is known: in the environment that was said, else in the only one,
/// else in the default one. Trouble is not put into one of several by guess.
fn scope_of(service: &str, environment: Option<&str>, known: &dyn Known) -> Option<Scope> {
    let scopes = known.scopes(service);
    match environment {
        Some(name) => scopes.into_iter().find(|scope| scope.environment == name),
        None if scopes.len() == 1 => scopes.into_iter().next(),
        None => scopes.into_iter().find(|scope| *scope == Scope::default()),
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().filter(|part| !part.is_empty()).unwrap_or(name)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    }
}
