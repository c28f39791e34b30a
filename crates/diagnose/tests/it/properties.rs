//! Determinism, snapshots, and no panic whatever comes in.

use diagnose::{Config, Diagnoser};
use model::symptom::Observed;
use model::tick::{
    InstanceEvent, InstanceEventKind, ProcessReport, ProcessState, RequestPoint, SeriesKey,
    TopologyChange,
};
use model::{
    Change, ChangeKind, Entity, EntityKind, Histogram, IncidentState, Scope, Severity, Symptom,
    SymptomKind, Tick, Timestamp,
};
use proptest::prelude::*;

use crate::scene::*;

fn a_whole_story() -> Scene {
    let mut scene = polyglot(300);
    kill_orders(&mut scene);
    scene.seconds(30).runs("orders", &service("orders"), 4400).seconds(10);
    scene.calls(&service("storefront"), &service("orders"), well(10));
    scene.serves(&service("storefront"), well(10)).seconds(5);
    scene.recovers(&service("storefront")).seconds(60).clears(&service("storefront")).seconds(2);
    scene
}

#[test]
fn the_same_ticks_give_the_same_incidents_byte_for_byte() {
    let scene = a_whole_story();
    let mut again = Diagnoser::new(Config::default());
    for ((tick, observed), told) in scene.ticks.iter().zip(&scene.told) {
        assert_eq!(again.step(tick, observed), *told);
    }
    let (one, other) = (postcard::to_stdvec(&scene.diagnoser), postcard::to_stdvec(&again));
    assert_eq!(one.unwrap(), other.unwrap());
}

#[test]
fn a_snapshot_at_any_moment_goes_on_as_if_nothing_had_been() {
    let scene = a_whole_story();
    let mut snapshotted = Diagnoser::new(Config::default());
    for (at, ((tick, observed), told)) in scene.ticks.iter().zip(&scene.told).enumerate() {
        if at % 10 == 0 {
            let bytes = postcard::to_stdvec(&snapshotted).unwrap();
            snapshotted = postcard::from_bytes(&bytes).unwrap();
        }
        assert_eq!(snapshotted.step(tick, observed), *told);
    }
    assert_eq!(snapshotted, scene.diagnoser);
}

fn any_entity() -> impl Strategy<Value = Entity> {
    let kind = prop::sample::select(EntityKind::ALL);
    (kind, 0..4_u8, 0..3_u8, any::<bool>()).prop_map(|(kind, name, part, staging)| {
        let scope = if staging { Scope::new("t", "staging") } else { Scope::default() };
        let part_of = match kind {
            EntityKind::Instance | EntityKind::Operation => format!("s{part}"),
            _ => String::new(),
        };
        Entity::part(&scope, kind, &part_of, &format!("s{name}"))
    })
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0..2_000_u64).prop_map(|s| Timestamp(START.0 + s * 1_000_000_000)),
        1 => any::<u64>().prop_map(Timestamp),
    ]
}

fn any_count() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..100.0_f64, 1 => any::<f64>()]
}

fn any_symptom() -> impl Strategy<Value = Symptom> {
    let kind = prop::sample::select(SymptomKind::ALL);
    let numbers = (any_count(), any_count(), any_count());
    let recovering = prop::option::of(any_time());
    (any_entity(), kind, any_time(), recovering, numbers, any::<bool>()).prop_map(
        |(entity, kind, onset, recovering_since, (measured, bad, total), page)| Symptom {
            entity,
            kind,
            source: "x".to_owned(),
            severity: if page { Severity::Page } else { Severity::Ticket },
            onset,
            detected: onset,
            recovering_since,
            measured,
            threshold: 0.01,
            unit: "ratio".to_owned(),
            bad,
            total,
            error_kinds: Vec::new(),
            exemplar: None,
            runbook_url: String::new(),
            summary: String::new(),
        },
    )
}

fn any_point() -> impl Strategy<Value = RequestPoint> {
    let series = prop_oneof![
        any_entity().prop_map(SeriesKey::Service),
        (any_entity(), any_entity())
            .prop_map(|(caller, callee)| SeriesKey::Edge { caller, callee }),
    ];
    (series, any_time(), any_count(), any_count(), any::<u64>(), any::<u64>(), "[a-z0-9_]{0,12}")
        .prop_map(|(series, bucket, total, errors, total_raw, errors_raw, kind)| RequestPoint {
            series,
            bucket,
            total,
            errors,
            total_raw,
            errors_raw,
            durations: Histogram::default(),
            within: Vec::new(),
            error_kinds: vec![(kind, errors)],
            first_error_at: Some(bucket),
            exemplar: None,
        })
}

