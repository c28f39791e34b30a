//! Both fidelities give equal ticks: what is equal, and what is not and how far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::{Config, Core};
use model::tick::{RequestPoint, SeriesKey, Tick, TopologyChange};
use model::{Entity, EntityKind, Scope, Timestamp};
use proptest::prelude::*;

use crate::fault::{Family, Fault, Size};
use crate::fleet::{Fleet, address};
use crate::life::Life;
use crate::random::Random;
use crate::session::Session;
use crate::simulate::Fidelity;
use crate::world::World;
use crate::{draw, episode};

/// Latency limits are known from here on, and a fault begins.
const LIMITS_AT: u64 = 45;
const FAULT_AT: u64 = 90;
const ENDS_AT: u64 = 200;
/// Whoever is called by address is known by name this many seconds after the first call.
const NAMED_WITHIN: u64 = 15;

/// Mean durations are compared of so many requests. A tick tells few draws of a service's requests;
/// and a request that failed for a call lasts as long as the call in its trace, where the fluid has
/// one duration for all.
const MANY: f64 = 200.0;
const MEAN_RATIO: std::ops::Range<f64> = 0.5..1.5;

/// The same world twice, told once in points and once in spans.
struct Pair {
    ticks: World,
    spans: World,
    of_ticks: Core,
    of_spans: Core,
    /// Mean durations: by series the requests and their seconds, as each fidelity tells them.
    durations: BTreeMap<SeriesKey, [(f64, f64); 2]>,
    calls: [BTreeSet<(Entity, String)>; 2],
    first_call: BTreeMap<SeriesKey, u64>,
}

impl Pair {
    fn new(fleet: Fleet, random: &Random) -> Pair {
        let life = Life::new(&fleet, random, ENDS_AT);
        let ticks = World::new(Arc::new(fleet), random, life);
        let mut spans = ticks.clone();
        spans.tell_in_spans();
        let core = Core::new(Config::default(), "fidelity");
        Pair {
            ticks,
            spans,
            of_ticks: core.clone(),
            of_spans: core,
            durations: BTreeMap::new(),
            calls: Default::default(),
            first_call: BTreeMap::new(),
        }
    }

    /// One more second; both ticks.
    fn step(&mut self) -> (Tick, Tick) {
        self.ticks.step();
        self.spans.step();
        (self.ticks.tell(&mut self.of_ticks), self.spans.tell(&mut self.of_spans))
    }

    /// Requests are counted by limits near each service's usual durations from now on.
    fn set_limits(&mut self) {
        let service = |node: &&crate::fleet::Node| node.is_service() && node.told;
        let limits = |node: &crate::fleet::Node| vec![node.usual_seconds, 3.0 * node.usual_seconds];
        let services = self.ticks.fleet.nodes.iter().filter(service);
        let limits: BTreeMap<SeriesKey, Vec<f64>> =
            services.map(|node| (SeriesKey::Service(node.entity.clone()), limits(node))).collect();
        self.ticks.count_by(&limits);
        self.spans.count_by(&limits);
        self.of_spans.observer.set_thresholds(limits);
    }

    fn compare(&mut self, ticks: &Tick, spans: &Tick) {
        let second = self.ticks.second;
        assert_eq!(ticks.instances, spans.instances, "at {second}");
        assert_eq!(ticks.heard, spans.heard, "at {second}");
        assert_eq!(ticks.changes, spans.changes, "at {second}");
        assert_eq!(ticks.processes, spans.processes, "at {second}");
        assert_eq!(ticks.in_flight, spans.in_flight, "at {second}");
        assert_eq!(spans.quality.over_limit, 0, "at {second}");
        self.compare_topology(ticks, spans);
        let told = self.by_series(ticks);
        let seen = self.by_series(spans);
        let keys = |points: &BTreeMap<(SeriesKey, Timestamp), RequestPoint>| {
            points.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(&told), keys(&seen), "at {second}");
        for (key, told) in &told {
            let seen = &seen[key];
            let context = || format!("at {second}: {key:?}");
            assert_eq!((told.total, told.errors), (seen.total, seen.errors), "{}", context());
            assert_eq!(told.total_raw, seen.total_raw, "{}", context());
            assert_eq!(told.errors_raw, seen.errors_raw, "{}", context());
            assert_eq!(told.error_kinds, seen.error_kinds, "{}", context());
            match key.0 {
                // Which of its operations failed first is not known of a service.
                SeriesKey::Operation(_) => assert!(told.first_error_at <= seen.first_error_at),
                _ => assert_eq!(told.first_error_at, seen.first_error_at, "{}", context()),
            }
            if !told.within.is_empty() {
                assert_eq!(told.within, seen.within, "{}", context());
            }
            let counts = [told.durations.count(), seen.durations.count()];
            assert!((counts[0] - counts[1]).abs() < 1e-6, "{}: {counts:?}", context());
            let sums = self.durations.entry(key.0.clone()).or_default();
            for (sum, point) in sums.iter_mut().zip([told, seen]) {
                sum.0 += point.durations.count();
                sum.1 += point.durations.sum_seconds();
            }
        }
    }

