//! `immune topology`: what a running server has observed, as a system that can be simulated.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use engine::Red;
use model::{ActionKind, Entity};
use serde::Deserialize;
use sim::system::Act;
use sim::system::learn::{Rate, Seen};

use super::client::Client;
use super::{ServerArgs, block_on, text};
use crate::api::services::Topology as Observed;

/// Describes the system that a server has observed.
#[derive(Args)]
pub(super) struct Topology {
    /// What is described, if there are several environments
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Figures are taken over this time
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    window: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// What is read of how healing is configured.
#[derive(Deserialize)]
struct Healing {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    entity: Entity,
    actions: Vec<Declared>,
}

#[derive(Deserialize)]
struct Declared {
    action: ActionKind,
}

impl Topology {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let window = [("window", self.window.clone())];
        let observed: Observed = block_on(client.ask("topology", &window))?;
        let healing: Healing = block_on(client.get("healing"))?;
        let environment = self.environment_of(&observed)?;
        let (system, mut notes) = learnt(&observed, &healing, &environment);
        if system.services.is_empty() {
            bail!("nothing was asked in the last {}; is there traffic?", self.window);
        }
        if observed.truncated {
            notes.push("there is more than the server tells at once".to_owned());
        }
        let problems = system.problems().into_iter();
        notes.extend(problems.map(|it| format!("to be mended: {}: {}", it.path, it.message)));
        notes.iter().for_each(|note| eprintln!("{}", text::plain(note)));
        if self.server.json {
            text::json(&system)?;
            return Ok(ExitCode::SUCCESS);
        }
        text::line(&format!(
            "# Observed in {} over {} until {}. Telemetry does not tell what a copy\n\
             # can bear (concurrency, queue), timeouts, retries, and which calls are\n\
             # `optional: true`: write what you know.",
            text::plain(&environment),
            text::plain(&self.window),
            observed.now
        ));
        text::line(system.to_yaml().trim_end());
        Ok(ExitCode::SUCCESS)
    }

    /// The one that is asked for, or the only one.
    fn environment_of(&self, observed: &Observed) -> Result<String> {
        let known: BTreeSet<&str> =
            observed.nodes.iter().map(|node| node.entity.scope.environment.as_str()).collect();
        let names = || known.iter().copied().collect::<Vec<_>>().join(", ");
        match (&self.environment, known.len()) {
            (Some(name), _) if known.contains(name.as_str()) => Ok(name.clone()),
            (_, 0) => bail!("the server has observed nothing yet"),
            (Some(name), _) => bail!("there is no environment {name}; there is {}", names()),
            (None, 1) => Ok(names()),
            (None, _) => bail!("there are several environments; say --environment: {}", names()),
        }
    }
}

fn learnt(observed: &Observed, healing: &Healing, environment: &str) -> (sim::System, Vec<String>) {
    let is_meant = |entity: &Entity| entity.scope.environment == environment;
    let mut allowed: BTreeMap<Entity, BTreeSet<Act>> = BTreeMap::new();
    for target in &healing.targets {
        if let Some(owner) = target.entity.owner() {
            let acts = target.actions.iter().filter_map(|declared| act(&declared.action));
            allowed.entry(owner).or_default().extend(acts);
        }
    }
    let nodes = observed.nodes.iter().filter(|node| is_meant(&node.entity));
    let seen: Vec<Seen> = nodes
        .map(|node| Seen {
            entity: node.entity.clone(),
            copies: node.instances,
            rate: rate(&node.red),
            allow: allowed.get(&node.entity).into_iter().flatten().copied().collect(),
        })
        .collect();
    let edges = observed.edges.iter().filter(|edge| is_meant(&edge.caller));
    let calls: Vec<_> =
        edges.map(|edge| (edge.caller.clone(), edge.callee.clone(), rate(&edge.red))).collect();
    sim::System::learnt(&seen, &calls)
}

fn act(action: &ActionKind) -> Option<Act> {
    match action {
        ActionKind::Restart => Some(Act::Restart),
        ActionKind::Rollback => Some(Act::Rollback),
        ActionKind::Eject => Some(Act::Eject),
        _ => None,
    }
}

fn rate(red: &Red) -> Rate {
    Rate {
        per_s: red.requests_per_s,
        errors: red.error_ratio.unwrap_or(0.0),
        p50_seconds: red.p50_seconds,
        p95_seconds: red.p95_seconds,
    }
}
