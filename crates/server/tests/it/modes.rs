//! How far Immune may go: shown only, with a person's word, frozen.

use std::time::Duration;

use serde_json::{Value, json};

use crate::healing::{assert_in_order, until_healed};
use crate::lab::Lab;
use crate::traffic::Traffic;
use crate::wait::{all_of, pause, until};

fn wounded(set: impl FnOnce(&mut Lab)) -> (Lab, Traffic) {
    let mut lab = Lab::new();
    set(&mut lab);
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    lab.kill_target();
    (lab, traffic)
}

/// Long enough for an order to be given and carried out.
fn nothing_happens(lab: &Lab) {
    pause(Duration::from_secs(4));
    assert_eq!(lab.starts(), 0, "{:#?}", lab.story());
    assert!(!lab.target_answers());
    assert!(!lab.story().contains(&"order".to_owned()));
}

fn dry_run() {
    // The default, and a policy that says nothing else.
    let (lab, _traffic) = wounded(|lab| {
        lab.config["healing"].as_object_mut().unwrap().remove("mode");
        lab.config["healing"]["call_human_after"] = json!("2s");
    });
    let plan = lab.plan_in("dry_run");
    assert_eq!(plan["mode"], "dry_run");
    nothing_happens(&lab);
    let refused = lab.post("plans/1/approve", None);
    assert_eq!(refused.status, 409, "{}", refused.body);
    // A person heals by hand; Immune sees it.
    let mut lab = lab;
    lab.start_target();
    lab.incident("resolved", |incident| incident["state"] == "resolved");
}

fn approved() {
    let (lab, _traffic) = wounded(|lab| lab.config["healing"]["mode"] = json!("approve"));
    let plan = lab.plan_in("awaiting_approval");
    nothing_happens(&lab);
    let said = lab.said(&["plan", "list"]);
    assert!(said.contains("awaiting approval"), "{said}");
    let id = plan["id"].to_string();
    assert!(lab.said(&["plan", "approve", &id]).contains("approved"));
    until_healed(&lab);
    assert_eq!(lab.starts(), 1);
    let command = lab.events().into_iter().find(|event| event["event"] == "command").unwrap();
    assert_eq!((&command["by"], &command["result"]), (&json!("local"), &json!("done")));
    let again = lab.cli(&["plan", "approve", &id]);
    assert_eq!(again.status.code(), Some(1));
    assert!(!again.stderr.is_empty());
}

fn denied_by_a_person() {
    let (lab, _traffic) = wounded(|lab| {
        lab.config["healing"]["mode"] = json!("approve");
    });
    let plan = lab.plan_in("awaiting_approval");
    assert!(lab.said(&["plan", "deny", &plan["id"].to_string()]).contains("denied"));
    lab.plan_in("denied");
    nothing_happens(&lab);
    assert_eq!(lab.post("plans/1/approve", None).status, 409, "a no is a no");
    let incident = lab.get("incidents/1");
    assert_ne!(incident["state"], "resolved", "{incident:#}");
    // A person may also end it, proof or not.
    assert_eq!(lab.said(&["close", "1"]).trim(), "incident 1 is closed");
    assert_eq!(lab.get("incidents/1")["state"], "resolved");
    assert!(lab.story().contains(&"incident resolved".to_owned()), "{:#?}", lab.story());
    assert_eq!(lab.post("incidents/1/close", None).status, 409, "there is nothing to end");
}

fn denied_by_nobodys_answer() {
    let (lab, _traffic) = wounded(|lab| {
        lab.config["healing"]["mode"] = json!("approve");
        lab.policy()["approval_timeout"] = json!("2s");
    });
    let plan = lab.plan_in("denied");
    assert!(plan["attempts"].as_array().unwrap().is_empty());
    nothing_happens(&lab);
    let incident =
        lab.incident("calls a person", |i| !i["needs_human"].as_str().unwrap().is_empty());
    assert_eq!(incident["id"], 1);
}

fn frozen_and_thawed() {
    let mut lab = Lab::new();
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    lab.said(&["freeze", "maintenance of the rack"]);
    let frozen = lab.get("status")["frozen"].clone();
    assert_eq!(frozen["by"], "local");
    assert_eq!(frozen["reason"], "maintenance of the rack");
    assert!(frozen["at"].is_string(), "{frozen}");
    // Also in the agent itself, durably.
    let ledger = lab.data().join("agent/ledger.jsonl");
    until("the agent wrote the freeze down", || {
        std::fs::read_to_string(&ledger).ok()?.contains("maintenance of the rack").then_some(())
    });
    lab.kill_target();
    let plan = lab.plan_in("held");
    let frozen =
        |verdict: &Value| verdict["passed"] == false && verdict.to_string().contains("frozen");
    assert!(plan["verdicts"].as_array().unwrap().iter().any(frozen), "{plan:#}");
    nothing_happens(&lab);

    // A freeze outlives server and agent, each by itself and both.
    lab.kill_server();
    lab.kill_agent();
    lab.start_with_agent();
    assert_eq!(lab.get("status")["frozen"]["by"], "local");
    nothing_happens(&lab);

    // Thawed while the agent is away, it must not freeze the loop again when it comes back.
    lab.kill_agent();
    until("the agent is away", || (lab.get("status")["agent_connected"] == false).then_some(()));
    let reason = ["--for", "1h", "--reason", "they work at it"];
    let pause = ["pause", "upgrade", "--all"];
    lab.said(&[&pause[..], &reason[..]].concat());
    lab.said(&["thaw"]);
    lab.until_agent();
    nothing_happens(&lab);
    // A pause outlives the server too.
    lab.kill_server();
    lab.start_with_agent();
    assert_eq!(lab.get("pauses")[0]["name"], "upgrade");
    nothing_happens(&lab);
    let refusals = lab.said(&["audit", "--refused", "--plan", "1"]);
    assert!(refusals.contains("deny G-6: all healing is paused by local"), "{refusals}");
    lab.said(&["resume", "upgrade"]);
    until_healed(&lab);
    assert_eq!(lab.get("status")["frozen"], Value::Null);
    assert_eq!(lab.starts(), 1);
    assert_in_order(&lab.story(), &["command", "plan held", "command", "order", "plan verified"]);
}

#[test]
fn immune_goes_as_far_as_it_may_and_no_further() {
    all_of(&[
        ("dry run", dry_run),
        ("approved", approved),
        ("denied by a person", denied_by_a_person),
        ("denied by nobody's answer", denied_by_nobodys_answer),
        ("frozen and thawed", frozen_and_thawed),
    ]);
}
