//! Storms, and what shares a fate, told as stories.

use model::tick::ProcessReport;
use model::{Mode, PlanState};

use crate::fixtures as f;
use crate::healer::tests::World;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "g"];

/// So many of six targets are gone, each with an incident.
fn storm(gone: usize) -> World {
    let incidents = (1..).zip(&NAMES[..gone]).map(|(id, name)| f::incident(id, name)).collect();
    let mut config = f::config(Mode::Auto, &NAMES);
    config.guardrails.actions_in_flight = 9;
    let mut world = World::of(config.clone(), incidents);
    world.healer.reload(config, NAMES.iter().map(|name| f::target(name)).collect());
    let report = |(at, name): (usize, &&str)| -> ProcessReport {
        if at < gone { f::gone(name, 1) } else { f::running(name, 1) }
    };
    world.reports = NAMES.iter().enumerate().map(report).collect();
    world
}

#[test]
fn few_that_died_are_started_at_once_and_many_one_by_one() {
    assert_eq!(storm(4).run(10).len(), 4);
    let mut world = storm(5);
    assert_eq!(world.run(29).len(), 1);
    assert_eq!(world.run(60).len(), 2, "one each half a minute");
    assert!(world.plan(5).reason.contains("G-13 storm: 5 of 6 targets are in trouble"));
}

#[test]
fn a_whole_service_and_its_instances_are_one_trouble_told_twice() {
    let mut world = storm(5);
    let instances = [("b", "a"), ("c", "a")];
    let targets = NAMES.iter().map(|name| {
        let mut target = f::target(name);
        if let Some((instance, service)) = instances.iter().find(|(it, _)| it == name) {
            target.entity = model::Entity::instance(&model::Scope::default(), service, instance);
        }
        target
    });
    let config = world.healer.config().clone();
    world.healer.reload(config, targets.collect());
    world.run(3);
    assert!(world.healer.storm.is_none(), "b, c, d and e of five; a is b and c");
}

#[test]
fn a_storm_holds_on_for_a_while_after_it_is_over() {
    let mut world = storm(5);
    world.run(3);
    world.reports = NAMES.iter().map(|name| f::running(name, 2)).collect();
    world.incidents.clear();
    world.run(100);
    assert!(world.healer.storm.is_some(), "what died a short while ago counts");
    world.run(1_000);
    assert!(world.healer.storm.is_none());
}

#[test]
fn of_what_shares_a_host_little_that_runs_is_touched_at_the_same_time() {
    let mut world = storm(0);
    world.incidents = (1..).zip(&NAMES[..4]).map(|(id, name)| f::incident(id, name)).collect();
    for incident in &mut world.incidents {
        incident.causes[0].kind = model::CauseKind::Silent;
    }
    let orders = world.run(10);
    assert_eq!(orders.len(), 2, "a third of six targets on one host");
    let held = world.plan(3);
    assert_eq!(held.state, PlanState::Held);
    assert!(held.reason.contains("G-12 2 of 6 targets of host h1"), "{}", held.reason);
}
