//! Lives of instances, second by second.

use super::*;
use crate::Observer;
use crate::testing::*;
use model::Tick;
use model::tick::InstanceEventKind::{
    Back, Restarted, Seen, Silent, Vanished, Version as NewVersion,
};

/// One instance of `orders`, heard at each of `seconds`.
fn hear(observer: &mut Observer, more: &[(&str, &str)], seconds: impl IntoIterator<Item = u32>) {
    let resource = resource("orders", more);
    for second in seconds {
        observer.take(&logs(&resource), at(f64::from(second)));
        observer.tick(0, at(f64::from(second)));
    }
}

/// Ticks every second of a range; what happened to instances and which changes were inferred.
fn watch(
    observer: &mut Observer,
    seconds: std::ops::RangeInclusive<u32>,
) -> (Vec<(u32, InstanceEventKind)>, Vec<String>) {
    let (mut events, mut changes) = (Vec::new(), Vec::new());
    for second in seconds {
        let tick = observer.tick(u64::from(second), at(f64::from(second)));
        events.extend(tick.instances.into_iter().map(|event| (second, event.kind)));
        changes.extend(tick.changes.into_iter().map(|change| change.summary));
    }
    (events, changes)
}

fn once(observer: &mut Observer, more: &[(&str, &str)], second: u32) -> Tick {
    observer.take(&logs(&resource("orders", more)), at(f64::from(second)));
    observer.tick(0, at(f64::from(second)))
}

fn kinds(tick: &Tick) -> Vec<InstanceEventKind> {
    tick.instances.iter().map(|event| event.kind.clone()).collect()
}

fn summaries(tick: &Tick) -> Vec<&str> {
    tick.changes.iter().map(|change| change.summary.as_str()).collect()
}

const V1: (&str, &str) = ("service.version", "v1");
const V2: (&str, &str) = ("service.version", "v2");
const ONE: (&str, &str) = ("service.instance.id", "orders-a");
const TWO: (&str, &str) = ("service.instance.id", "orders-b");

#[test]
fn an_instance_is_silent_once_by_its_own_rhythm_then_back() {
    let mut observer = observer();
    hear(&mut observer, &[ONE], (0..60).step_by(5));
    let (events, _) = watch(&mut observer, 56..=90);
    assert_eq!(events, [(76, Silent { last_heard: at(55.0) })]);
    assert_eq!(kinds(&once(&mut observer, &[ONE], 91)), [Back]);
}

#[test]
fn a_slow_rhythm_is_given_more_time() {
    let mut observer = observer();
    hear(&mut observer, &[ONE], [0, 60, 120, 180]);
    let (events, _) = watch(&mut observer, 181..=400);
    assert_eq!(events, [(361, Silent { last_heard: at(180.0) })]);
}

#[test]
fn nobody_is_called_silent_before_its_rhythm_is_known() {
    let mut observer = observer();
    hear(&mut observer, &[ONE], [0, 5]);
    assert_eq!(watch(&mut observer, 6..=300).0, []);
}

#[test]
fn a_silent_instance_vanishes_and_is_new_when_it_returns() {
    let mut observer = observer();
    hear(&mut observer, &[ONE], (0..60).step_by(5));
    let (events, _) = watch(&mut observer, 56..=700);
    assert_eq!(events[1..], [(656, Vanished { last_heard: at(55.0) })]);
    let tick = once(&mut observer, &[ONE], 701);
    assert_eq!(kinds(&tick), [Seen { version: String::new() }]);
    assert_eq!(summaries(&tick), ["instance orders-a appeared"]);
}

#[test]
fn our_own_pause_is_nobodys_silence() {
    let mut observer = observer();
    hear(&mut observer, &[ONE], (0..60).step_by(5));
    let (events, _) = watch(&mut observer, 2000..=2019);
    assert_eq!(events, []);
    assert_eq!(watch(&mut observer, 2020..=2030).0.len(), 1);
}

#[test]
fn the_gap_of_a_restart_is_not_learnt_as_rhythm() {
    let mut observer = observer();
    hear(&mut observer, &[ONE, ("process.pid", "1")], (0..120).step_by(5));
    watch(&mut observer, 116..=215);
    let tick = once(&mut observer, &[ONE, ("process.pid", "2")], 216);
    assert_eq!(kinds(&tick), [Back, Restarted]);
    assert_eq!(summaries(&tick), ["instance orders-a restarted"]);
    let (events, _) = watch(&mut observer, 217..=240);
    assert_eq!(events.len(), 1, "silence is judged by the rhythm before");
}

