//! What is wrong with a configuration beyond its types: what each part says of its own section, and
//! what only the whole can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos::Scheduled;
use chaos::schedule::ENTRIES_MAX;
use model::human::HumanDuration;

use receivers::ByteSize;

use super::{Config, Problem, Receiver};

/// With less, exports of everyday size would be refused.
const MEMORY_MIN: ByteSize = ByteSize::mib(256);
const SECRET_BYTES_MIN: usize = 16;
/// Each is a request per event, one after another.
const RECEIVERS_MAX: usize = 50;

impl Config {
    /// Everything that types cannot check.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        found.at_least("memory", self.memory, MEMORY_MIN);
        self.storage.check(&mut found);
        self.check_catch_up(&mut found);
        self.check_tokens(&mut found);
        self.check_addresses(&mut found);
        for problem in self.receivers.problems() {
            let (path, message) = problem.split_once(": ").unwrap_or(("", &problem));
            found.add(format!("receivers.{path}"), message);
        }
        for problem in self.detect.validate() {
            found.add(format!("detect.{}", problem.path), problem.message);
        }
        if let Err(error) = self.diagnose.validate() {
            let diagnose::ConfigError::OutOfRange { field, value, allowed } = error;
            found.add(
                format!("diagnose.{field}"),
                format!("{value} is out of range; use {allowed}"),
            );
        }
        for problem in agent::validate(&self.targets) {
            found.add(problem.path, problem.message);
        }
        for problem in self.healing.validate(&self.remedy_targets()) {
            found.add(problem.path, problem.message);
        }
        check_receivers(&self.notify, &mut found);
        check_schedule(&self.drills.schedule, &mut found);
        found.0
    }

    fn check_catch_up(&self, found: &mut Found) {
        let seconds = Duration::from_secs;
        // Steps come each second; a shorter gap would mean that Immune is always away, a longer one
        // that it judges by what it saw before an outage.
        found.between("catch_up.gap", self.catch_up.gap, seconds(5), seconds(600));
        found.between("catch_up.calm", self.catch_up.calm, Duration::ZERO, seconds(600));
    }

    fn check_tokens(&self, found: &mut Found) {
        let tokens = &self.api.tokens;
        let lists = [
            ("ingest", &tokens.ingest),
            ("read", &tokens.read),
            ("approve", &tokens.approve),
            ("admin", &tokens.admin),
        ];
        let mut known = BTreeMap::new();
        for (kind, list) in lists {
            for (index, token) in list.iter().enumerate() {
                let path = format!("api.tokens.{kind}[{index}]");
                if token.secret.len() < SECRET_BYTES_MIN {
                    let message = format!("a token needs at least {SECRET_BYTES_MIN} characters");
                    found.add(format!("{path}.secret"), message);
                } else if let Some(other) = known.insert(&token.secret, path.clone()) {
                    let message =
                        format!("the same secret as {other}; nobody could tell them apart");
                    found.add(format!("{path}.secret"), message);
                }
                if token.name.trim().is_empty() {
                    found.add(format!("{path}.name"), "a token needs a name; the journal shows it");
                }
            }
        }
        if tokens.any() && tokens.admin.is_empty() {
            let message = "tokens are configured, but nobody is admin; add api.tokens.admin";
            found.add("api.tokens", message);
        }
    }

    fn check_addresses(&self, found: &mut Found) {
        if self.api.tokens.any() {
            return;
        }
        let otlp = &self.receivers.otlp;
        let listen = [
            ("api.listen", self.api.listen),
            ("receivers.otlp.grpc", otlp.grpc),
            ("receivers.otlp.http", otlp.http),
        ];
        for (path, address) in listen.iter().filter(|(_, a)| !a.ip().is_loopback()) {
            let message = format!(
                "{address} can be reached from outside, and no tokens are configured; \
                 listen on 127.0.0.1, or add api.tokens"
            );
            found.add(*path, message);
        }
    }
}

fn check_schedule(entries: &[Scheduled], found: &mut Found) {
    if entries.len() > ENTRIES_MAX {
        found.add("drills.schedule", format!("more than {ENTRIES_MAX}"));
    }
    let mut names = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("drills.schedule[{index}]");
        for (field, message) in entry.problems() {
            found.add(format!("{path}.{field}"), message);
        }
        if !names.insert(&entry.name) {
            let message = format!("`{}` names an earlier entry too", entry.name);
            found.add(format!("{path}.name"), message);
        }
    }
}

fn check_receivers(receivers: &[Receiver], found: &mut Found) {
    if receivers.len() > RECEIVERS_MAX {
        found.add("notify", format!("more than {RECEIVERS_MAX} receivers"));
    }
    for (index, receiver) in receivers.iter().enumerate().take(RECEIVERS_MAX) {
        let url = reqwest::Url::parse(&receiver.webhook.url);
        if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            let path = format!("notify[{index}].webhook.url");
            found.add(path, "write an http:// or https:// address");
        }
        if receivers[..index].iter().any(|other| other.name == receiver.name) {
            let message = format!("`{}` is used twice", receiver.name);
            found.add(format!("notify[{index}].name"), message);
        }
    }
}

#[derive(Default)]
pub(super) struct Found(Vec<Problem>);

impl Found {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    pub(super) fn at_least(&mut self, path: &str, size: ByteSize, least: ByteSize) {
        if size.0 < least.0 {
            self.add(path, format!("{size} is less than {least}; raise it"));
        }
    }

    pub(super) fn between(
        &mut self,
        path: &str,
        value: HumanDuration,
        low: Duration,
        high: Duration,
    ) {
        if value.0 < low || value.0 > high {
            let (low, high) = (HumanDuration(low), HumanDuration(high));
            self.add(path, format!("{value} is out of range; write {low} to {high}"));
        }
    }
}
