//! Drills that the server begins by itself: when the calendar says so, and nothing speaks against
//! it.
//!
//! What speaks against one is kept with its entry: that run is left out, and not made up for.

use std::io::Read;
use std::time::Duration;

use chaos::Scheduled;
use chaos::schedule::{Due, Run, Weekday};
use model::experiment::Experiment;
use model::{Scope, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;

use super::calendar::{Became, Last, Stopped};
use super::{Drills, StartError};
use crate::clock;
use crate::journal;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// As much of an experiment file as is read.
const FILE_BYTES_MAX: u64 = 257 << 10;

/// The schedule as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DrillSchedule")]
pub struct Overview {
    /// Nothing of it runs.
    pub stopped: Option<Stopped>,
    pub entries: Vec<Planned>,
}

/// One entry. Of its next run the day and the window are told, and not the moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PlannedDrill")]
pub struct Planned {
    #[serde(flatten)]
    pub entry: Scheduled,
    pub next_on: Weekday,
    pub next_from: Timestamp,
    pub next_to: Timestamp,
    pub last: Option<Last>,
    /// Of the last drill, once it has its scorecard.
    pub last_passed: Option<bool>,
}

impl Drills {
    /// Begins what is due, for ever.
    pub async fn keep_schedule(self) {
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            for entry in self.calendar.entries() {
                if let Err(error) = self.look_at(entry, clock::now()).await {
                    let entry = &entry.name;
                    tracing::error!(entry, "no run is begun: {:#}", anyhow::Error::new(error));
                }
            }
        }
    }

    async fn look_at(&self, entry: &Scheduled, now: Timestamp) -> Result<(), journal::Error> {
        let (run, became) = match self.calendar.due(entry, now) {
            Due::Wait(_) => return Ok(()),
            Due::Missed(run) => {
                (run, Became::Skipped("the server was away at that moment".to_owned()))
            }
            Due::Now(run) => {
                // Whoever dies from here on: it is not begun again.
                self.calendar.note(entry, run, Became::Unknown)?;
                let became = match self.begin(entry).await {
                    Ok(id) => Became::Drill(id),
                    Err(why) => Became::Skipped(why),
                };
                (run, became)
            }
        };
        tell(entry, run, &became);
        self.calendar.note(entry, run, became)
    }

    async fn begin(&self, entry: &Scheduled) -> Result<u64, String> {
        let experiment = read(entry)?;
        let against = self.against(&experiment).await.map_err(|error| error.to_string())?;
        if !against.is_empty() {
            return Err(against.join("; "));
        }
        let by = format!("schedule {}", entry.name);
        self.start(experiment, &by).await.map_err(|error| match error {
            StartError::Refused(why) => why,
            error => format!("{:#}", anyhow::Error::new(error)),
        })
    }

    /// What speaks against a drill that nobody asked for just now, besides what speaks against any.
    async fn against(&self, experiment: &Experiment) -> Result<Vec<String>, crate::driver::Error> {
        let mut found = Vec::new();
        if let Some(Stopped { by, .. }) = self.calendar.stopped() {
            found.push(format!("the schedule was stopped by {by}"));
        }
        let services = experiment.blast_radius.services.clone();
        let environment = experiment.blast_radius.environment.clone();
        let names = experiment.steady_state.slos.clone();
        let asked = self.handle.ask(move |core| {
            let healer = &core.engine.healer;
            let mut found = Vec::new();
            if let Some(freeze) = healer.frozen() {
                found.push(format!("healing is frozen by {}: {}", freeze.who, freeze.reason));
            }
            if let Some(why) = healer.held() {
                found.push(format!("healing is held: {why}"));
            }
            let scope = Scope { environment, ..Scope::default() };
            for service in services {
                let entity = model::Entity::service(&scope, &service);
                if healer.is_deployed(&entity, clock::now()) {
                    found.push(format!("{service} is being deployed"));
                }
            }
            let least = healer.config().guardrails.budget_left_min;
            let objectives = &core.engine.observed().objectives;
            found.extend(chaos::drill::poor(&names, objectives, least).map(|(name, left)| {
                format!("{:.0} % of the error budget of {name} is left", left * 100.0)
            }));
            found
        });
        found.extend(asked.await?);
        found.extend(self.not_steady(experiment).await?);
        Ok(found)
    }

    pub fn schedule(&self, now: Timestamp) -> Result<Overview, journal::Error> {
        let entries = self.calendar.entries().iter().map(|entry| self.planned(entry, now));
        Ok(Overview {
            stopped: self.calendar.stopped(),
            entries: entries.collect::<Result<_, journal::Error>>()?,
        })
    }

    fn planned(&self, entry: &Scheduled, now: Timestamp) -> Result<Planned, journal::Error> {
        let next = match self.calendar.due(entry, now) {
            Due::Wait(run) | Due::Now(run) | Due::Missed(run) => run,
        };
        let last = self.calendar.last(entry);
        let drill = match last.as_ref().map(|last| &last.became) {
            Some(Became::Drill(id)) => self.get(*id)?,
            _ => None,
        };
        let card = drill.and_then(|drill| drill.scorecard);
        let (next_from, next_to) = entry.window(next.at);
        Ok(Planned {
            entry: entry.clone(),
            next_on: entry.weekday(next.at),
            next_from,
            next_to,
            last,
            last_passed: card.map(|card| card.passed),
        })
    }

    /// Lets the schedule go on after it was stopped; whether it was.
    pub fn resume_schedule(&self) -> Result<bool, journal::Error> {
        let was_stopped = self.calendar.stopped().is_some();
        self.calendar.resume()?;
        Ok(was_stopped)
    }
}

fn tell(entry: &Scheduled, run: Run, became: &Became) {
    let (entry, at) = (&entry.name, run.at.clock());
    match became {
        Became::Drill(id) => tracing::info!(entry, drill = id, "a scheduled drill has begun"),
        Became::Skipped(why) => tracing::warn!(entry, at, why, "a scheduled drill is left out"),
        Became::Unknown => {}
    }
}

fn read(entry: &Scheduled) -> Result<Experiment, String> {
    let path = entry.experiment.display();
    let open = std::fs::File::open(&entry.experiment);
    let mut text = String::new();
    open.and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| format!("cannot read {path}: {error}"))?;
    chaos::parse(&text).map_err(|error| format!("{path}: {error}"))
}
