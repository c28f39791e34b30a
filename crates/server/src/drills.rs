//! Runs drills: one at a time, each a `chaos::Drill` that looks once a second and orders through
//! the agent.
//!
//! The record stands in the journal's `drills` table and is taken up again after a restart. Nothing
//! of it goes into the input log: the loop cannot know that it is being drilled.

mod calendar;

mod client_log;

mod plan;

mod proof;

mod schedule;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::protocol::{FaultId, FaultState, Injection};
use chaos::{ClientLog, Drill, FaultView, Order, Phase, View};
use model::experiment::{Experiment, Scorecard};
use model::symptom::ObjectiveState;
use model::tick::{ProcessIdentity, ProcessState};
use model::{Incident, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use calendar::Became;
use calendar::Calendar;
use client_log::LogFile;
pub use plan::Plan;
pub use proof::ProofError;
pub use schedule::{Overview, Planned};

use crate::config::Config;
use crate::driver::{self, Handle};
use crate::hands::Hands;
use crate::journal::{self, Journal};
use crate::{clock, driver::Error};

/// Drills of one answer.
pub const LIST_MAX: usize = 200;

/// A drill as it is stored and shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DrillRecord")]
pub struct Record {
    pub id: u64,
    pub by: String,
    pub drill: Drill,
    pub fault: FaultView,
    /// The process that the fault was aimed at.
    pub victim: Option<ProcessIdentity>,
    pub scorecard: Option<Scorecard>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Driver(#[from] driver::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

#[derive(Clone)]
pub struct Drills {
    handle: Handle,
    hands: Hands,
    journal: Arc<Journal>,
    targets: Arc<BTreeMap<String, agent::Target>>,
    /// On which the server listens.
    own_ports: Arc<[u16]>,
    running: Arc<Mutex<Option<Running>>>,
    calendar: Arc<Calendar>,
}

/// Number of the drill that runs, and how to stop it.
type Running = (u64, oneshot::Sender<String>);

impl Drills {
    /// `seed` is for a journal that has none yet.
    pub fn open(
        handle: Handle,
        hands: Hands,
        journal: Arc<Journal>,
        config: &Config,
        seed: u64,
    ) -> Result<Drills, journal::Error> {
        let otlp = &config.receivers.otlp;
        let own_ports = [config.api.listen, otlp.grpc, otlp.http].map(|address| address.port());
        let targets = config.targets.iter().map(|target| (target.name.clone(), target.clone()));
        let entries = config.drills.schedule.clone();
        let calendar = Calendar::open(entries, journal.clone(), seed, clock::now())?;
        Ok(Drills {
            handle,
            hands,
            journal,
            targets: Arc::new(targets.collect()),
            own_ports: Arc::new(own_ports),
            running: Arc::default(),
            calendar: Arc::new(calendar),
        })
    }

    /// Ends drills that were running when the server ended: undone, and recorded as aborted. One
    /// that cannot be read is told of, and left to the agent, which undoes by itself.
    pub fn resume(&self) {
        let unfinished = self.journal.drills(true, LIST_MAX).unwrap_or_else(|error| {
            tracing::error!("cannot read the drills: {:#}", anyhow::Error::new(error));
            Vec::new()
        });
        for (id, body) in unfinished {
            let record: Record = match serde_json::from_str(&body) {
                Ok(record) => record,
                Err(error) => {
                    tracing::error!(drill = id, %error, "the record cannot be read");
                    continue;
                }
            };
            // Nothing else may be drilled until this is over; it cannot be stopped any more than it
            // is.
            let (stop, _) = oneshot::channel();
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((record.id, stop));
            tokio::spawn(self.clone().abort(record));
        }
    }

    async fn abort(self, mut record: Record) {
        const WHY: &str = "the server was restarted";
        record.drill.stop(clock::now(), WHY);
        record.drill.abort.get_or_insert_with(|| WHY.to_owned());
        self.save(&record, None);
        let fault = FaultId(format!("drill-{}", record.id));
        while record.drill.phase != Phase::Done {
            // The agent undoes by itself as well; this only makes it sooner, and tells the end.
            if self.hands.connected() {
                let _ = self.hands.undo(&fault);
                let _ = self.hands.query_fault(&fault);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.step(&mut record, &fault, &mut None, clock::now()).await;
            if record.fault.refused.is_some() {
                // It never was injected: there is nothing to undo.
                record.drill.phase = Phase::Done;
            }
        }
        self.finish(&mut record, &None).await;
        self.no_longer_running(record.id);
    }

    fn no_longer_running(&self, id: u64) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.take_if(|(running, _)| *running == id);
    }

    /// Newest first.
    pub fn list(&self, limit: usize) -> Result<Vec<Record>, journal::Error> {
        let bodies = self.journal.drills(false, limit.min(LIST_MAX))?;
        // One that cannot be read hides no other.
        Ok(bodies.iter().filter_map(|(_, body)| serde_json::from_str(body).ok()).collect())
    }

    pub fn get(&self, id: u64) -> Result<Option<Record>, journal::Error> {
        Ok(self.journal.drill(id)?.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// Asks the running drill to undo and end.
    pub fn stop(&self, id: u64, by: &str) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *running {
            // It stays in its place until the fault is undone: nothing else may begin before.
            Some((running, stop)) if *running == id => {
                let (spent, _) = oneshot::channel();
                let stop = std::mem::replace(stop, spent);
                stop.send(format!("stopped by {by}")).is_ok()
            }
            _ => false,
        }
    }

    /// Ends the running drill, if there is one, has the agent undo every fault that it knows, and
    /// stops the schedule until it is resumed.
    pub fn stop_all(&self, by: &str) -> Result<Option<u64>, String> {
        let stopped = self.calendar.stop(by, clock::now());
        let running = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.as_ref().map(|(id, _)| *id)
        };
        if let Some(id) = running {
            self.stop(id, by);
        }
        let told = self.hands.undo_all();
        let running = told.map(|()| running).map_err(|error| {
            format!(
                "{error}; it undoes all faults by itself when it has not heard of the server \
                     for 30 s"
            )
        })?;
        stopped.map(|()| running).map_err(|error| format!("the schedule goes on: {error}"))
    }

    /// Checks what can be checked beforehand, records the drill, and lets it run.
    pub async fn start(&self, experiment: Experiment, by: &str) -> Result<u64, StartError> {
        // Said before all that the agent could say: it may be away just now.
        if let Some((id, _)) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(one_at_a_time(*id));
        }
        let refusals = self.refusals(&experiment).await?;
        if !refusals.is_empty() {
            return Err(StartError::Refused(refusals.join("; ")));
        }
        let log = match &experiment.client_log {
            Some(path) => Some(LogFile::open(path).map_err(StartError::Refused)?),
            None => None,
        };
        let last_incident = self.handle.ask(|core| core.engine.diagnoser.last_id().0).await?;
        let now = clock::now();
        let drill = Drill::new(experiment, now, last_incident);
        let mut record = Record {
            id: 0,
            by: by.to_owned(),
            drill,
            fault: FaultView::default(),
            victim: None,
            scorecard: None,
        };
        let (stop, stopped) = oneshot::channel();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((id, _)) = &*running {
                return Err(one_at_a_time(*id));
            }
            record.id = self.journal.insert_drill(now, &json(&record)?)?;
            *running = Some((record.id, stop));
        }
        self.save(&record, None);
        let id = record.id;
        tokio::spawn(self.clone().run(record, log, stopped));
        Ok(id)
    }

    async fn run(
        self,
        mut record: Record,
        mut log: Option<LogFile>,
        mut stopped: oneshot::Receiver<String>,
    ) {
        let fault = FaultId(format!("drill-{}", record.id));
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopping = false;
        while record.drill.phase != Phase::Done {
            tokio::select! {
                _ = beat.tick() => {}
                why = &mut stopped, if !stopping => {
                    stopping = true;
                    let why = why.unwrap_or_else(|_| "the server stops".to_owned());
                    if record.drill.stop(clock::now(), &why) == Some(Order::Undo) {
                        self.order(&mut record, &fault, Order::Undo).await;
                    }
                }
            }
            self.step(&mut record, &fault, &mut log, clock::now()).await;
        }
        self.finish(&mut record, &log).await;
        self.no_longer_running(record.id);
    }

    async fn step(
        &self,
        record: &mut Record,
        fault: &FaultId,
        log: &mut Option<LogFile>,
        now: Timestamp,
    ) {
        if let Some(read) = log.take() {
            // A busy client's log takes the disk's time.
            *log = tokio::task::spawn_blocking(|| read.read()).await.ok();
        }
        self.look_at_fault(record, fault);
        let Ok(seen) = self.seen().await else { return };
        let lines = record.drill.progress.len();
        let client = log.as_ref().map(LogFile::log);
        let order = seen.with_view(now, &record.fault, client, |view| record.drill.step(view));
        if let Some(order) = order {
            self.order(record, fault, order).await;
        }
        if record.drill.progress.len() != lines || order.is_some() {
            self.save(record, None);
        }
    }

    async fn order(&self, record: &mut Record, fault: &FaultId, order: Order) {
        let told = match order {
            Order::Inject => {
                record.victim = self.process(&record.drill.experiment.target).await;
                self.save(record, None);
                self.hands.inject(injection(record, fault))
            }
            Order::Undo => {
                let runs = self.process(&record.drill.experiment.target).await;
                record.fault.found_healed = runs.is_some() && runs != record.victim;
                self.hands.undo(fault)
            }
        };
        if let Err(error) = told {
            tracing::warn!(%error, drill = record.id, "agent was not told to {order:?}");
            if order == Order::Inject {
                record.fault.refused = Some(error.to_string());
            }
        }
    }

    /// The running process of a target, as the agent's everyday reports tell.
    async fn process(&self, target: &str) -> Option<ProcessIdentity> {
        let target = target.to_owned();
        let found = self.handle.ask(move |core| {
            core.engine.processes().find(|report| report.target == target).cloned()
        });
        match found.await.ok()??.state {
            ProcessState::Running(identity) => Some(identity),
            _ => None,
        }
    }

    fn look_at_fault(&self, record: &mut Record, fault: &FaultId) {
        let Some(report) = self.hands.fault(fault) else { return };
        let view = &mut record.fault;
        view.injected_at = report.injected_at;
        view.effective_at = report.effective_at;
        view.undone_at = report.undone_at;
        match report.state {
            FaultState::Refused => view.refused = Some(report.detail),
            FaultState::NotEffective => view.ineffective = Some(report.detail),
            _ => {}
        }
    }

    async fn finish(&self, record: &mut Record, log: &Option<LogFile>) {
        if let Ok(seen) = self.seen().await {
            let client = log.as_ref().map(LogFile::log);
            let now = clock::now();
            let card =
                seen.with_view(now, &record.fault, client, |view| record.drill.scorecard(view));
            record.scorecard = Some(card);
        }
        self.save(record, Some(clock::now()));
    }

    fn save(&self, record: &Record, finished: Option<Timestamp>) {
        let saved =
            json(record).and_then(|body| self.journal.update_drill(record.id, &body, finished));
        if let Err(error) = saved {
            tracing::error!(drill = record.id, "cannot be saved: {:#}", anyhow::Error::new(error));
        }
    }

    async fn seen(&self) -> Result<Seen, Error> {
        self.handle
            .ask(|core| Seen {
                objectives: core.engine.observed().objectives.clone(),
                incidents: core.engine.diagnoser.incidents().cloned().collect(),
                plans: core.engine.healer.plans().cloned().collect(),
            })
            .await
    }
}

fn one_at_a_time(id: u64) -> StartError {
    StartError::Refused(format!("drill {id} is running; one at a time"))
}

fn injection(record: &Record, fault: &FaultId) -> Injection {
    let experiment = &record.drill.experiment;
    Injection {
        id: fault.clone(),
        fault: experiment.fault.clone().expect("only a drill with a fault orders to inject it"),
        target: experiment.target.clone(),
        environment: experiment.blast_radius.environment.clone(),
        deadline: clock::now() + experiment.deadline.0,
    }
}

fn json(record: &Record) -> Result<String, journal::Error> {
    Ok(serde_json::to_string(record)?)
}

/// What a drill may look at, copied out of the loop.
struct Seen {
    objectives: Vec<ObjectiveState>,
    incidents: Vec<Incident>,
    plans: Vec<model::Plan>,
}

impl Seen {
    fn with_view<T>(
        &self,
        now: Timestamp,
        fault: &FaultView,
        client: Option<&ClientLog>,
        look: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let incidents: Vec<&Incident> = self.incidents.iter().collect();
        let plans: Vec<&model::Plan> = self.plans.iter().collect();
        look(&View {
            now,
            objectives: &self.objectives,
            incidents: &incidents,
            plans: &plans,
            fault,
            client,
        })
    }
}
