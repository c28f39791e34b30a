//! Drills that the server begins by itself: at their moment, not while something speaks against it,
//! and not twice.

use std::time::Duration;

use chaos::Scheduled;
use chaos::schedule::Due;
use model::Timestamp;
use model::time::SECOND;
use serde_json::{Value, json};
use server::journal::Journal;

use crate::lab::Lab;
use crate::traffic::Traffic;
use crate::wait::{unix_nanos, until, within};

/// Every day there is a moment.
fn entry(name: &str, experiment: &std::path::Path) -> Value {
    json!({
        "name": name,
        "experiment": experiment,
        "every": "1d",
        "on": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "between": "00:00-24:00",
    })
}

/// A name whose moment comes so many seconds from now, with the seed that this server drew.
fn name_for(lab: &Lab, after_s: u64) -> String {
    let journal = Journal::open(&lab.data().join("journal.db")).unwrap();
    let seed: u64 = journal.meta("drill_seed", "7").unwrap().parse().unwrap();
    let wanted = unix_nanos() + after_s * SECOND;
    let mut names = (0..10_000_000).map(|number| format!("n{number}"));
    let fits = |name: &String| {
        let entry = entry(name, "/e.yaml".as_ref()).to_string();
        let entry: Scheduled = serde_json::from_str(&entry).unwrap();
        let begun = Timestamp(wanted);
        let due = entry.due(begun, begun, None, seed);
        matches!(due, Due::Wait(run) if run.at.0 < wanted + 5 * SECOND)
    };
    names.find(fits).unwrap()
}

fn last(lab: &Lab) -> Option<Value> {
    let overview = lab.get("drills/schedule");
    let last = overview["entries"][0]["last"].clone();
    (last.is_object() && last["became"] != "unknown").then_some(last["became"].clone())
}

/// Restarts the server with one entry, again and again until its moment has come while it ran and
/// was well; on a slow machine that may take more than one.
fn until_begun(lab: &mut Lab, wanted: impl Fn(&Value) -> bool) -> Value {
    let experiment = lab.dir.path().join("placebo.yaml");
    for after_s in [15, 30, 60, 120] {
        lab.stop_server();
        let name = name_for(lab, after_s);
        lab.config["drills"] = json!({ "schedule": [entry(&name, &experiment)] });
        lab.start_with_agent();
        // Where its moment passed before the server was there, the next is tomorrow's.
        let became = within(Duration::from_secs(after_s + 20), || last(lab));
        if let Some(became) = became.filter(&wanted) {
            return became;
        }
    }
    panic!("no run became what was wanted:\n{}", lab.log());
}

#[test]
fn a_drill_runs_at_its_moment_or_is_left_out_with_the_reason() {
    let mut lab = Lab::new();
    lab.start_target();
    lab.start_with_agent();
    let placebo = json!({
        "title": "nothing happens",
        "steady_state": { "slos": ["storefront"], "held_for": "1s" },
        "target": "orders",
        "blast_radius": { "environment": "default", "services": ["storefront", "orders"] },
        "deadline": "1m",
        "observe": "2s",
        "expect": { "decision": "leave_alone" },
    });
    std::fs::write(lab.dir.path().join("placebo.yaml"), placebo.to_string()).unwrap();

    // Nobody sends telemetry: the steady state is not known.
    let became = until_begun(&mut lab, |became| became["skipped"].is_string());
    let why = became["skipped"].as_str().unwrap();
    assert!(why.contains("the objective storefront is not well, or not known"), "{why}");
    let said = lab.said(&["drill", "schedule"]);
    assert!(said.contains("left out: ") && said.contains("next on "), "{said}");
    assert_eq!(lab.get("drills"), json!([]));

    let traffic = Traffic::start(&lab);
    traffic.until_good(20);
    let became = until_begun(&mut lab, |became| became["drill"].is_u64());
    let id = became["drill"].as_u64().unwrap();
    let record = until("it has its scorecard", || {
        let record = lab.get(&format!("drills/{id}"));
        record["scorecard"].is_object().then_some(record)
    });
    assert_eq!(record["scorecard"]["passed"], true, "{record:#}");
    assert!(record["by"].as_str().unwrap().starts_with("schedule n"), "{record:#}");
    assert!(lab.said(&["drill", "schedule"]).contains(&format!("drill {id}, passed")));

    // The next server knows that it ran, and that it was stopped.
    let said = lab.said(&["drill", "stop", "--all"]);
    assert!(said.contains("wait for `immune drill resume`"), "{said}");
    lab.kill_server();
    lab.start_with_agent();
    assert_eq!(last(&lab), Some(became));
    let said = lab.said(&["drill", "schedule"]);
    assert!(said.contains("stopped by local at "), "{said}");
    let became = until_begun(&mut lab, |became| became["skipped"].is_string());
    let why = became["skipped"].as_str().unwrap();
    assert!(why.contains("the schedule was stopped by local"), "{why}");
    assert!(lab.said(&["drill", "resume"]).contains("go on"));
    assert_eq!(lab.get("drills/schedule")["stopped"], json!(null));
}
