//! Whose telemetry it is: scope, service, instance, version, process, read from a resource.
//!
//! Service: `service.name` as it is (also `unknown_service:*`: hiding it would hide its trouble),
//! prefixed by its namespace only where configured. Instance: the first that is present of
//! `service.instance.id`, `host.name:process.pid`, `host.name`, `container.id`, `k8s.pod.name`;
//! else the service's name stands for its only instance. Stock Python sends none of host, process
//! and container, which is why the last resort is needed.

use model::Scope;
use model::signal::{AnyValue, Attributes};

use crate::config::Config;
use crate::registry::shorten;

pub(crate) struct Origin {
    pub scope: Scope,
    pub service: String,
    pub instance: String,
    /// Empty when telemetry does not say.
    pub version: String,
    pub process: Option<ProcessMark>,
}

/// What tells one process of an instance from the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct ProcessMark {
    pub pid: i64,
    /// `process.creation.time`, or empty.
    pub created: String,
}

impl Origin {
    pub(crate) fn read(attributes: &Attributes, config: &Config) -> Self {
        let environment = attributes
            .first_str(&["deployment.environment.name", "deployment.environment"])
            .unwrap_or(&config.default_environment);
        let name = attributes.str("service.name").unwrap_or("unknown_service");
        let service = match attributes.str("service.namespace") {
            Some(namespace) if config.qualify_by_namespace => format!("{namespace}/{name}"),
            _ => name.to_owned(),
        };
        let service = shorten(&service).into_owned();
        let pid = attributes.i64("process.pid");
        Origin {
            // One server serves one tenant.
            scope: Scope { environment: shorten(environment).into_owned(), ..Scope::default() },
            instance: instance(attributes, pid).unwrap_or_else(|| service.clone()),
            service,
            version: shorten(attributes.str("service.version").unwrap_or("")).into_owned(),
            process: pid.map(|pid| ProcessMark {
                pid,
                created: creation_time(attributes).unwrap_or_default(),
            }),
        }
    }
}

fn instance(attributes: &Attributes, pid: Option<i64>) -> Option<String> {
    let host = attributes.str("host.name");
    let name = match (attributes.str("service.instance.id"), host, pid) {
        (Some(id), _, _) => id.to_owned(),
        (None, Some(host), Some(pid)) => format!("{host}:{pid}"),
        (None, Some(host), None) => host.to_owned(),
        (None, None, _) => attributes.first_str(&["container.id", "k8s.pod.name"])?.to_owned(),
    };
    Some(shorten(&name).into_owned())
}

fn creation_time(attributes: &Attributes) -> Option<String> {
    match attributes
        .get("process.creation.time")
        .or_else(|| attributes.get("process.start_time"))?
    {
        AnyValue::String(text) => Some(shorten(text).into_owned()),
        AnyValue::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attributes: &[(&str, &str)], expected: (&str, &str, &str)) {
        let attributes = attributes
            .iter()
            .fold(Attributes::default(), |all, (name, value)| all.with_str(name, value));
        let origin = Origin::read(&attributes, &Config::default());
        let found = (origin.scope.environment.as_str(), origin.service.as_str(), &*origin.instance);
        assert_eq!(found, expected);
    }

    #[test]
    fn names_the_instance_by_the_best_that_is_known() {
        let service = ("service.name", "orders");
        check(&[service], ("default", "orders", "orders"));
        check(&[service, ("k8s.pod.name", "orders-7")], ("default", "orders", "orders-7"));
        let host = ("host.name", "web1");
        check(&[service, host, ("container.id", "f7")], ("default", "orders", "web1"));
        check(&[service, host, ("process.pid", "42")], ("default", "orders", "web1:42"));
        let id = ("service.instance.id", "orders-1");
        check(&[service, host, id], ("default", "orders", "orders-1"));
    }

    #[test]
    fn keeps_staging_apart_under_either_name() {
        check(
            &[("deployment.environment", "staging")],
            ("staging", "unknown_service", "unknown_service"),
        );
        check(
            &[("deployment.environment", "old"), ("deployment.environment.name", "new")],
            ("new", "unknown_service", "unknown_service"),
        );
    }

    #[test]
    fn puts_the_namespace_before_the_name_only_when_asked() {
        let attributes = Attributes::default()
            .with_str("service.name", "cart")
            .with_str("service.namespace", "shop");
        let config = Config { qualify_by_namespace: true, ..Config::default() };
        assert_eq!(Origin::read(&attributes, &config).service, "shop/cart");
        assert_eq!(Origin::read(&attributes, &Config::default()).service, "cart");
    }
}
