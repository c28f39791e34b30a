//! One running system with its users and the server that watches it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chaos::Phase;
use model::experiment::Experiment;
use model::plan::OutcomeResult;
use model::symptom::{Health, ObjectiveState};
use model::{Incident, IncidentState, Plan, Timestamp};
use serde::Serialize;
use serde_json::Value;
use server::clock;
use server::drills::Record;
use tokio::time::{Instant, sleep};

use super::settings::{self, Pace, Ports, REOPEN_WITHIN_S};
use super::system::System;
use super::users::Users;
use crate::api::Api;
use crate::programs::{Programs, make_reachable};
use crate::serving::{Leftovers, Server};

/// Sessions per second while nothing is being done.
pub const RATE: f64 = 3.0;
/// Trouble of the run before must be over within this time.
const QUIET_WITHIN: Duration = Duration::from_secs(420);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a stage is opened with.
pub struct Plot {
    pub programs: Programs,
    pub folder: PathBuf,
    pub instances: usize,
    /// PostgreSQL's data is on a small file system of its own.
    pub small_disk: bool,
    pub pace: Pace,
    pub warm_up: Duration,
    /// How long innocent events are watched.
    pub watch: Duration,
    pub seed: u64,
}

/// Actions of one run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Deeds {
    pub ordered: usize,
    /// Touched what nothing was done to.
    pub harmful: usize,
    /// Touched a target again.
    pub double: usize,
}

/// Fields are dropped in this order: users first, and the system while the server still listens.
pub struct Stage {
    pub users: Users,
    pub system: System,
    server: Server,
    leftovers: Leftovers,
    api: Api,
    pub plot: Plot,
    /// Newest incident that a run has been charged with.
    charged: u64,
}

impl Stage {
    pub async fn open(plot: Plot) -> Result<Stage> {
        let folder = &plot.folder;
        make_reachable(folder)?;
        let ports = free_ports()?;
        eprintln!("a system with {} orders in {}", plot.instances, folder.display());
        let system = System::up(
            &folder.join("system"),
            [ports.otlp_http, ports.otlp_grpc],
            plot.instances,
            plot.small_disk,
        )
        .await?;
        let description = system.description()?;
        let config = folder.join("immune.yaml");
        let yaml = settings::immune_yaml(&description, ports, plot.pace);
        std::fs::write(&config, format!("{yaml:#}\n"))?;
        let data = folder.join("immune");
        let leftovers = Leftovers::of(&data);
        let log = folder.join("immune.log");
        let mut server = Server::spawn(&plot.programs, &config, &data, &log)?;
        let api = Api::new(server.ready().await?.api)?;
        let front = &description.front_url;
        let users = Users::start(&plot.programs, folder, front, RATE, plot.seed)?;
        eprintln!("warming up for {} s", plot.warm_up.as_secs());
        sleep(plot.warm_up).await;
        Ok(Stage { users, system, server, leftovers, api, plot, charged: 0 })
    }

    /// Ends everything in order; returns the server's data folder.
    pub async fn close(self) -> Result<PathBuf> {
        let data = self.data();
        self.users.stop().await?;
        self.system.down().await?;
        self.server.stop().await?;
        drop(self.leftovers);
        Ok(data)
    }

    pub fn data(&self) -> PathBuf {
        self.plot.folder.join("immune")
    }

    /// Waits until all objectives are well and nothing is left of earlier incidents, so that the
    /// next one cannot be taken for a part of them.
    pub async fn quiet(&self) -> Result<()> {
        let deadline = Instant::now() + QUIET_WITHIN;
        let mut restless = String::new();
        while Instant::now() < deadline {
            match self.restless().await? {
                None => return Ok(()),
                Some(why) => restless = why,
            }
            sleep(LOOK_EVERY).await;
        }
        bail!("the system does not come to rest: {restless}; see {}", self.plot.folder.display());
    }

