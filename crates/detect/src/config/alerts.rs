//! What alerts of other systems mean here: whose they are, how grave, how long they are believed.

use std::collections::BTreeMap;

use model::Severity;
use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Alerts of other systems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    pub enabled: bool,
    /// Which labels name what.
    pub labels: AlertLabels,
    /// Severities that page. All others make tickets.
    pub page: Vec<String>,
    /// Severities that are no trouble at all.
    pub ignore_severities: Vec<String>,
    /// Names of alerts that are no trouble at all, such as those that always fire to show that
    /// alerts arrive.
    pub ignore: Vec<String>,
    /// An alert that is not told of again for so long has ended; longer than `repeat_interval` of
    /// Alertmanager, which is 4h unless set.
    pub expire_after: HumanDuration,
    /// What labels cannot tell. The first rule that matches an alert counts.
    pub rules: Vec<AlertRule>,
}

impl Default for Alerts {
    fn default() -> Self {
        Alerts {
            enabled: true,
            labels: AlertLabels::default(),
            page: texts(&[
                "critical",
                "page",
                "fatal",
                "emergency",
                "disaster",
                "p0",
                "p1",
                "sev0",
                "sev1",
            ]),
            ignore_severities: texts(&["none", "info"]),
            ignore: texts(&["Watchdog", "DeadMansSwitch", "InfoInhibitor"]),
            expire_after: HumanDuration::from_secs(5 * 3_600),
            rules: Vec::new(),
        }
    }
}

/// Labels in the order in which they are asked; the first that is there, and where services are
/// named the first that names a known one, counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertLabels {
    /// Of `namespace/name`, as Prometheus' `job` has it, the name counts where nothing is known by
    /// the whole.
    pub service: Vec<String>,
    /// Told in the summary.
    pub instance: Vec<String>,
    pub environment: Vec<String>,
    /// Taken for the environment where one of that name is known.
    pub namespace: Vec<String>,
    pub host: Vec<String>,
    pub severity: Vec<String>,
}

impl Default for AlertLabels {
    fn default() -> Self {
        AlertLabels {
            service: texts(&[
                "service_name",
                "service",
                "app_kubernetes_io_name",
                "app",
                "deployment",
                "container",
                "job",
            ]),
            instance: texts(&["service_instance_id", "pod", "instance"]),
            environment: texts(&[
                "deployment_environment_name",
                "deployment_environment",
                "environment",
                "env",
            ]),
            namespace: texts(&["namespace", "k8s_namespace_name"]),
            host: texts(&["host_name", "nodename", "node", "host"]),
            severity: texts(&["severity", "priority"]),
        }
    }
}

/// What is so of all alerts with these labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Labels that an alert must have, each with exactly this value.
    #[serde(rename = "match")]
    pub matches: BTreeMap<String, String>,
    /// The service whose trouble it is.
    #[serde(default)]
    pub service: Option<String>,
    /// Absent: as its labels say, or where the service is known.
    #[serde(default)]
    pub environment: Option<String>,
    #[serde(default)]
    pub severity: Option<Severity>,
    /// It is no trouble at all.
    #[serde(default)]
    pub ignore: bool,
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
