//! SIGKILL of the server and of the agent at the worst moments: nothing is forgotten, nothing runs
//! twice.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::healing::{assert_in_order, replays, until_healed};
use crate::lab::Lab;
use crate::traffic::Traffic;
use crate::wait::{all_of, pause, until};

/// A lab whose users were well and whose target has just been killed.
fn wounded(start_takes: Duration) -> (Lab, Traffic) {
    let mut lab = Lab::new();
    lab.start_takes(start_takes);
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    lab.kill_target();
    (lab, traffic)
}

fn journal_has(lab: &Lab, wanted: &str) {
    let seen = |lab: &Lab| lab.story().iter().any(|line| line == wanted).then_some(());
    until(wanted, || seen(lab));
}

/// What must hold whenever the server was killed and started again.
fn one_incident_one_action(mut lab: Lab, opened: &Value) {
    lab.start_with_agent();
    let (incident, plan) = until_healed(&lab);
    assert_eq!(incident["opened"], opened["opened"], "the very same incident");
    assert_eq!(lab.get("incidents").as_array().unwrap().len(), 1);
    // An order that died with the server before the agent had it is no act; it may be followed.
    let acts = plan["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]);
    let acts = acts.filter(|outcome| outcome["result"] != "not_run").count();
    assert_eq!(acts, 1, "{plan:#}");
    assert_eq!(lab.starts(), 1, "{plan:#}");
    let opened = lab.story().iter().filter(|line| *line == "incident opened").count();
    assert_eq!(opened, 1);
    replays(&lab);
}

fn killed_before_the_order() {
    let (mut lab, _traffic) = wounded(Duration::ZERO);
    // The symptom may be a tick away: what counts is that it is before the order.
    let opened = lab.incident("open", |_| true);
    lab.kill_server();
    one_incident_one_action(lab, &opened);
}

fn killed_while_the_action_runs() {
    let (mut lab, _traffic) = wounded(Duration::from_secs(4));
    let opened = lab.incident("open", |_| true);
    until("the start command runs", || (lab.starts() == 1).then_some(()));
    assert!(!lab.target_answers());
    lab.kill_server();
    one_incident_one_action(lab, &opened);
}

fn killed_while_verifying() {
    let (mut lab, _traffic) = wounded(Duration::ZERO);
    let opened = lab.incident("open", |_| true);
    journal_has(&lab, "plan verifying");
    lab.kill_server();
    one_incident_one_action(lab, &opened);
}

fn killed_again_and_again() {
    let (mut lab, _traffic) = wounded(Duration::from_secs(2));
    let opened = lab.incident("open", |_| true);
    for wait in [50, 400, 900, 1_700, 2_300] {
        lab.kill_server();
        lab.start();
        pause(Duration::from_millis(wait));
    }
    lab.kill_server();
    one_incident_one_action(lab, &opened);
}

/// The order is on its way to an agent that does not listen; what it finds later is still one
/// order.
fn killed_with_the_order_on_its_way() {
    let (mut lab, _traffic) = wounded(Duration::ZERO);
    lab.incident("open", |_| true);
    lab.signal_agent(Signal::STOP);
    journal_has(&lab, "order");
    lab.kill_server();
    lab.signal_agent(Signal::CONT);
    lab.start_with_agent();
    let (_, plan) = until_healed(&lab);
    assert_eq!(lab.starts(), 1, "{plan:#}");
    replays(&lab);
}

fn agent_killed_in_the_middle_of_an_action() {
    let (lab, _traffic) = wounded(Duration::from_secs(3));
    until("the start command runs", || (lab.starts() == 1).then_some(()));
    lab.kill_agent();
    journal_has(&lab, "outcome interrupted");
    lab.until_agent();
    let incident = lab.incident("resolved", |incident| incident["state"] == "resolved");
    assert_eq!(incident["id"], 1);
    assert_eq!(lab.starts(), 1, "what was started before came up by itself");
    assert!(lab.target_answers());
    assert_in_order(&lab.story(), &["order", "outcome interrupted", "incident resolved"]);
    let plans = lab.get("plans");
    let states: Vec<_> = plans.as_array().unwrap().iter().map(|plan| &plan["state"]).collect();
    assert!(states.iter().all(|state| *state != "running"), "{plans:#}");
}

#[test]
fn whoever_is_killed_at_whatever_moment_nothing_is_forgotten_and_nothing_done_twice() {
    all_of(&[
        ("killed before the order", killed_before_the_order),
        ("killed with the order on its way", killed_with_the_order_on_its_way),
        ("killed while the action runs", killed_while_the_action_runs),
        ("killed while verifying", killed_while_verifying),
        ("killed again and again", killed_again_and_again),
        ("agent killed in the middle of an action", agent_killed_in_the_middle_of_an_action),
    ]);
}