    fn compare_topology(&mut self, ticks: &Tick, spans: &Tick) {
        let mut news = [BTreeSet::new(), BTreeSet::new()];
        for (at, tick) in [ticks, spans].into_iter().enumerate() {
            for change in &tick.topology {
                match change {
                    TopologyChange::Entity(entity) => {
                        news[at].insert(entity.clone());
                    }
                    TopologyChange::Calls { caller, callee } => {
                        let callee = callee.name.trim_end_matches(":80").to_owned();
                        self.calls[at].insert((caller.clone(), callee));
                    }
                    TopologyChange::Alias { from, entity } => {
                        assert_eq!(from.name, address(&entity.name));
                    }
                }
            }
        }
        // The points of ticks name operations, databases, queues and peers without announcing
        // them; nothing in the loop listens to that.
        let is_heard =
            |entity: &Entity| matches!(entity.kind, EntityKind::Service | EntityKind::Instance);
        news[1].retain(is_heard);
        assert_eq!(news[0], news[1], "at {}", self.ticks.second);
        assert_eq!(self.calls[0], self.calls[1], "at {}", self.ticks.second);
    }

    /// Points by name: a service that is called by address is that service.
    fn by_series(&mut self, tick: &Tick) -> BTreeMap<(SeriesKey, Timestamp), RequestPoint> {
        let mut points = BTreeMap::new();
        for point in &tick.requests {
            let series = self.named(&point.series);
            let double = points.insert((series, point.bucket), point.clone());
            assert!(double.is_none(), "{:?}", point.series);
        }
        points
    }

    fn named(&mut self, series: &SeriesKey) -> SeriesKey {
        let SeriesKey::Edge { caller, callee } = series else { return series.clone() };
        let name = callee.name.trim_end_matches(":80");
        let service = Entity::service(&Scope::default(), name);
        let nodes = &self.ticks.fleet.nodes;
        if callee.kind != EntityKind::Peer || !nodes.iter().any(|node| node.entity == service) {
            return series.clone();
        }
        let second = self.ticks.second;
        let named = SeriesKey::Edge { caller: caller.clone(), callee: service };
        let first = *self.first_call.entry(named.clone()).or_insert(second);
        assert!(second - first <= NAMED_WITHIN, "{caller} calls {callee} by address at {second}");
        named
    }
}

/// A fleet of a few services whose telemetry is whole.
fn small(seed: u64) -> (Fleet, Random) {
    let random = Random::new(seed);
    let mut fleet = draw::fleet_of(&random, false, 5 + (seed % 3) as usize);
    fleet.sampling = 1.0;
    (fleet, random)
}

/// The first fleet that has something for a family to strike, and users enough to feel it.
fn struck_by(family: Family) -> (Fleet, Random) {
    let fits = |(fleet, random): &(Fleet, Random)| {
        let world = World::new(Arc::new(fleet.clone()), random, Life::still(random));
        let fault = Fault::draw(&world, family, Size::Any, &mut random.stream(7));
        fault.is_some_and(|fault| fleet.nodes[fault.node].usual_rate > 5.0)
    };
    (1..1_000).map(small).find(fits).unwrap()
}

fn check(seed: u64, family: Family) -> Pair {
    let (fleet, random) = small(seed);
    let mut pair = Pair::new(fleet, &random);
    for second in 1..=ENDS_AT {
        if second == LIMITS_AT {
            pair.set_limits();
        }
        if second == FAULT_AT
            && let Some(fault) = Fault::draw(&pair.ticks, family, Size::Any, &mut random.stream(7))
        {
            fault.begin(&mut pair.ticks);
            fault.begin(&mut pair.spans);
        }
        let (ticks, spans) = pair.step();
        pair.compare(&ticks, &spans);
    }
    pair
}

