//! What the loop does when its clock jumps, and that its state survives being saved at any moment.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use engine::{Command, Config, Core, Entry, EventKind, snapshot};
use model::{IncidentId, PlanId, Timestamp};

const START: u64 = 1_767_571_200;

fn at(second: u64) -> Timestamp {
    Timestamp::from_secs(START + second)
}

/// Ticks once a second and returns the names of the events.
fn run(core: &mut Core, seconds: std::ops::Range<u64>) -> Vec<&'static str> {
    let ticks = seconds.map(|second| Entry::Tick { now: at(second) });
    let effects: Vec<_> = ticks.map(|tick| core.apply(tick)).collect();
    effects.iter().flat_map(|effects| &effects.events).map(|e| e.kind.as_str()).collect()
}

#[test]
fn a_steady_clock_says_nothing() {
    let mut core = Core::new(Config::default(), "t");
    assert_eq!(run(&mut core, 0..60), Vec::<&str>::new());
}

#[test]
fn a_gap_is_caught_up_in_calm() {
    let mut core = Core::new(Config::default(), "t");
    run(&mut core, 0..60);
    assert_eq!(run(&mut core, 600..610), ["catching_up", "remark"]);
    assert_eq!(core.engine.calm_until(), Some(at(630)));
    run(&mut core, 610..640);
    assert_eq!(core.engine.calm_until(), None);
}

#[test]
fn a_clock_that_was_a_day_ahead_does_not_blind_us_for_a_day() {
    let mut core = Core::new(Config::default(), "t");
    run(&mut core, 0..60);
    let freeze = Command::Freeze { reason: "hands off".to_owned() };
    core.apply(Entry::Command { now: at(60), by: "ann".to_owned(), command: freeze });
    assert_eq!(run(&mut core, 86_400..86_405), ["catching_up", "remark"]);
    assert_eq!(run(&mut core, 65..70), ["clock_set_back", "remark"]);
    assert_eq!(core.engine.now(), at(69));
    assert!(core.engine.healer.frozen().is_some(), "a freeze stays");
    assert!(core.engine.calm_until().is_some_and(|until| until < at(120)));
}

#[test]
fn a_step_back_within_the_slack_is_not_a_jump() {
    let mut core = Core::new(Config::default(), "t");
    run(&mut core, 0..60);
    assert_eq!(run(&mut core, 55..65), Vec::<&str>::new());
    assert_eq!(core.engine.now(), at(64));
}

#[test]
fn event_numbers_go_on_after_the_clock_was_set_back() {
    let mut core = Core::new(Config::default(), "t");
    run(&mut core, 0..10);
    run(&mut core, 1000..1005);
    let effects = core.apply(Entry::Tick { now: at(20) });
    assert_eq!(effects.events[0].seq, 3);
    assert!(matches!(effects.events[0].kind, EventKind::ClockSetBack { seconds: 984 }));
    let reload = Entry::Reload { now: at(21), config: Box::default() };
    let next = effects.events.last().unwrap().seq + 1;
    assert_eq!(core.apply(reload).events[0].seq, next);
}

/// An id used twice would be taken by the agent for an order that it has carried out already.
#[test]
fn numbers_of_incidents_and_plans_are_never_used_again_however_often_the_clock_is_set_back() {
    let mut core = Core::new(Config::default(), "t");
    core.apply(Entry::Renumber { event: 9, incident: IncidentId(7), plan: PlanId(5) });
    for round in 0..3 {
        run(&mut core, 1_000..1_005);
        run(&mut core, round * 10..round * 10 + 5);
        assert_eq!(core.engine.diagnoser.last_id(), IncidentId(7), "{round}");
        assert_eq!(core.engine.healer.last_id(), PlanId(5), "{round}");
    }
}

#[test]
fn a_refused_command_tells_of_nothing_else() {
    let mut core = Core::new(Config::default(), "t");
    run(&mut core, 0..5);
    let command = Command::Close { incident: IncidentId(1) };
    let effects = core.apply(Entry::Command { now: at(5), by: "ann".to_owned(), command });
    assert!(effects.reply.is_some_and(|reply| reply.is_err()));
    let events: Vec<&str> = effects.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(events, ["command"]);
}

#[test]
fn a_saved_state_goes_on_as_if_nothing_had_happened() {
    let mut core = Core::new(Config::default(), "t");
    run(&mut core, 0..100);
    let bytes = snapshot::save(&core, 42).unwrap();
    let (mut loaded, position) = snapshot::load(&bytes).unwrap();
    assert_eq!(position, 42);
    run(&mut core, 100..200);
    run(&mut loaded, 100..200);
    assert_eq!(snapshot::save(&core, 1).unwrap(), snapshot::save(&loaded, 1).unwrap());
}

#[test]
fn a_snapshot_that_is_not_whole_or_not_ours_is_refused() {
    let core = Core::new(Config::default(), "t");
    let bytes = snapshot::save(&core, 7).unwrap();
    for cut in 0..bytes.len() {
        assert!(snapshot::load(&bytes[..cut]).is_err(), "{cut}");
    }
    let mut other = bytes.clone();
    other[4] = 99;
    assert!(matches!(snapshot::load(&other), Err(snapshot::Error::Version { format: 99, .. })));
    for at in [0, 12, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let loaded = snapshot::load(&damaged);
        assert!(loaded.is_err(), "{at}");
    }
}