    async fn restless(&self) -> Result<Option<String>> {
        let objectives: Vec<ObjectiveState> = self.api.get("objectives").await?;
        if let Some(ill) = objectives.iter().find(|state| state.health == Health::Burning) {
            return Ok(Some(format!("{} burns", ill.source)));
        }
        let is_front = |state: &ObjectiveState| state.entity.name == "storefront";
        if !objectives.iter().any(|s| is_front(s) && s.health == Health::Well) {
            return Ok(Some("storefront is not known to be well".to_owned()));
        }
        let now = clock::now();
        let over = Duration::from_secs(REOPEN_WITHIN_S + 3);
        for incident in self.incidents().await? {
            let rests = incident.state == IncidentState::Resolved
                && incident.resolved.is_none_or(|at| now.since(at) > over);
            if !rests {
                return Ok(Some(format!("incident {} is not long over", incident.id)));
            }
        }
        let plans: Vec<Plan> = self.api.get("plans").await?;
        let open = plans.iter().find(|plan| !plan.state.is_final());
        Ok(open.map(|plan| format!("plan {} is {}", plan.id, plan.state.as_str())))
    }

    async fn incidents(&self) -> Result<Vec<Incident>> {
        self.api.get("incidents").await
    }

    /// Incidents that no run has been charged with yet, oldest first: also those that were opened
    /// between two runs, or while warming up.
    pub async fn charge_incidents(&mut self) -> Result<Vec<Incident>> {
        let mut incidents = self.incidents().await?;
        incidents.retain(|incident| incident.id.0 > self.charged);
        incidents.reverse();
        self.charged = incidents.last().map_or(self.charged, |newest| newest.id.0);
        Ok(incidents)
    }

    /// What was done since then, when only `target` was hurt.
    pub async fn deeds_since(&self, since: Timestamp, target: &str) -> Result<Deeds> {
        let plans: Vec<Plan> = self.api.get("plans").await?;
        let mut deeds = Deeds::default();
        let mut done: BTreeMap<&str, usize> = BTreeMap::new();
        for plan in &plans {
            for attempt in plan.attempts.iter().filter(|attempt| attempt.ordered >= since) {
                let result = attempt.outcome.as_ref().map(|outcome| outcome.result);
                deeds.ordered += 1;
                let untouched =
                    matches!(result, Some(OutcomeResult::Refused | OutcomeResult::NotRun));
                if !untouched {
                    deeds.harmful += usize::from(plan.target != target);
                    *done.entry(&plan.target).or_default() += 1;
                }
            }
        }
        deeds.double = done.values().map(|times| times - 1).sum();
        Ok(deeds)
    }

    /// Runs an experiment to its end, telling its progress.
    pub async fn drill(&self, experiment: &Experiment) -> Result<Record> {
        let started: Value = self.api.post("drills", serde_json::to_string(experiment)?).await?;
        let id = started["drill"].as_u64().context("the server did not number the drill")?;
        let mut told = 0;
        loop {
            let record: Record = self.api.get(&format!("drills/{id}")).await?;
            for (at, line) in record.drill.progress.iter().skip(told) {
                eprintln!("  {}  {line}", at.clock());
                told += 1;
            }
            if record.drill.phase == Phase::Done && record.scorecard.is_some() {
                return Ok(record);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Keeps something of a run beside the logs.
    pub fn keep(&self, name: &str, what: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(what)?;
        Ok(std::fs::write(self.plot.folder.join(name), text)?)
    }
}

/// Ports that were free just now: the system has to know them before the server is configured with
/// the system's own.
fn free_ports() -> Result<Ports> {
    let listener = || TcpListener::bind("127.0.0.1:0");
    let (api, http, grpc) = (listener()?, listener()?, listener()?);
    Ok(Ports {
        api: api.local_addr()?.port(),
        otlp_http: http.local_addr()?.port(),
        otlp_grpc: grpc.local_addr()?.port(),
    })
}
