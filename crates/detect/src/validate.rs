//! What a configuration must satisfy beyond its types, each with a message that says what to write.

use std::collections::BTreeSet;
use std::time::Duration;

use model::human::HumanDuration;

use crate::config::{Alerts, Config, Probe, Problem, Slo};
use crate::inspections::fast_burn::HARM_FACTOR;
use crate::objective::{DEFAULT_AVAILABILITY, DEFAULT_LATENCY};

/// Most objectives that configuration may name.
pub const SLOS_MAX: usize = 500;
/// Most probes that configuration may name.
pub const PROBES_MAX: usize = 200;

/// Most rules about alerts that configuration may hold.
pub const ALERT_RULES_MAX: usize = 1_000;

/// Lowest objective, in percent, at which a burn of `HARM_FACTOR` can happen at all.
const OBJECTIVE_MIN: f64 = 93.06;
const OBJECTIVE_MAX: f64 = 99.9999;

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    fn check(&mut self, good: bool, path: impl Into<String>, message: impl Into<String>) {
        if !good {
            self.add(path, message);
        }
    }

    fn objective(&mut self, path: String, percent: f64) {
        if percent >= 100.0 || percent > OBJECTIVE_MAX {
            self.add(
                path,
                format!(
                    "an objective of {percent} leaves no error budget to burn; write at most \
                     {OBJECTIVE_MAX}"
                ),
            );
        } else if percent.is_nan() || percent < OBJECTIVE_MIN {
            self.add(
                path,
                format!(
                    "with an objective of {percent} even a total outage burns the budget less than \
                     {HARM_FACTOR} times too fast, so it could never page; write at least \
                     {OBJECTIVE_MIN}"
                ),
            );
        }
    }

    fn between(&mut self, path: String, value: HumanDuration, low: u64, high: u64) {
        let (low, high) = (Duration::from_secs(low), Duration::from_secs(high));
        if value.0 < low || value.0 > high {
            let (low, high) = (HumanDuration(low), HumanDuration(high));
            self.add(path, format!("{value} is out of range; write {low} to {high}"));
        }
    }
}

impl Config {
    /// Everything that cannot be meant so, in the order of the file. Empty: the configuration is
    /// good.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Problems(Vec::new());
        problems.check(
            self.slos.len() <= SLOS_MAX,
            "slos",
            format!("{} objectives are more than the {SLOS_MAX} allowed", self.slos.len()),
        );
        let mut names = BTreeSet::new();
        for (at, slo) in self.slos.iter().enumerate() {
            check_slo(&mut problems, at, slo, &mut names);
        }
        problems.objective("default_slo.objective".to_owned(), self.default_slo.objective);
        let latency = &self.default_slo.latency;
        problems.objective("default_slo.latency.objective".to_owned(), latency.objective);
        let path = "default_slo.latency.learn_for".to_owned();
        problems.between(path, latency.learn_for, 10, 30 * 86_400);
        problems.check(
            latency.learn_requests >= 100,
            "default_slo.latency.learn_requests",
            "fewer than 100 requests do not tell a 99th percentile; write at least 100",
        );
        check_tiers(&mut problems, self);
        problems.check(
            self.probes.len() <= PROBES_MAX,
            "probes",
            format!("{} probes are more than the {PROBES_MAX} allowed", self.probes.len()),
        );
        let mut names = BTreeSet::new();
        for (at, probe) in self.probes.iter().enumerate() {
            check_probe(&mut problems, at, probe, &mut names);
        }
        check_alerts(&mut problems, &self.alerts);
        check_times(&mut problems, self);
        problems.0
    }
}

fn check_slo<'a>(problems: &mut Problems, at: usize, slo: &'a Slo, names: &mut BTreeSet<&'a str>) {
    let path = |field: &str| format!("slos[{at}].{field}");
    let reserved = [DEFAULT_AVAILABILITY, DEFAULT_LATENCY].contains(&slo.name.as_str());
    if slo.name.trim().is_empty() {
        problems.add(path("name"), "the name is empty");
    } else if reserved {
        problems.add(path("name"), format!("`{}` is the name of a default objective", slo.name));
    } else if !names.insert(&slo.name) {
        problems.add(path("name"), format!("there is another objective named `{}`", slo.name));
    }
    problems.check(!slo.service.trim().is_empty(), path("service"), "the service is empty");
    problems.objective(path("objective"), slo.objective);
    match (&slo.availability, &slo.latency) {
        (Some(_), None) => {}
        (None, Some(latency)) => problems.check(
            !latency.threshold.0.is_zero(),
            path("latency.threshold"),
            "a threshold of zero can never be met; write for example 300ms",
        ),
        (Some(_), Some(_)) => problems.add(
            path("latency"),
            "an objective is about availability or about latency; write two objectives",
        ),
        (None, None) => problems.add(
            path("objective"),
            "what is measured is missing; add `availability: {}` or `latency: {threshold: 300ms}`",
        ),
    }
    problems.between(path("window"), slo.window, 86_400, 90 * 86_400);
}

