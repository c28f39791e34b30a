//! `Core`: observer and engine together, driven by entries of the input log.

use model::Timestamp;
use model::tick::Quality;
use observe::Observer;
use serde::{Deserialize, Serialize};

use crate::figures::Figures;
use crate::samples::Samples;
use crate::{Config, Effects, Engine, Entry, Input};

/// All state of the loop. Start empty, apply entries in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Core {
    pub observer: Observer,
    pub engine: Engine,
    ticks: u64,
    quality: Quality,
    samples: Samples,
    /// For people who look; not saved.
    #[serde(skip)]
    figures: Figures,
}

impl Core {
    /// `id_prefix` makes action ids unique across data folders; take it from the data folder.
    pub fn new(config: Config, id_prefix: &str) -> Self {
        Core {
            observer: Observer::new(config.observe.clone()),
            engine: Engine::new(config, id_prefix),
            ticks: 0,
            quality: Quality::default(),
            samples: Samples::default(),
            figures: Figures::default(),
        }
    }

    /// Takes one entry. Effects come from ticks, outcomes, commands and reloads; telemetry only
    /// gathers.
    pub fn apply(&mut self, entry: Entry) -> Effects {
        match entry {
            Entry::Telemetry { arrival, batch } => self.observer.take(&batch, arrival),
            Entry::Probe(result) => self.observer.probe(result),
            Entry::Alerts { reports, left_out } => {
                let quality = &mut self.quality;
                quality.alerts = quality.alerts.saturating_add(reports.len() as u64);
                quality.alerts_left_out = quality.alerts_left_out.saturating_add(left_out);
                reports.into_iter().for_each(|report| self.observer.alert(report));
            }
            Entry::Processes(reports) => {
                reports.into_iter().for_each(|report| self.observer.process(report));
            }
            Entry::Conditions(reports) => {
                reports.into_iter().for_each(|report| self.observer.condition(report));
            }
            Entry::Change(change) => self.observer.change(change),
            Entry::Renumber { event, incident, plan } => {
                self.engine.continue_after(event, incident, plan);
            }
            Entry::Tick { now } => return self.tick(now),
            Entry::Outcome { now, outcome } => {
                return self.engine.step(Input::Outcome(now, outcome));
            }
            Entry::Command { now, by, command } => {
                return self.engine.step(Input::Command(now, by, command));
            }
            Entry::Reload { now, config } => {
                self.observer.reload(config.observe.clone());
                return self.engine.step(Input::Reload(now, config));
            }
        }
        Effects::default()
    }

    fn tick(&mut self, now: Timestamp) -> Effects {
        self.ticks += 1;
        let mut effects = Effects::default();
        if self.engine.is_set_back(now) {
            self.observer = Observer::new(self.engine.config().observe.clone());
            self.samples = Samples::default();
            self.figures = Figures::default();
            effects = self.engine.start_anew(now);
        }
        self.observer.set_thresholds(self.engine.detectors.thresholds());
        let tick = self.observer.tick(self.ticks, now.max(self.engine.now()));
        self.quality.add(&tick.quality);
        effects.samples = self.samples.step(&tick);
        self.figures.step(&tick);
        let stepped = self.engine.step(Input::Advance(Box::new(tick)));
        effects.events.extend(stepped.events);
        effects.orders.extend(stepped.orders);
        effects
    }

    /// What could not be taken as it came, since the state was begun.
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// Rates, errors and durations of the last minutes.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    pub fn ticks(&self) -> u64 {
        self.ticks
    }
}
