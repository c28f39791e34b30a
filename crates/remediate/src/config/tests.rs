//! What the `healing` section accepts and refuses.

use super::*;

const WHOLE: &str = "
mode: approve
policies:
  - name: restart-crashed-orders
    cause: crash
    target: orders
    action: restart
    mode: off
    verify_for: 10s
  - name: fail-over
    cause: [dependency_down, silent]
    target: database
    action: {run_command: fail_over}
guardrails: {actions_in_flight: 1, cause_confidence_min: 0.9}
";

fn read(yaml: &str) -> Result<Config, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn reads_policies_with_defaults_for_what_is_left_out() {
    let config = read(WHOLE).unwrap();
    let [first, second] = &config.policies[..] else { panic!("two policies") };
    assert_eq!(config.mode_of(first), Mode::Off);
    assert_eq!(config.mode_of(second), Mode::Approve);
    assert_eq!(first.cause, Causes(vec![CauseKind::Crash]));
    assert_eq!(first.verify_for, HumanDuration::from_secs(10));
    assert_eq!(first.verify_within, HumanDuration::from_secs(180));
    assert_eq!(second.cause, Causes(vec![CauseKind::DependencyDown, CauseKind::Silent]));
    assert_eq!(second.action, Remedy::RunCommand("fail_over".into()));
    assert_eq!(config.guardrails.actions_in_flight, 1);
    assert_eq!(config.guardrails.actions_per_hour, 10);
}

#[test]
fn each_action_is_named_as_its_kind_is() {
    for (action, id) in [
        ("restart", "restart"),
        ("{run_command: flush}", "run_command"),
        ("{signal: hup}", "signal"),
        ("rollback", "rollback"),
        ("{http_request: dark}", "http_request"),
        ("eject", "eject"),
        ("return", "return"),
        ("terminate_blocker", "terminate_blocker"),
        ("{clear_path: cache}", "clear_path"),
        ("{container: scale_out}", "container"),
        ("{container_limits: roomy}", "container_limits"),
    ] {
        let policy = format!("{{name: a, cause: change, target: t, action: {action}}}");
        let config = read(&format!("policies: [{policy}]")).unwrap();
        assert_eq!(config.policies[0].action.kind().id(), id);
    }
}

#[test]
fn healing_is_a_dry_run_unless_told_otherwise() {
    let config = Config::default();
    assert_eq!(config.mode, Mode::DryRun);
    assert_eq!(read("{}").unwrap(), config);
}

#[test]
fn refuses_unknown_fields_causes_and_actions() {
    for (yaml, expected) in [
        ("modes: auto", "modes"),
        ("guardrails: {storm: 1}", "storm"),
        ("policies: [{name: a, cause: bug, target: t, action: restart}]", "unknown cause `bug`"),
        ("policies: [{name: a, cause: [bug], target: t, action: restart}]", "bug"),
        ("policies: [{name: a, cause: crash, target: t, action: reboot}]", "reboot"),
        ("policies: [{name: a, cause: crash, target: t, action: restart, tries: 1}]", "tries"),
        ("policies: [{name: a, cause: crash, target: t}]", "action"),
        ("mode: sometimes", "sometimes"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}

#[test]
fn survives_a_binary_snapshot_and_json() {
    let config = read(WHOLE).unwrap();
    let bytes = postcard::to_allocvec(&config).unwrap();
    assert_eq!(postcard::from_bytes::<Config>(&bytes).unwrap(), config);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
}

#[test]
fn the_schema_names_every_field() {
    let schema = serde_json::to_string(&schemars::schema_for!(Config)).unwrap();
    for name in ["policies", "guardrails", "verify_within", "run_command", "dependency_down"] {
        assert!(schema.contains(name), "{name}");
    }
}
