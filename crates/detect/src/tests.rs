//! Scenes for all inspections: services with an exporter that sends each 5 s, as stock SDKs do.

mod absent;
mod burning;
mod configuration;
mod missing;
mod properties;
mod quiet;
mod recovery;
mod slow;

use std::collections::BTreeMap;

use model::symptom::{Health, ObjectiveState, Observed, Symptom, SymptomKind};
use model::tick::{BUCKET, Exemplar, RequestPoint, SeriesKey};
use model::{Entity, EntityKind, Histogram, Scope, Tick, Timestamp};

use crate::{Config, Detectors};

/// Pseudo-random numbers (Knuth's MMIX constants), so that a run is named by its seed.
pub struct Lcg(u64);

impl Lcg {
    pub fn new(seed: u64) -> Self {
        let mut lcg = Lcg(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        lcg.uniform();
        lcg
    }

    /// 0 (included) to 1 (excluded).
    pub fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// How many of `count` happen at `share`.
    pub fn among(&mut self, count: u64, share: f64) -> u64 {
        (0..count).filter(|_| self.uniform() < share).count() as u64
    }

    /// A number of events with this mean.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let (mut count, mut product) = (0, self.uniform());
        let limit = (-mean).exp();
        while product > limit && count < 10_000 {
            count += 1;
            product *= self.uniform();
        }
        count
    }
}

/// Where scenes begin: a full hour.
pub const START: u64 = 1_800_000_000;

pub fn scope() -> Scope {
    Scope::new("default", "production")
}

pub fn service(name: &str) -> Entity {
    Entity::service(&scope(), name)
}

pub fn at(second: u64) -> Timestamp {
    Timestamp::from_secs(START + second)
}

/// A world in which seconds pass.
#[derive(Clone)]
pub struct Scene {
    pub detectors: Detectors,
    /// Seconds since the start.
    pub second: u64,
    /// Seconds between exports.
    pub export_every: u64,
    pending: BTreeMap<(SeriesKey, Timestamp), RequestPoint>,
    tick: Tick,
    pub observed: Observed,
    /// (second, symptom) of each that began, and (second, source) of each that ended.
    pub began: Vec<(u64, Symptom)>,
    pub ended: Vec<(u64, String)>,
}

/// A scene under a configuration.
pub fn scene(config: Config) -> Scene {
    assert_eq!(config.validate(), [], "the scene's configuration is good");
    Scene {
        detectors: Detectors::new(config),
        second: 0,
        export_every: 5,
        pending: BTreeMap::new(),
        tick: Tick::default(),
        observed: Observed::default(),
        began: Vec::new(),
        ended: Vec::new(),
    }
}

impl Scene {
    /// Requests that end in this second, each taking `seconds`.
    pub fn requests(&mut self, series: SeriesKey, good: u64, bad: u64, seconds: f64) {
        if good + bad == 0 {
            return;
        }
        let now = at(self.second);
        let limits = self.detectors.thresholds().remove(&series).unwrap_or_default();
        let bucket = now.floor_to(BUCKET);
        let point = self.pending.entry((series.clone(), bucket)).or_insert_with(|| RequestPoint {
            series,
            bucket,
            total: 0.0,
            errors: 0.0,
            total_raw: 0,
            errors_raw: 0,
            durations: Histogram::default(),
            within: limits.iter().map(|limit| (*limit, 0.0)).collect(),
            error_kinds: Vec::new(),
            first_error_at: None,
            exemplar: None,
        });
        point.total += (good + bad) as f64;
        point.total_raw += good + bad;
        point.errors += bad as f64;
        point.errors_raw += bad;
        point.durations.record(seconds, (good + bad) as f64);
        for (limit, within) in &mut point.within {
            if seconds <= *limit {
                *within += good as f64;
            }
        }
        if bad > 0 {
            point.first_error_at.get_or_insert(now);
            let exemplar = Exemplar { trace_id: "0af7".to_owned(), error: true, duration_nanos: 1 };
            point.exemplar.get_or_insert(exemplar);
            match point.error_kinds.first_mut() {
                Some(kind) => kind.1 += bad as f64,
                None => point.error_kinds.push(("502".to_owned(), bad as f64)),
            }
        }
    }

    /// Requests served by a service in this second.
    pub fn serve(&mut self, name: &str, good: u64, bad: u64) {
        self.requests(SeriesKey::Service(service(name)), good, bad, 0.02);
    }

    pub fn operate(&mut self, name: &str, operation: &str, good: u64) {
        let entity = Entity::operation(&scope(), name, operation);
        self.requests(SeriesKey::Operation(entity), good, 0, 0.02);
    }

    pub fn call(&mut self, caller: &str, kind: EntityKind, callee: &str, count: u64) {
        let callee = Entity::new(&scope(), kind, callee);
        let series = SeriesKey::Edge { caller: service(caller), callee };
        self.requests(series, count, 0, 0.01);
    }

    pub fn in_flight(&mut self, name: &str, value: f64) {
        self.tick.in_flight.push((service(name), value));
    }

    pub fn heard(&mut self, name: &str) {
        self.tick.heard.push((service(name), at(self.second)));
    }

    pub fn tick(&mut self) -> &mut Tick {
        &mut self.tick
    }

    /// A second passes.
    pub fn step(&mut self) {
        let mut tick = std::mem::take(&mut self.tick);
        tick.seq = self.second;
        tick.now = at(self.second);
        if self.second.is_multiple_of(self.export_every) {
            tick.requests = std::mem::take(&mut self.pending).into_values().collect();
        }
        let before: Vec<_> = self.observed.firing.iter().map(Symptom::key).collect();
        self.observed = self.detectors.step(&tick);
        let fresh = self.observed.firing.iter().filter(|symptom| !before.contains(&symptom.key()));
        self.began.extend(fresh.map(|symptom| (self.second, symptom.clone())));
        let ended = self.observed.cleared.iter().map(|(key, _)| (self.second, key.source.clone()));
        self.ended.extend(ended);
        self.second += 1;
    }

    /// So many seconds pass; `each` says what happens in each.
    pub fn run(&mut self, seconds: u64, mut each: impl FnMut(&mut Scene)) -> &mut Scene {
        for _ in 0..seconds {
            each(self);
            self.step();
        }
        self
    }

    /// `Some(good, bad)` alternating so that fractions of requests per second come out right.
    pub fn share(&self, per_second: f64) -> u64 {
        let upto = |second: u64| (second as f64 * per_second + 1e-9).floor() as u64;
        upto(self.second + 1) - upto(self.second)
    }

    pub fn objective(&self, source: &str) -> &ObjectiveState {
        self.observed.objectives.iter().find(|state| state.source == source).unwrap()
    }

    pub fn health(&self, source: &str) -> Health {
        self.objective(source).health
    }

    pub fn pages(&self, kind: SymptomKind) -> Vec<&Symptom> {
        self.began.iter().map(|(_, symptom)| symptom).filter(|it| it.kind == kind).collect()
    }
}

/// Ten quiet minutes of a service with so many requests per second.
pub fn warm(name: &str, per_second: f64) -> Scene {
    let mut scene = scene(Config::default());
    scene.run(600, |scene| {
        let count = scene.share(per_second);
        scene.serve(name, count, 0);
    });
    assert!(scene.began.is_empty());
    scene
}
