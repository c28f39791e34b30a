//! What the pages ask for, in a system in which somebody is hurt and healed: services, topology,
//! changes, plans, the audit, the configuration.

use serde_json::{Value, json};

use crate::http;
use crate::lab::Lab;
use crate::traffic::Traffic;
use crate::wait::until;

fn one<'a>(list: &'a Value, name: &str) -> &'a Value {
    let list = list.as_array().unwrap();
    let found = list.iter().find(|one| one["entity"]["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not among {list:#?}"))
}

#[test]
fn a_service_is_learning_then_hurt_then_healing_and_its_figures_say_so() {
    let mut lab = Lab::new();
    lab.policy()["mode"] = json!("approve");
    lab.start_target();
    lab.start_with_agent();
    let empty = lab.get("services");
    assert_eq!(empty["services"], json!([]));
    let traffic = Traffic::start(&lab);
    traffic.until_good(100);
    let services = until("figures are there", || {
        let services = lab.get("services?window=30s");
        let all = services["services"].as_array().unwrap();
        let told = |one: &Value| one["requests_per_s"].as_f64().unwrap() > 1.0;
        (all.len() == 2 && all.iter().all(told)).then_some(services)
    });
    let orders = one(&services["services"], "orders");
    assert_eq!(orders["error_ratio"], 0.0);
    assert!(orders["p95_seconds"].as_f64().unwrap() < 1.0);
    assert_eq!(orders["instances"], 1);
    assert!(orders["objectives"].as_u64().unwrap() >= 1);
    lab.kill_target();
    let plan = lab.plan_in("awaiting_approval");
    assert_eq!(
        (&plan["policy"], &plan["safety"]),
        (&json!("restart"), &json!("starts_what_is_gone"))
    );
    assert!(plan["waits_until"].is_string() && plan["undo"].is_null(), "{plan:#}");
    assert_eq!(plan["attempts_max"], 3);
    let services = lab.get("services?window=30s");
    for name in ["storefront", "orders"] {
        let service = one(&services["services"], name);
        assert_eq!((&service["state"], &service["incidents"]), (&json!("hurt"), &json!([1])));
        assert!(service["since"].is_string());
    }
    assert_eq!(lab.post("plans/1/approve", None).status, 200);
    lab.incident("is mitigated", |incident| incident["state"] != "open");
    let topology = lab.get("topology?window=30s");
    let edge = &topology["edges"][0];
    assert_eq!(
        (&edge["caller"]["name"], &edge["callee"]["name"]),
        (&json!("storefront"), &json!("orders"))
    );
    assert!(edge["error_ratio"].as_f64().unwrap() > 0.0, "{edge:#}");
    lab.incident("is resolved", |incident| incident["state"] == "resolved");
    let detail = lab.get("services/orders?window=30s");
    assert_eq!(detail["operations"][0]["operation"], "GET /api/orders");
    assert_eq!(detail["instances"][0]["instance"], "orders-1");
    assert_eq!(detail["callers"][0]["entity"]["name"], "storefront");
    assert_eq!(
        (&detail["targets"], &detail["policies"]),
        (&json!(["orders"]), &json!(["restart"]))
    );
    let state = &detail["service"]["state"];
    assert!(["well", "learning"].contains(&state.as_str().unwrap()), "{state}");
    let status = lab.get("status");
    assert!(status["last_telemetry"].is_string(), "{status:#}");
    the_audit_tells_of_the_approval_newest_first(&lab);
}

fn the_audit_tells_of_the_approval_newest_first(lab: &Lab) {
    let mut seqs = Vec::new();
    let mut next = String::new();
    loop {
        let page = lab.get(&format!("audit?limit=5{next}"));
        for line in page["lines"].as_array().unwrap() {
            seqs.push(line["seq"].as_u64().unwrap());
        }
        let Some(before) = page["next"].as_u64() else { break };
        next = format!("&before={before}");
    }
    assert!(seqs.is_sorted_by(|a, b| a > b), "{seqs:?}");
    let oldest_first = lab.get("audit?limit=1000&after=0");
    let mut all: Vec<u64> = oldest_first["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    all.reverse();
    assert_eq!(seqs, all);
    let refused = lab.get("audit?refused=true&plan=1");
    let lines = refused["lines"].as_array().unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["event"] == "plan"), "{lines:#?}");
    assert_eq!(lab.ask("GET", "audit?after=1&before=2", None).status, 400);
}