fn any_process() -> impl Strategy<Value = ProcessReport> {
    let state = prop_oneof![
        (0..4_u32).prop_map(|pid| ProcessState::Running(identity(pid))),
        (0..4_u32, any_time(), any::<bool>()).prop_map(|(pid, last_seen, stop_requested)| {
            ProcessState::Gone { last: identity(pid), last_seen, stop_requested }
        }),
        Just(ProcessState::NeverSeen),
    ];
    let memory = prop::option::of(any::<u64>());
    (any_entity(), any_time(), state, memory).prop_map(|(entity, at, state, memory_bytes)| {
        let target = entity.to_string();
        ProcessReport { at, target, entity, state, memory_bytes }
    })
}

fn any_instance() -> impl Strategy<Value = InstanceEvent> {
    let kind = prop_oneof![
        Just(InstanceEventKind::Seen { version: String::new() }),
        Just(InstanceEventKind::Back),
        any_time().prop_map(|last_heard| InstanceEventKind::Silent { last_heard }),
        any_time().prop_map(|last_heard| InstanceEventKind::Vanished { last_heard }),
    ];
    (any_entity(), any_time(), kind).prop_map(|(instance, at, kind)| InstanceEvent {
        at,
        instance,
        kind,
    })
}

fn any_tick() -> impl Strategy<Value = (Tick, Observed)> {
    let topology = prop_oneof![
        (any_entity(), any_entity())
            .prop_map(|(caller, callee)| TopologyChange::Calls { caller, callee }),
        (any_entity(), any_entity())
            .prop_map(|(from, entity)| TopologyChange::Alias { from, entity }),
    ];
    let change = (any_entity(), any_time()).prop_map(|(entity, at)| Change {
        at,
        kind: ChangeKind::Deploy,
        entity,
        summary: String::new(),
        source: "api".to_owned(),
    });
    let parts = (
        prop::collection::vec(any_point(), 0..6),
        prop::collection::vec(topology, 0..3),
        prop::collection::vec(any_instance(), 0..2),
        prop::collection::vec(change, 0..2),
        prop::collection::vec(any_process(), 0..2),
        prop::collection::vec((any_entity(), any_time()), 0..3),
    );
    let symptoms = prop::collection::vec(any_symptom(), 0..4);
    let cleared = prop::collection::vec(any_symptom(), 0..2);
    (parts, symptoms, cleared).prop_map(|(parts, firing, cleared)| {
        let (requests, topology, instances, changes, processes, heard) = parts;
        let tick =
            Tick { requests, topology, instances, changes, processes, heard, ..Tick::default() };
        let cleared = cleared.iter().map(|symptom| (symptom.key(), symptom.onset)).collect();
        (tick, Observed { firing, cleared, objectives: Vec::new() })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_comes_in_breaks_an_invariant(
        story in prop::collection::vec((any_tick(), 1..200_u64), 1..30),
    ) {
        let mut diagnoser = Diagnoser::new(Config::default());
        let mut now = START;
        for (seq, ((mut tick, observed), pause)) in story.into_iter().enumerate() {
            now = now + std::time::Duration::from_secs(pause);
            tick.now = now;
            tick.seq = seq as u64;
            diagnoser.step(&tick, &observed);
            for incident in diagnoser.incidents() {
                prop_assert!(!incident.causes.is_empty());
                prop_assert!(!incident.title.is_empty());
                let is_fine = |c: &model::Cause| (0.0..=1.0).contains(&c.confidence);
                prop_assert!(incident.causes.iter().all(is_fine));
                let same_scope = |e: &Entity| e.scope == incident.scope;
                prop_assert!(incident.causes.iter().all(|cause| same_scope(&cause.entity)));
                prop_assert!(incident.symptoms.iter().all(|one| same_scope(&one.entity)));
                let is_resolved = incident.state == IncidentState::Resolved;
                prop_assert_eq!(is_resolved, incident.resolved.is_some());
                prop_assert!(!is_resolved || incident.firing.is_empty());
            }
        }
        let bytes = postcard::to_stdvec(&diagnoser).unwrap();
        let back: Diagnoser = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(postcard::to_stdvec(&back).unwrap(), bytes);
    }
}
