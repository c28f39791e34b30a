//! What is learnt of the surroundings from ticks and incidents.

use model::tick::InstanceEventKind::{Back, Seen, Silent, Vanished, Version};
use model::{Change, Scope};

use super::*;
use crate::fixtures as f;

fn instance(name: &str) -> Entity {
    Entity::instance(&Scope::default(), "orders", name)
}

fn event(name: &str, kind: InstanceEventKind) -> InstanceEvent {
    InstanceEvent { at: f::at(0), instance: instance(name), kind }
}

fn seen(version: &str) -> InstanceEventKind {
    Seen { version: version.into() }
}

fn at(second: u64, instances: Vec<InstanceEvent>) -> Tick {
    Tick { now: f::at(second), instances, ..Tick::default() }
}

fn two_of(version: &str) -> Surroundings {
    let mut surroundings = Surroundings::default();
    surroundings.see_tick(&at(0, vec![event("o-1", seen(version)), event("o-2", seen(version))]));
    surroundings
}

fn is_deploying(surroundings: &Surroundings, second: u64) -> bool {
    surroundings.deploy(&f::service("orders"), f::at(second), &Limits::default()).is_some()
}

#[test]
fn an_instance_is_well_while_it_speaks_and_nobody_blames_it() {
    let mut surroundings = two_of("v1");
    let well = |surroundings: &Surroundings| {
        let service = f::service("orders");
        surroundings.instances(&service).iter().filter(|(_, is_well)| *is_well).count()
    };
    assert_eq!(well(&surroundings), 2);
    surroundings.see_tick(&at(9, vec![event("o-1", Silent { last_heard: f::at(0) })]));
    assert_eq!(well(&surroundings), 1);
    assert!(surroundings.is_silent(&instance("o-1")));
    assert!(!surroundings.is_silent(&f::service("orders")), "the other speaks");
    surroundings.see_tick(&at(12, vec![event("o-1", Back)]));
    assert_eq!(well(&surroundings), 2);
    let mut incident = f::incident(1, "orders");
    incident.causes[0].entity = instance("o-2");
    surroundings.see_incidents([&incident].into_iter());
    assert_eq!(well(&surroundings), 1);
    incident.causes[0].entity = f::service("orders");
    surroundings.see_incidents([&incident].into_iter());
    assert_eq!(well(&surroundings), 0, "the whole service is to blame");
    surroundings.see_incidents([].into_iter());
    surroundings.see_tick(&at(20, vec![event("o-1", Vanished { last_heard: f::at(0) })]));
    assert_eq!(surroundings.instances(&f::service("orders")).len(), 1);
}

#[test]
fn a_deploy_is_under_way_until_all_speak_of_one_version_and_nothing_moves() {
    let mut surroundings = two_of("v1");
    assert!(!is_deploying(&surroundings, 1), "to be seen for the first time is no deploy");
    let version = || Version { from: "v1".into(), to: "v2".into() };
    surroundings.see_tick(&at(100, vec![event("o-1", version())]));
    assert!(is_deploying(&surroundings, 101));
    assert!(is_deploying(&surroundings, 1_000), "two versions run beside each other");
    surroundings.see_tick(&at(1_000, vec![event("o-2", version())]));
    assert!(is_deploying(&surroundings, 1_059));
    assert!(!is_deploying(&surroundings, 1_060));
    surroundings.see_tick(&at(2_000, vec![event("o-3", seen("v2"))]));
    assert!(!is_deploying(&surroundings, 2_001), "one more of the same version");
    surroundings.see_tick(&at(3_000, vec![event("o-4", seen("v3"))]));
    assert!(is_deploying(&surroundings, 3_001));
    assert!(!is_deploying(&surroundings, 4_800), "a canary that stays is no deploy for ever");
}

#[test]
fn a_deploy_that_somebody_tells_of_counts_and_our_own_does_not() {
    for (source, counts) in [("api", true), ("immune", false)] {
        let mut surroundings = Surroundings::default();
        let change = Change {
            at: f::at(5),
            kind: ChangeKind::Deploy,
            entity: f::service("orders"),
            summary: "v2".into(),
            source: source.into(),
        };
        let tick = Tick { changes: vec![change], ..f::tick(f::at(5)) };
        surroundings.see_tick(&tick);
        assert_eq!(is_deploying(&surroundings, 6), counts, "{source}");
    }
}

#[test]
fn services_share_the_databases_that_they_call() {
    let database = Entity::new(&Scope::default(), EntityKind::Database, "postgresql/shop");
    let calls =
        |callee: &Entity| TopologyChange::Calls { caller: instance("o-1"), callee: callee.clone() };
    let mut surroundings = Surroundings::default();
    let topology = vec![calls(&database), calls(&f::service("payment"))];
    surroundings.see_tick(&Tick { topology, ..Tick::default() });
    let stores: Vec<&Entity> = surroundings.stores(&f::service("orders")).collect();
    assert_eq!(stores, [&database]);
}
