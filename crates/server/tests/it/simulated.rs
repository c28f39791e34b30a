//! A system that a server has observed, and one that somebody wrote down, asked what if.

use serde_json::Value;

use crate::lab::{Lab, immune};
use crate::traffic::Traffic;
use crate::wait::until;

#[test]
fn an_observed_system_can_be_asked_what_if() {
    let mut lab = Lab::new();
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(100);
    let server = format!("http://{}", lab.api());
    let yaml = until("both services and the call between them were observed", || {
        let mut command = immune();
        let output = command.args(["topology", "--window", "30s", "--server", &server]).output();
        let yaml = String::from_utf8(output.unwrap().stdout).unwrap();
        let parts = ["  storefront:", "  orders:", "to: orders"];
        parts.iter().all(|part| yaml.contains(part)).then_some(yaml)
    });
    drop(traffic);
    let file = lab.dir.path().join("system.yaml");
    std::fs::write(&file, &yaml).unwrap();
    let mut command = immune();
    command.args(["simulate", "--hours", "0", "--moments", "1", "--json", "--topology"]).arg(&file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{yaml}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = told["what_if"]["cases"].as_array().unwrap();
    let crash = cases.iter().find(|case| case["family"] == "crash" && case["entity"] == "orders");
    let crash = crash.unwrap_or_else(|| panic!("{told:#}\n{yaml}"));
    assert_eq!((&crash["hurt"], &crash["noticed"]), (&1.into(), &1.into()), "{crash:#}");
    assert_eq!(crash["done"]["restart"], 1, "orders may be restarted: {crash:#}\n{yaml}");
}

#[test]
fn what_is_wrong_with_a_description_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("system.yaml");
    for (text, expected) in [
        ("users: {web: {requests_per_s: 9}}\nservices:\n  web:\n    copys: 2\n", ":4:5: unknown"),
        (
            "users: {web: {requests_per_s: 9}}\nservices:\n  web:\n    calls:\n      - to: cart\n",
            ":5:13: services.web.calls[0].to: there is no service",
        ),
        ("users: {}\nservices: {}\n", ":1:8: users: nobody comes"),
        ("users: [", ":"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = immune().args(["simulate", "--topology"]).arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("system.yaml{expected}")), "{said}");
    }
}