#[test]
fn worker_processes_under_one_id_are_no_restarts() {
    let mut observer = observer();
    let mut restarts = 0;
    for second in 0..40 {
        let pid = (second % 4).to_string();
        let tick = once(&mut observer, &[ONE, ("process.pid", &pid)], second);
        restarts += kinds(&tick).iter().filter(|kind| **kind == Restarted).count();
    }
    assert_eq!(restarts, 3, "only until the first worker is heard again");
    let tick = once(&mut observer, &[ONE, ("process.pid", "9")], 41);
    assert_eq!(kinds(&tick), []);
}

#[test]
fn more_workers_than_are_remembered_end_to_be_restarts() {
    let mut observer = observer();
    hear(&mut observer, &[ONE], [0]);
    let mut restarts = 0;
    for second in 100..300 {
        let pid = (second % 50).to_string();
        restarts += summaries(&once(&mut observer, &[ONE, ("process.pid", &pid)], second)).len();
    }
    assert_eq!(restarts, 32);
}

#[test]
fn known_workers_are_no_restarts_by_their_metrics_either() {
    let mut observer = observer();
    for pid in ["1", "2", "1"] {
        hear(&mut observer, &[ONE, ("process.pid", pid)], [5]);
    }
    let entity = model::Entity::instance(&model::Scope::default(), "orders", "orders-a");
    let known = (0..).find(|id| observer.registry.entity(*id) == Some(&entity)).unwrap();
    observer.instances.metrics_restarted(known, at(90.0), &observer.registry);
    assert_eq!(kinds(&observer.tick(1, at(91.0))), []);
}

#[test]
fn whoever_tells_ever_new_versions_tells_the_first_ten_of_a_minute() {
    let mut observer = observer();
    hear(&mut observer, &[ONE, V1], [0]);
    let mut flood = |second| {
        for number in 0..500 {
            let version = format!("{second}-{number}");
            let resource = resource("orders", &[ONE, ("service.version", &version)]);
            observer.take(&logs(&resource), at(f64::from(second)));
        }
        let tick = observer.tick(0, at(f64::from(second)));
        (tick.instances.len(), tick.changes.len(), tick.quality.over_limit)
    };
    assert_eq!(flood(5), (10, 10, 980));
    assert_eq!(flood(30), (0, 0, 1000));
    assert_eq!(flood(66), (10, 10, 980));
    let tick = once(&mut observer, &[TWO, V2], 67);
    assert_eq!((kinds(&tick).len(), tick.changes.len()), (1, 1), "only the instance is new");
}

#[test]
fn a_new_version_is_one_deploy_however_many_instances_roll() {
    let mut observer = observer();
    hear(&mut observer, &[ONE, V1], [0, 5]);
    hear(&mut observer, &[TWO, V1], [6, 70]);
    let tick = once(&mut observer, &[ONE, V2], 80);
    assert_eq!(kinds(&tick), [NewVersion { from: "v1".to_owned(), to: "v2".to_owned() }]);
    assert_eq!(summaries(&tick), ["version v1 -> v2"]);
    assert_eq!(tick.changes[0].kind, ChangeKind::Deploy);
    let tick = once(&mut observer, &[TWO, V2], 90);
    assert_eq!((kinds(&tick).len(), summaries(&tick).len()), (1, 0));
}

#[test]
fn a_version_that_comes_back_is_a_deploy_once_nobody_ran_it_for_a_while() {
    let mut observer = observer();
    hear(&mut observer, &[ONE, V1], [0, 5]);
    hear(&mut observer, &[TWO, V1], [6, 70]);
    assert_eq!(summaries(&once(&mut observer, &[ONE, V2], 80)), ["version v1 -> v2"]);
    assert_eq!(summaries(&once(&mut observer, &[ONE, V1], 100)), [""; 0], "two ran it all along");
    hear(&mut observer, &[ONE, V1], (100..300).step_by(5));
    assert_eq!(summaries(&once(&mut observer, &[ONE, V2], 300)), ["version v1 -> v2"]);
    let three = ("service.instance.id", "orders-c");
    let tick = once(&mut observer, &[three, V1], 500);
    assert_eq!(summaries(&tick), ["instance orders-c appeared"], "a job of the version before");
}

#[test]
fn instances_of_a_starting_service_are_no_change_later_ones_are() {
    let mut observer = observer();
    assert_eq!(summaries(&once(&mut observer, &[ONE], 0)), [""; 0]);
    assert_eq!(summaries(&once(&mut observer, &[TWO], 30)), [""; 0]);
    let three = ("service.instance.id", "orders-c");
    assert_eq!(summaries(&once(&mut observer, &[three], 90)), ["instance orders-c appeared"]);
}
