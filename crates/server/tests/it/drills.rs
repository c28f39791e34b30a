//! Drills: the fault, its undo on every way out, the scorecard, and that nobody told the loop.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::traffic::{CLIENT_LOG, Traffic};
use crate::wait::{all_of, until};

fn experiment(lab: &Lab) -> Value {
    json!({
        "title": "orders dies",
        "steady_state": { "slos": ["storefront"], "held_for": "2s" },
        "target": "orders",
        "fault": "kill_process",
        "blast_radius": { "environment": "default", "services": ["storefront", "orders"] },
        "deadline": "2m",
        "observe": "80s",
        "expect": { "decision": "heal", "cause": { "kind": "crash", "entity": "orders" } },
        "client_log": lab.dir.path().join(CLIENT_LOG),
    })
}

fn write(lab: &Lab, experiment: &Value) -> PathBuf {
    let path = lab.dir.path().join("experiment.yaml");
    std::fs::write(&path, experiment.to_string()).unwrap();
    path
}

/// A lab with users whom Immune watches; `mode` says whether it may act.
fn well(mode: &str) -> (Lab, Traffic) {
    let mut lab = Lab::new();
    lab.config["healing"]["mode"] = json!(mode);
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(20);
    (lab, traffic)
}

/// Starts the experiment and waits until the target is dead of it.
fn killed_by(lab: &Lab, experiment: &Value) {
    let started = lab.post("drills", Some(experiment.clone()));
    assert_eq!(started.status, 200, "{}", started.body);
    assert_eq!(started.json(), json!({ "drill": 1 }));
    until("the fault took effect", || {
        (lab.get("drills/1")["drill"]["phase"] == "watching").then_some(())
    });
    assert!(!lab.target_answers());
}

fn until_done(lab: &Lab) -> Value {
    until("the drill is done", || {
        let record = lab.get("drills/1");
        record["scorecard"].is_object().then_some(record)
    })
}

fn passes_and_the_loop_is_blind() {
    let (mut lab, _traffic) = well("auto");
    let mut placebo = experiment(&lab);
    let fields = placebo.as_object_mut().unwrap();
    fields.remove("fault");
    fields.insert("observe".to_owned(), json!("4s"));
    fields.insert("expect".to_owned(), json!({ "decision": "leave_alone" }));
    let said = lab.said(&["drill", "run", write(&lab, &placebo).to_str().unwrap()]);
    assert!(said.contains("placebo") && said.contains("PASSED"), "{said}");
    assert_eq!(lab.get("incidents"), json!([]));

    let before = lab.target_up();
    let said = lab.said(&["drill", "run", write(&lab, &experiment(&lab)).to_str().unwrap()]);
    assert!(said.contains("PASSED") && said.contains("yes, by the action"), "{said}");
    assert_ne!(lab.target_up(), before);
    assert_eq!(lab.starts(), 1, "the undo finds it healed");
    let card = &lab.get("drills/2")["scorecard"];
    for field in ["took_effect", "cause_first", "decision_right", "passed"] {
        assert_eq!(card[field], true, "{field}: {card:#}");
    }
    assert_eq!(card["false_pages"], 0);
    assert!(card["harmed_requests"].as_u64().unwrap() > 0, "{card:#}");
    for field in ["first_harm_at", "detected_at", "acted_at", "verified_at", "undone_at"] {
        assert!(card[field].is_string(), "{field}: {card:#}");
    }
    let listed = lab.said(&["drill", "list"]);
    assert_eq!(listed.matches("passed").count(), 2, "{listed}");
    assert!(lab.said(&["drill", "score", "2"]).contains("PASSED"));
    let matrix = lab.said(&["drill", "matrix"]);
    for line in ["pass 1/1 ", "coverage   1 of 13", "pass rate  1 of these 1 (21 to 100 %"] {
        assert!(matrix.contains(line), "`{line}` is not in {matrix}");
    }
    assert!(matrix.contains("placebos   100 % stayed quiet"), "{matrix}");
    let suggested = lab.said(&["drill", "suggest"]);
    assert!(suggested.contains("100 % of users' requests depend on orders"), "{suggested}");
    let places = ["pause_process on orders", "kill_process on orders"];
    let [pause, kill] = places.map(|text| suggested.find(text).unwrap());
    assert!(pause < kill, "what was never tried goes before what passed: {suggested}");

    lab.stop_server();
    let mut entries = 0;
    for record in storage::Reader::open(&lab.data().join("log"), 1).unwrap() {
        let payload = record.unwrap().payload;
        let text = String::from_utf8_lossy(&payload).to_lowercase();
        assert!(!text.contains("drill") && !text.contains("experiment"), "{text}");
        entries += 1;
    }
    assert!(entries > 50, "{entries}");
}