#[test]
fn what_was_told_of_a_change_is_listed_by_its_time() {
    let mut lab = Lab::new();
    lab.start();
    for (summary, at) in [("old", "2026-01-01T00:00:00Z"), ("new", "2026-02-01T00:00:00Z")] {
        let body = json!({ "service": "cart", "kind": "deploy", "summary": summary, "at": at });
        assert_eq!(lab.post("changes", Some(body)).status, 200);
    }
    let changes = until("both are journalled", || {
        let told = lab.get("changes?from=2025-12-31T00:00:00Z");
        (told["changes"].as_array().unwrap().len() == 2).then_some(told)
    });
    assert_eq!(changes["changes"][0]["summary"], "new");
    assert_eq!(changes["changes"][0]["blamed_by"], json!([]));
    let one = lab.get("changes?from=2025-12-31T00:00:00Z&to=2026-01-02T00:00:00Z");
    assert_eq!(one["changes"].as_array().unwrap().len(), 1);
    assert_eq!(one["changes"][0]["source"], "api (local)");
    let cut = lab.get("changes?from=2025-12-31T00:00:00Z&limit=1");
    assert_eq!((&cut["truncated"], &cut["changes"][0]["summary"]), (&json!(true), &json!("new")));
}

#[test]
fn what_is_configured_is_told_with_its_origin_and_without_secrets() {
    let mut lab = Lab::new();
    let secret = "admin-secret-0123456789";
    lab.config["api"]["tokens"] = json!({
        "admin": [{ "name": "ops", "secret": secret }],
        "read": [{ "name": "wall", "secret": "reading-secret-0123456789" }],
    });
    lab.use_token(secret);
    lab.start();
    let configuration = lab.get("configuration");
    assert!(configuration["file"].as_str().unwrap().ends_with("immune.yaml"));
    assert!(!configuration.to_string().contains("0123456789"));
    let settings = configuration["settings"].as_array().unwrap();
    let setting = |path: &str| settings.iter().find(|one| one["path"] == path).unwrap();
    assert_eq!(setting("healing.mode")["value"], "auto");
    assert!(setting("healing.mode")["origin"]["file"]["line"].as_u64().unwrap() > 1);
    assert_eq!(setting("memory")["origin"], "default");
    assert_eq!(lab.get("me"), json!({ "name": "ops", "role": "admin", "tokens": true }));
    let holders = json!([{ "name": "ops", "role": "admin" }, { "name": "wall", "role": "read" }]);
    assert_eq!(lab.get("tokens"), holders);
    let headers = [("authorization", "Bearer reading-secret-0123456789")];
    let me = http::request(lab.api(), "GET", "/api/v1/me", &headers, None).unwrap();
    assert_eq!(me.json()["role"], "read");
}

#[test]
fn guardrails_and_policies_are_told_as_they_are_in_force() {
    let mut lab = Lab::new();
    lab.start();
    let healing = lab.get("healing");
    let guardrails = healing["guardrails"].as_array().unwrap();
    let ids: Vec<&str> = guardrails.iter().map(|one| one["id"].as_str().unwrap()).collect();
    let wanted: Vec<String> = (1..=ids.len()).map(|number| format!("G-{number}")).collect();
    assert_eq!(ids, wanted);
    let policy = &healing["policies"][0];
    assert_eq!((&policy["mode"], &policy["causes"]), (&json!("auto"), &json!(["crash"])));
    assert_eq!(policy["ladder"][0]["action"], "restart");
    assert_eq!(policy["ladder"][0]["verify_within_seconds"], 50.0);
    assert_eq!(healing["targets"][0]["entity"]["name"], "orders");
    assert_eq!(healing["limits"]["actions_in_flight"], 2);
}
