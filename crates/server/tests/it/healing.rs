//! The loop, whole: a process dies, its users are hurt, and Immune finds out, says why and helps.

use serde_json::Value;

use crate::lab::{Lab, immune};
use crate::traffic::Traffic;
use crate::wait::until;

/// Asserts that these lines are in the story, in this order.
pub fn assert_in_order(story: &[String], wanted: &[&str]) {
    let mut rest = story.iter();
    for line in wanted {
        assert!(rest.any(|found| found == line), "`{line}` is missing or too early in {story:#?}");
    }
}

/// Seen from outside: resolved, cured by the first attempt of plan 1, the target runs.
pub fn until_healed(lab: &Lab) -> (Value, Value) {
    let incident = lab.incident("resolved", |incident| incident["state"] == "resolved");
    let plan = lab.plan_in("verified");
    assert_eq!(incident["id"], 1, "{incident:#}");
    assert_eq!(plan["incident"], incident["id"], "{plan:#}");
    assert!(lab.target_answers());
    (incident, plan)
}

#[test]
fn a_crash_is_detected_explained_healed_verified_and_replays_identically() {
    let mut lab = Lab::new();
    let before = lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(60);
    assert_eq!(lab.get("incidents"), Value::Array(Vec::new()));

    lab.kill_target();
    lab.incident("with a cause", |incident| incident["causes"][0]["kind"] == "crash");
    let (incident, plan) = until_healed(&lab);
    assert_eq!(incident["causes"][0]["kind"], "crash", "{incident:#}");
    assert_eq!(incident["causes"][0]["entity"]["name"], "orders", "{incident:#}");
    assert_eq!(plan["attempts"].as_array().unwrap().len(), 1, "{plan:#}");
    assert_eq!(plan["attempts"][0]["outcome"]["result"], "done");
    assert_eq!(lab.starts(), 1);
    let after = lab.target_up();
    assert_ne!(before, after);

    let told = lab.said(&["explain", "1"]);
    for part in ["Incident 1 · resolved", "orders crashed", "Plan 1: restart orders, verified"] {
        assert!(told.contains(part), "no `{part}` in:\n{told}");
    }
    assert_eq!(told.lines().nth(2).unwrap().matches("Users were hurt from").count(), 1, "{told}");
    let listed = lab.said(&["incidents", "--state", "resolved"]);
    assert!(listed.contains("resolved"), "{listed}");
    let json: Value = serde_json::from_str(&lab.said(&["explain", "1", "--json"])).unwrap();
    assert_eq!(json["incident"]["id"], 1);

    let wanted =
        ["reload", "incident opened", "order", "outcome done", "plan verifying", "plan verified"];
    assert_in_order(&lab.story(), &wanted);
    let numbers: Vec<u64> = lab.events().iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());

    // While it runs, and after it ended.
    replays(&lab);
    lab.stop_server();
    until("the agent goes along", || lab.agents().is_empty().then_some(()));
    assert!(lab.target_answers(), "and leaves the target alone");
    assert!(!lab.log().contains("agent disconnected"), "an end in good order worries nobody");
    replays(&lab);
}

/// The input log, run through a new loop, says what the journal says.
pub fn replays(lab: &Lab) {
    let output = immune().arg("replay").arg(lab.data()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("identical to the journal"), "{text}");
}