fn stopped_by_a_person() {
    let (lab, _traffic) = well("dry_run");
    killed_by(&lab, &experiment(&lab));
    assert!(lab.said(&["drill", "stop", "1"]).contains("undone"));
    let second = lab.post("drills", Some(experiment(&lab)));
    assert!(second.status == 409 || lab.target_answers(), "not before the fault is undone");
    let record = until_done(&lab);
    assert!(lab.target_answers(), "{record:#}");
    let card = &record["scorecard"];
    assert_eq!(card["aborted"], "stopped by local", "{card:#}");
    assert_eq!(card["passed"], false);
    assert!(card["undone_at"].is_string(), "{card:#}");
    assert_eq!(lab.starts(), 1, "by the undo, once");
    let output = lab.cli(&["drill", "score", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAILED"));
    assert_eq!(lab.post("drills/1/stop", None).status, 404, "it is over");
}

fn paused_and_everything_stopped() {
    let (lab, _traffic) = well("dry_run");
    let mut paused = experiment(&lab);
    paused["fault"] = json!("pause_process");
    let file = write(&lab, &paused);
    let pid = lab.target_up();
    let plan = lab.said(&["drill", "plan", file.to_str().unwrap()]);
    assert!(plan.contains(&format!("stops pid {pid} and continues it")), "{plan}");
    assert!(plan.contains("it may run"), "{plan}");
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    assert_ne!(state(), 'T', "a plan does nothing");
    assert_eq!(lab.post("drills", Some(paused)).status, 200);
    until("it is stopped", || (state() == 'T').then_some(()));
    let said = lab.said(&["drill", "stop", "--all"]);
    assert!(said.contains("drill 1 is stopping"), "{said}");
    until("it runs on", || (state() != 'T').then_some(()));
    let record = until_done(&lab);
    assert_eq!(record["scorecard"]["aborted"], "stopped by local", "{record:#}");
    assert!(record["scorecard"]["undone_at"].is_string(), "{record:#}");
    assert_eq!(lab.starts(), 0, "nobody started it again");
    assert!(lab.said(&["drill", "stop", "--all"]).contains("no drill was running"));
}

fn ends_with_the_server_and_is_undone_at_its_return() {
    let (mut lab, _traffic) = well("dry_run");
    killed_by(&lab, &experiment(&lab));
    lab.kill_server();
    assert!(!lab.target_answers());
    lab.start();
    let second = lab.post("drills", Some(experiment(&lab)));
    assert_eq!(second.status, 409, "{}", second.body);
    assert!(second.error().contains("drill 1 is running"), "{}", second.body);
    let record = until_done(&lab);
    assert_eq!(record["scorecard"]["aborted"], "the server was restarted", "{record:#}");
    assert!(record["scorecard"]["undone_at"].is_string(), "{record:#}");
    assert!(lab.target_answers());
    assert_eq!(lab.starts(), 1);
}

fn ends_with_the_server_and_is_undone_by_the_lease() {
    let (mut lab, _traffic) = well("dry_run");
    killed_by(&lab, &experiment(&lab));
    lab.kill_server();
    // 30 s of silence, and nobody but the agent.
    lab.target_up();
    assert_eq!(lab.starts(), 1);
    lab.start();
    let record = until_done(&lab);
    assert_eq!(record["scorecard"]["aborted"], "the server was restarted", "{record:#}");
    assert!(record["scorecard"]["undone_at"].is_string(), "{record:#}");
    assert_eq!(lab.starts(), 1, "undone once");
}

fn killed_before_the_fault() {
    let (mut lab, _traffic) = well("dry_run");
    let before = lab.target_up();
    let mut patient = experiment(&lab);
    patient["steady_state"]["held_for"] = json!("60s");
    assert_eq!(lab.post("drills", Some(patient)).status, 200);
    lab.kill_server();
    lab.start_with_agent();
    let record = until_done(&lab);
    assert_eq!(record["scorecard"]["aborted"], "the server was restarted", "{record:#}");
    assert_eq!(record["scorecard"]["took_effect"], false, "{record:#}");
    assert_eq!(lab.target_up(), before, "nobody touched it");
}

#[test]
fn a_drill_is_scored_blind_and_undone_on_every_way_out() {
    all_of(&[
        ("passes and the loop is blind", passes_and_the_loop_is_blind),
        ("stopped by a person", stopped_by_a_person),
        ("paused and everything stopped", paused_and_everything_stopped),
        ("undone at the server's return", ends_with_the_server_and_is_undone_at_its_return),
        ("undone by the lease", ends_with_the_server_and_is_undone_by_the_lease),
        ("killed before the fault", killed_before_the_fault),
    ]);
}

#[test]
fn a_drill_that_would_go_too_far_is_refused() {
    let mut lab = Lab::new();
    lab.start_target();
    lab.start_with_agent();
    let good = experiment(&lab);
    std::fs::write(lab.dir.path().join(CLIENT_LOG), "").unwrap();
    let refused = |status: u16, why: &str, change: &dyn Fn(&mut Value)| {
        let mut experiment = good.clone();
        change(&mut experiment);
        let response = lab.post("drills", Some(experiment));
        assert_eq!(response.status, status, "{}", response.body);
        assert!(response.error().contains(why), "`{why}` is not in {}", response.body);
    };
    refused(409, "is in environment `default`", &|e| {
        e["blast_radius"]["environment"] = json!("production");
    });
    refused(409, "there is no target `nobody`; configured are: orders", &|e| {
        e["target"] = json!("nobody");
    });
    refused(409, "the blast radius does not list", &|e| {
        e["blast_radius"]["services"] = json!(["storefront"]);
    });
    refused(409, "1 of 1 running instances of `orders`", &|e| {
        e["blast_radius"]["share_max"] = json!(0.5);
    });
    refused(400, "name a `port`, a `peer` or both", &|e| e["fault"] = json!({ "partition": {} }));
    refused(400, "would hurt the whole host", &|e| {
        e["fault"] = json!({ "disk_fill": { "path": "/", "leave_free": "1GiB" } });
    });
    refused(409, "client log", &|e| e["client_log"] = json!("/nowhere/client.jsonl"));
    refused(409, "is not a file", &|e| e["client_log"] = json!("/dev/zero"));
    refused(400, "deadline", &|e| e["deadline"] = json!("9h"));
    refused(400, "dance", &|e| e["fault"] = json!("dance"));
    refused(400, "placebo", &|e| {
        e.as_object_mut().unwrap().remove("fault");
    });
    // Nobody sends telemetry, so this one waits for its steady state; there is no second beside it.
    assert_eq!(lab.post("drills", Some(good.clone())).status, 200);
    refused(409, "drill 1 is running; one at a time", &|_| ());
    let mut far = good.clone();
    far["blast_radius"]["services"] = json!(["storefront"]);
    far["fault"] = json!({ "cpu": { "cores": 1_000 } });
    let plan = lab.cli(&["drill", "plan", write(&lab, &far).to_str().unwrap()]);
    assert_eq!(plan.status.code(), Some(1));
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    for line in ["exactly     nothing", "does not list", "cores: 1000 asked for", "is not well"] {
        assert!(plan.contains(line), "`{line}` is not in {plan}");
    }
    let file = write(&lab, &json!({ "title": "half an experiment" }));
    let output = lab.cli(&["drill", "run", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("experiment.yaml"), "{error}");
    assert_eq!(lab.post("drills/1/stop", None).status, 200);
    until_done(&lab);
    assert!(lab.target_answers() && lab.starts() == 0);
    assert_eq!(lab.get("drills/1")["scorecard"]["took_effect"], false);
}
