//! Docker by its HTTP interface on the Unix socket: what a container is now, and changing it.
//!
//! Invariants: a container is looked up by its declared name once, and acted upon by the id that
//! was found; where the target has a process, it must be the one that the order was verified for;
//! a change counts once Docker itself shows it.

pub mod faults;

use std::time::{Duration, Instant};

use model::ContainerOperation as Operation;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock;
use crate::config::{Compose, Container, Limits};
use crate::http::{self, Ask};
use crate::lifecycle;
use crate::trouble::Trouble;

const LOOK_EVERY: Duration = Duration::from_millis(50);
const NUMBER: &str = "com.docker.compose.container-number";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    state: State,
    host_config: HostConfig,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    paused: bool,
    pid: u32,
    started_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    memory: u64,
    nano_cpus: u64,
}

/// One of a compose service's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Copy {
    id: String,
    names: Vec<String>,
    state: String,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

impl Copy {
    fn number(&self) -> u64 {
        self.labels.get(NUMBER).and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
    }

    fn name(&self) -> String {
        let name = self.names.first().map_or(&*self.id, |name| name.trim_start_matches('/'));
        lifecycle::quote(name.as_bytes()).unwrap_or_default()
    }
}

/// `pid` is the target's process, where it has one.
pub fn operate(
    container: &Container,
    operation: Operation,
    pid: Option<u32>,
) -> Result<String, Trouble> {
    let docker = Docker::new(container);
    if operation.scales() {
        let Some(compose) = &container.compose else {
            return Err(Trouble::Refused("no compose service is declared".to_owned()));
        };
        return docker.scale(compose, operation == Operation::ScaleOut);
    }
    let before = docker.verified(pid).map_err(Trouble::Refused)?;
    let (id, name) = (&*before.id, &container.name);
    match operation {
        Operation::Restart => {
            docker.change(&format!("containers/{id}/restart?t={}", docker.stop_seconds()), None)?;
            let began = |now: &State| now.running && now.started_at != before.state.started_at;
            let now = docker.wait(id, began)?;
            Ok(format!("restarted container {name}, now pid {}", now.pid))
        }
        Operation::Pause if !before.state.running || before.state.paused => {
            Err(Trouble::Refused(format!("container {name} does not run, or is paused already")))
        }
        Operation::Pause => {
            docker.change(&format!("containers/{id}/pause"), None)?;
            docker.wait(id, |now| now.paused)?;
            Ok(format!("paused container {name}"))
        }
        Operation::Unpause if !before.state.paused => {
            Err(Trouble::Refused(format!("container {name} is not paused")))
        }
        Operation::Unpause => {
            docker.change(&format!("containers/{id}/unpause"), None)?;
            docker.wait(id, |now| now.running && !now.paused)?;
            Ok(format!("unpaused container {name}"))
        }
        Operation::ScaleOut | Operation::ScaleIn => unreachable!("scaled above"),
    }
}

/// Gives it other limits.
pub fn limit(container: &Container, limits: &Limits, pid: Option<u32>) -> Result<String, Trouble> {
    let docker = Docker::new(container);
    let before = docker.verified(pid).map_err(Trouble::Refused)?;
    let mut update = serde_json::Map::new();
    if let Some(memory) = limits.memory {
        update.insert("Memory".to_owned(), json!(memory.0));
        update.insert("MemorySwap".to_owned(), json!(memory.0));
    }
    // As precise as Docker is: a billionth of a processor.
    let nano_cpus = limits.cpus.map(|cpus| (cpus * 1e9).round() as u64);
    if let Some(nano_cpus) = nano_cpus {
        update.insert("NanoCpus".to_owned(), json!(nano_cpus));
    }
    docker.change(&format!("containers/{}/update", before.id), Some(Value::Object(update)))?;
    let now = docker.inspect(&before.id)?.host_config;
    let is_set = limits.memory.is_none_or(|memory| memory.0 == now.memory)
        && nano_cpus.is_none_or(|nano_cpus| nano_cpus == now.nano_cpus);
    let said = format!("memory {} B, {} CPUs", now.memory, now.nano_cpus as f64 / 1e9);
    match is_set {
        true => Ok(format!("limits of container {} are now {said}", container.name)),
        false => Err(format!("Docker took the limits, but they are {said}").into()),
    }
}