impl Pair {
    /// Ratios of what ticks and spans tell of mean durations, of series with enough requests.
    fn mean_ratios(&self) -> impl Iterator<Item = (&SeriesKey, f64)> {
        let many = self.durations.iter().filter(|(_, [of_ticks, _])| of_ticks.0 >= MANY);
        many.map(|(series, [of_ticks, of_spans])| (series, of_ticks.1 / of_spans.1.max(1e-9)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn both_fidelities_give_equal_ticks(
        seed in 0_u64..1_000_000,
        family in prop::sample::select(Family::DEVELOPMENT),
    ) {
        let pair = check(seed, family);
        for (series, ratio) in pair.mean_ratios() {
            prop_assert!(MEAN_RATIO.contains(&ratio), "{series:?}: {ratio}");
        }
    }
}

/// What a sampler leaves is chance, and whole traces go or stay: of a service that one trace asks
/// several times, more goes at once.
#[test]
fn sampled_fleets_differ_by_chance_alone() {
    for (seed, sampling) in [(2, 0.3), (3, 0.1), (11, 0.5)] {
        let (mut fleet, random) = small(seed);
        fleet.sampling = sampling;
        let mut pair = Pair::new(fleet, &random);
        let mut totals: BTreeMap<Entity, [f64; 2]> = BTreeMap::new();
        for _ in 0..ENDS_AT {
            let (ticks, spans) = pair.step();
            for (at, tick) in [ticks, spans].into_iter().enumerate() {
                for point in tick.requests {
                    if let SeriesKey::Service(entity) = point.series {
                        totals.entry(entity).or_default()[at] += point.total;
                    }
                }
            }
        }
        for (service, [ticks, spans]) in totals {
            let asked_at_once = 4.0;
            let spread = (asked_at_once * ticks.max(spans) * (1.0 - sampling) / sampling).sqrt();
            let far = (ticks - spans).abs();
            assert!(far <= 5.0 * spread + 1.0 / sampling, "{seed} {service}: {ticks} {spans}");
        }
    }
}

#[test]
fn traces_show_where_a_delay_is() {
    let (fleet, random) = struck_by(Family::NetworkDelay);
    let mut pair = Pair::new(fleet, &random);
    let (mut gaps, mut orphans, mut spans) = (BTreeMap::<_, f64>::new(), 0, 0);
    let mut fault = None;
    for second in 1..=ENDS_AT {
        if second == FAULT_AT {
            let mut draw = random.stream(7);
            fault = Fault::draw(&pair.spans, Family::NetworkDelay, Size::Any, &mut draw);
            fault.as_ref().unwrap().begin(&mut pair.spans);
        }
        let (_, tick) = pair.step();
        (orphans, spans) = (orphans + tick.quality.orphan_spans, spans + tick.quality.spans);
        for edge in tick.traces.edges {
            let gap = gaps.entry((edge.caller, edge.callee)).or_default();
            *gap = gap.max(edge.gap.times.mean_seconds().unwrap_or(0.0));
        }
    }
    let fault = fault.unwrap();
    let nodes = &pair.spans.fleet.nodes;
    let slow = (nodes[fault.caller.unwrap()].entity.clone(), nodes[fault.node].entity.clone());
    let slowest = gaps.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    assert_eq!(*slowest.0, slow, "{gaps:?}");
    assert!(*slowest.1 > 0.3, "{gaps:?}");
    assert_eq!(orphans, 0, "of {spans} spans");
}

#[test]
fn the_loop_says_the_same_of_a_crash_in_both() {
    let said = |fidelity| {
        let (fleet, random) = struck_by(Family::Crash);
        let life = Life::still(&random);
        let mut world = World::new(Arc::new(fleet), &random, life);
        if fidelity == Fidelity::Spans {
            world.tell_in_spans();
        }
        let mut session = Session::new(world, &random);
        (0..120).for_each(|_| session.step());
        let mut draw = random.stream(7);
        let fault = Fault::draw(&session.world, Family::Crash, Size::Any, &mut draw).unwrap();
        let episode = episode::run(session, &fault, true);
        (episode.hurt_after, episode.first_right, episode.right_decision, episode.paged_after)
    };
    let (ticks, spans) = (said(Fidelity::Ticks), said(Fidelity::Spans));
    assert_eq!((ticks.0, ticks.1, ticks.2), (spans.0, spans.1, spans.2));
    let (ticks, spans) = (ticks.3.unwrap(), spans.3.unwrap());
    assert!(ticks.abs_diff(spans) <= 5, "paged after {ticks} s and {spans} s");
}
