//! The answers of the API that an overview is made of.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use model::symptom::ObjectiveState;
use model::{Entity, Incident, Mode, Plan, PlanId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::client::Client;
use super::super::units;
use super::Service;
use crate::drills::Record;

/// The parts of an overview, by the name under which JSON has them, and their routes.
const PARTS: &[(&str, &str)] = &[
    ("status", "status"),
    ("services", "services"),
    ("objectives", "objectives"),
    ("incidents", "incidents"),
    ("plans", "plans"),
    ("drills", "drills?limit=1"),
    ("storage", "storage"),
];

/// Answers as they came, by part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(pub(crate) Map<String, Value>);

/// What is read of the answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overview {
    pub(crate) status: Status,
    pub(crate) services: Vec<Service>,
    pub(crate) objectives: Vec<ObjectiveState>,
    /// Newest first.
    pub(crate) incidents: Vec<Incident>,
    /// Newest first.
    pub(crate) plans: Vec<Plan>,
    /// Until when a person is asked about a plan.
    pub(crate) waits_until: BTreeMap<PlanId, Timestamp>,
    /// Newest first.
    pub(crate) drills: Vec<Record>,
    pub(crate) storage: Storage,
}

#[derive(Deserialize, Default)]
struct Services {
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Deadline {
    id: PlanId,
    #[serde(default)]
    waits_until: Option<Timestamp>,
}

/// What is said of Immune's own store.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Storage {
    pub(crate) tables: Vec<Table>,
    /// What does not work now; empty in health.
    pub(crate) trouble: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Table {
    pub(crate) table: String,
    pub(crate) points: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) started: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) last_tick: Timestamp,
    pub(crate) healing_mode: Mode,
    pub(crate) frozen: Option<Frozen>,
    pub(crate) pauses: Vec<remediate::Pause>,
    pub(crate) catching_up_until: Option<Timestamp>,
    pub(crate) agent_connected: bool,
    /// Alerts of other systems that fire.
    pub(crate) alerts_firing: usize,
    pub(crate) telemetry: Vec<Telemetry>,
    /// When the newest telemetry was taken.
    pub(crate) last_telemetry: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Frozen {
    pub(crate) by: String,
    pub(crate) reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Telemetry {
    pub(crate) signal: String,
    pub(crate) transport: String,
    pub(crate) items: u64,
    pub(crate) rejected_items: u64,
    pub(crate) refused_requests: u64,
}

impl Asked {
    /// Asks for everything, side by side.
    pub(crate) async fn all(client: &Client) -> Result<Asked> {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        Asked::parts(client, &names).await
    }

    /// Asks for some parts, side by side.
    pub(crate) async fn parts(client: &Client, names: &[&str]) -> Result<Asked> {
        let wanted = PARTS.iter().filter(|(name, _)| names.contains(name));
        let one = |(name, route): &'static (&str, &str)| async move {
            let answer: Value = client.get(route).await?;
            Ok::<_, anyhow::Error>(((*name).to_owned(), answer))
        };
        let answers = futures_util::future::try_join_all(wanted.map(one)).await?;
        Ok(Asked(answers.into_iter().collect()))
    }

    /// Takes newer answers.
    pub(crate) fn take(&mut self, newer: Asked) {
        self.0.extend(newer.0);
    }

    pub(crate) fn read(&self) -> Result<Overview> {
        Ok(Overview {
            status: self.part("status")?,
            services: self.part::<Services>("services")?.services,
            objectives: self.part("objectives")?,
            incidents: self.part("incidents")?,
            plans: self.part("plans")?,
            waits_until: self.deadlines()?,
            drills: self.part("drills")?,
            storage: self.part("storage")?,
        })
    }

    fn deadlines(&self) -> Result<BTreeMap<PlanId, Timestamp>> {
        let plans: Vec<Deadline> = self.part("plans")?;
        let waiting = plans.into_iter().filter_map(|plan| Some((plan.id, plan.waits_until?)));
        Ok(waiting.collect())
    }

    fn part<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        match self.0.get(name) {
            Some(answer) => T::deserialize(answer).with_context(|| {
                format!("the server's answer about {name} does not read; is it of this version?")
            }),
            None => Ok(T::default()),
        }
    }
}

impl Overview {
    /// When anything was heard last.
    pub(crate) fn heard(&self) -> Option<Timestamp> {
        let seen = self.services.iter().filter_map(|service| service.last_seen).max();
        self.status.last_telemetry.or(seen)
    }

    /// What people call it: with its environment where there are several.
    pub(crate) fn name(&self, entity: &Entity) -> String {
        let environment = &entity.scope.environment;
        let other = |service: &Service| service.entity.scope.environment != *environment;
        match self.services.iter().any(other) {
            true => format!("{entity} ({environment})"),
            false => entity.to_string(),
        }
    }

    /// Plans that wait for a person.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter().filter(|plan| plan.state == model::PlanState::AwaitingApproval)
    }

    /// When silence becomes a no, of a plan that waits.
    pub(crate) fn denied_in(&self, plan: &Plan) -> Option<String> {
        let until = self.waits_until.get(&plan.id)?;
        Some(format!("denied by itself in {}", units::span(until.since(self.status.now))))
    }

    /// Plans of an incident, oldest first.
    pub(crate) fn plans_of(&self, incident: &Incident) -> Vec<Plan> {
        let own = self.plans.iter().filter(|plan| plan.incident == incident.id);
        let mut plans: Vec<Plan> = own.cloned().collect();
        plans.sort_by_key(|plan| plan.id);
        plans
    }
}