struct Docker<'a> {
    container: &'a Container,
    until: Instant,
}

impl<'a> Docker<'a> {
    fn new(container: &'a Container) -> Self {
        let time = container.timeout.0 + container.stop_timeout.0;
        Docker { container, until: clock::monotonic() + time }
    }

    fn stop_seconds(&self) -> u64 {
        self.container.stop_timeout.0.as_secs().max(1)
    }

    /// The container as it is, if it is the one that the order is about.
    fn verified(&self, pid: Option<u32>) -> Result<Inspected, String> {
        let inspected = self.inspect(&self.container.name)?;
        match pid {
            Some(pid) if inspected.state.pid != pid => Err(format!(
                "container {} runs as pid {}, the target as pid {pid}",
                self.container.name, inspected.state.pid
            )),
            _ => Ok(inspected),
        }
    }

    fn inspect(&self, id: &str) -> Result<Inspected, String> {
        self.question(&format!("containers/{id}/json"))
    }

    fn wait(&self, id: &str, wanted: impl Fn(&State) -> bool) -> Result<State, String> {
        loop {
            let state = self.inspect(id)?.state;
            if wanted(&state) {
                return Ok(state);
            }
            if clock::monotonic() >= self.until {
                return Err(format!("Docker took the order, but shows {state:?}"));
            }
            clock::pause(LOOK_EVERY);
        }
    }

    /// Starts the stopped copy of the lowest number, or stops the running one of the highest.
    fn scale(&self, compose: &Compose, out: bool) -> Result<String, Trouble> {
        let mut copies = self.copies(compose).map_err(Trouble::Refused)?;
        copies.sort_by_key(Copy::number);
        let is_running = |copy: &&Copy| copy.state == "running";
        let running = copies.iter().filter(is_running).count() as u64;
        let (min, max) = (u64::from(compose.copies_min), u64::from(compose.copies_max));
        let service = &compose.service;
        if (out && running >= max) || (!out && running <= min) {
            let why = format!("{running} copies of {service} run, {min} to {max} may");
            return Err(Trouble::Refused(why));
        }
        let stopped = |copy: &&Copy| matches!(&*copy.state, "exited" | "created");
        let chosen = match out {
            true => copies.iter().find(stopped),
            false => copies.iter().rev().find(is_running),
        };
        let Some(copy) = chosen else {
            return Err(Trouble::Refused(format!("no stopped container of {service} is there")));
        };
        let (id, name) = (&copy.id, copy.name());
        match out {
            true => self.change(&format!("containers/{id}/start"), None)?,
            false => {
                self.change(&format!("containers/{id}/stop?t={}", self.stop_seconds()), None)?;
            }
        }
        self.wait(id, |now| now.running == out)?;
        let (verb, now) = if out { ("started", running + 1) } else { ("stopped", running - 1) };
        Ok(format!("{verb} container {name}: {now} copies of {service} run"))
    }

    fn copies(&self, compose: &Compose) -> Result<Vec<Copy>, String> {
        let labels = json!({ "label": [
            format!("com.docker.compose.project={}", compose.project),
            format!("com.docker.compose.service={}", compose.service),
        ]});
        let mut url = reqwest::Url::parse("http://docker/containers/json?all=1")
            .map_err(|error| error.to_string())?;
        url.query_pairs_mut().append_pair("filters", &labels.to_string());
        let query = url.query().unwrap_or_default();
        self.question(&format!("containers/json?{query}"))
    }

    fn question<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, String> {
        let body = self.ask(Method::GET, path, None)?;
        serde_json::from_slice(&body).map_err(|error| format!("Docker says what is odd: {error}"))
    }

    fn change(&self, path: &str, body: Option<Value>) -> Result<(), String> {
        self.ask(Method::POST, path, body).map(|_| ())
    }

    fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>, String> {
        let answer = http::ask(Ask {
            method,
            url: &format!("http://docker/{path}"),
            socket: Some(&self.container.socket),
            headers: vec![("content-type", "application/json")],
            body: body.map(|body| body.to_string()).unwrap_or_default(),
            timeout: self.until.saturating_duration_since(clock::monotonic()),
        })
        .map_err(|error| format!("Docker at {}: {error}", self.container.socket.display()))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        let said = lifecycle::quote(&answer.body).unwrap_or_default();
        Err(format!("Docker answered {}: {said}", answer.status))
    }
}
