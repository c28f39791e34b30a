//! A dry run: what an experiment would hit, and all that speaks against it. Nothing is done, and
//! nothing is recorded.

use std::sync::atomic::{AtomicU64, Ordering};

use agent::config::ProcessMatch;
use agent::protocol::{FaultId, Injection};
use chaos::reach::{Inhabitant, refusals};
use model::experiment::Experiment;
use model::tick::ProcessState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Drills;
use crate::clock;
use crate::driver::Error;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DrillPlan")]
pub struct Plan {
    pub title: String,
    pub target: String,
    pub environment: String,
    /// `placebo` without one.
    pub fault: String,
    /// What exactly the agent would do, and to which process or port; `None` of a placebo, and when
    /// the agent would refuse it.
    pub exactly: Option<String>,
    /// Services that may be hurt.
    pub services: Vec<String>,
    /// One line each; empty when it may run.
    pub refusals: Vec<String>,
    /// What would have to be waited for before the fault.
    pub not_steady: Vec<String>,
}

impl Drills {
    /// Does everything of a drill that comes before the fault.
    pub async fn plan(&self, experiment: &Experiment) -> Result<Plan, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut refusals = self.refusals(experiment).await?;
        let mut exactly = None;
        if let Some(fault) = &experiment.fault
            && self.targets.contains_key(&experiment.target)
        {
            let injection = Injection {
                id: FaultId(format!("plan-{}", NEXT.fetch_add(1, Ordering::Relaxed))),
                fault: fault.clone(),
                target: experiment.target.clone(),
                environment: experiment.blast_radius.environment.clone(),
                deadline: clock::now() + experiment.deadline.0,
            };
            match self.hands.aim(injection).await {
                Ok(aim) => exactly = Some(aim),
                Err(why) => refusals.push(why),
            }
        }
        Ok(Plan {
            title: experiment.title.clone(),
            target: experiment.target.clone(),
            environment: experiment.blast_radius.environment.clone(),
            fault: experiment.fault.as_ref().map_or("placebo".to_owned(), ToString::to_string),
            exactly,
            services: experiment.blast_radius.services.clone(),
            refusals,
            not_steady: self.not_steady(experiment).await?,
        })
    }

    /// All that speaks against the experiment, as far as the server can tell.
    pub(super) async fn refusals(&self, experiment: &Experiment) -> Result<Vec<String>, Error> {
        let mut refusals = refusals(experiment, &self.inhabitants().await?, &self.own_ports);
        if let Some(path) = &experiment.client_log
            && let Err(why) = super::LogFile::open(path)
        {
            refusals.push(why);
        }
        if experiment.fault.is_some() && !self.hands.connected() {
            refusals.push("the agent is not connected; nothing can be injected".to_owned());
        }
        Ok(refusals)
    }

    pub(super) async fn not_steady(&self, experiment: &Experiment) -> Result<Vec<String>, Error> {
        let seen = self.seen().await?;
        let open = seen.incidents.iter().filter(|i| i.state != model::IncidentState::Resolved);
        let mut reasons: Vec<String> =
            open.map(|incident| format!("incident {} is open", incident.id)).collect();
        let unwell = chaos::drill::unwell(&experiment.steady_state.slos, &seen.objectives);
        reasons
            .extend(unwell.map(|name| format!("the objective {name} is not well, or not known")));
        Ok(reasons)
    }

    /// Everything that is configured, and whether it runs.
    pub(super) async fn inhabitants(&self) -> Result<Vec<Inhabitant>, Error> {
        let running: Vec<String> = self
            .handle
            .ask(|core| {
                let runs = |state: &ProcessState| matches!(state, ProcessState::Running(_));
                let reports = core.engine.processes().filter(|report| runs(&report.state));
                reports.map(|report| report.target.clone()).collect()
            })
            .await?;
        let inhabitant = |target: &agent::Target| Inhabitant {
            name: target.name.clone(),
            service: target.database.clone().unwrap_or_else(|| target.service.clone()),
            environment: target.environment.clone(),
            port: match &target.process {
                Some(ProcessMatch::ListensOn(address)) => Some(address.port()),
                Some(ProcessMatch::PidFile(_) | ProcessMatch::Systemd(_)) | None => None,
            },
            runs: running.contains(&target.name),
        };
        Ok(self.targets.values().map(inhabitant).collect())
    }
}