fn check_tiers(problems: &mut Problems, config: &Config) {
    let rate = config.fast.false_pages_per_year;
    problems.check(
        rate > 0.0 && rate <= 365.0,
        "fast.false_pages_per_year",
        "write a number above 0 and at most 365",
    );
    problems.check(
        (0.0..100.0).contains(&config.exhaustion.used_min),
        "exhaustion.used_min",
        "write a percentage from 0 to below 100",
    );
    let counts = [
        ("fast.bad_requests_min", config.fast.bad_requests_min),
        ("burn.bad_requests_min", config.burn.bad_requests_min),
        ("stalled.in_flight_min", config.stalled.in_flight_min),
        ("stalled.learn_completions", config.stalled.learn_completions),
        ("blind.calls_min", config.blind.calls_min),
        ("absent_traffic.expected_requests_min", config.absent_traffic.expected_requests_min),
    ];
    for (path, count) in counts {
        problems.check(
            (1..=1_000_000).contains(&count),
            path,
            format!("{count} is out of range; write 1 to 1000000"),
        );
    }
}

fn check_probe<'a>(
    problems: &mut Problems,
    at: usize,
    probe: &'a Probe,
    names: &mut BTreeSet<&'a str>,
) {
    let path = |field: &str| format!("probes[{at}].{field}");
    if probe.name.trim().is_empty() {
        problems.add(path("name"), "the name is empty");
    } else if !names.insert(&probe.name) {
        problems.add(path("name"), format!("there is another probe named `{}`", probe.name));
    }
    problems.check(!probe.service.trim().is_empty(), path("service"), "the service is empty");
    match (&probe.http, &probe.tcp) {
        (Some(http), None) => {
            let known = ["http://", "https://"].iter().any(|start| http.url.starts_with(start));
            problems.check(
                known,
                path("http.url"),
                "the address must begin with http:// or https://",
            );
            problems.check(
                (100..600).contains(&http.status),
                path("http.status"),
                format!("{} is not a status; write 100 to 599", http.status),
            );
        }
        (None, Some(tcp)) => {
            let port = tcp.address.rsplit_once(':').and_then(|(host, port)| {
                (!host.is_empty()).then(|| port.parse::<u16>().ok()).flatten()
            });
            problems.check(
                port.is_some_and(|port| port > 0),
                path("tcp.address"),
                format!("`{}` is not host:port", tcp.address),
            );
        }
        (Some(_), Some(_)) => {
            problems.add(path("tcp"), "a probe is http or tcp; write two probes");
        }
        (None, None) => {
            problems.add(path("name"), "what is probed is missing; add `http` or `tcp`")
        }
    }
    problems.between(path("interval"), probe.interval, 1, 3_600);
    let timeout_fits = !probe.timeout.0.is_zero() && probe.timeout <= probe.interval;
    let message =
        format!("the timeout must be above zero and at most the interval {}", probe.interval);
    problems.check(timeout_fits, path("timeout"), message);
    problems.check(
        (1..=100).contains(&probe.failures),
        path("failures"),
        format!("{} is out of range; write 1 to 100", probe.failures),
    );
}

fn check_alerts(problems: &mut Problems, alerts: &Alerts) {
    let count = alerts.rules.len();
    problems.check(
        count <= ALERT_RULES_MAX,
        "alerts.rules",
        format!("{count} rules are more than the {ALERT_RULES_MAX} allowed"),
    );
    for (at, rule) in alerts.rules.iter().enumerate() {
        let path = |field: &str| format!("alerts.rules[{at}].{field}");
        problems.check(
            !rule.matches.is_empty(),
            path("match"),
            "a rule for all alerts is none; write for example {alertname: DiskFull}",
        );
        let says = rule.service.is_some() || rule.environment.is_some();
        let says = says || rule.severity.is_some() || rule.ignore;
        problems.check(says, path("match"), "the rule says nothing; add `service: NAME`");
        let empty = |text: &Option<String>| text.as_ref().is_some_and(|it| it.trim().is_empty());
        problems.check(!empty(&rule.service), path("service"), "the service is empty");
        problems.check(!empty(&rule.environment), path("environment"), "the environment is empty");
    }
}

fn check_times(problems: &mut Problems, config: &Config) {
    let times = [
        ("stalled.silent_for", config.stalled.silent_for, 5, 3_600),
        ("stalled.share_silent_for", config.stalled.share_silent_for, 10, 3_600),
        ("stalled.learn_for", config.stalled.learn_for, 60, 86_400),
        ("absent_traffic.learn_for", config.absent_traffic.learn_for, 60, 7 * 86_400),
        ("absent_traffic.absent_for", config.absent_traffic.absent_for, 30, 86_400),
        ("blind.silent_for", config.blind.silent_for, 60, 86_400),
        ("blind.learn_for", config.blind.learn_for, 60, 7 * 86_400),
        ("exhaustion.within", config.exhaustion.within, 600, 60 * 86_400),
        ("certificate_within", config.certificate_within, 3_600, 365 * 86_400),
        ("alerts.expire_after", config.alerts.expire_after, 60, 30 * 86_400),
        ("clear_after", config.clear_after, 10, 3_600),
        ("no_traffic_after", config.no_traffic_after, 10, 86_400),
        ("no_data_after", config.no_data_after, 30, 7 * 86_400),
    ];
    for (path, value, low, high) in times {
        problems.between(path.to_owned(), value, low, high);
    }
}
