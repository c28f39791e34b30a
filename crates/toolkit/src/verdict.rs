//! Whether a run passed.
//!
//! The strict verdict reads the finished journal and names everything that went wrong; the
//! compatible one is chaostoolkit's exit status: completed, and not deviated.

use crate::journal::{Journal, List};
use crate::strategy::Verdict;
use crate::value::Value;

/// What went wrong, one line each; empty: the run passed.
pub fn failures(journal: &Journal, verdict: Verdict) -> Vec<String> {
    let mut failures = Vec::new();
    match journal.status() {
        Some("completed") => {}
        Some(status) => failures.push(format!("the run was {status}")),
        None => failures.push("the run did not end".to_owned()),
    }
    if journal.deviated() {
        failures.push("the steady state was not met after the method".to_owned());
    }
    if verdict == Verdict::Strict {
        failures.extend(strict_failures(journal));
    }
    failures
}

fn strict_failures(journal: &Journal) -> Vec<String> {
    let mut failures = Vec::new();
    let states = journal.value().get("steady_states");
    let is_missed = |state: &Value| state.get("steady_state_met") == Some(&Value::Bool(false));
    if states.and_then(|states| states.get("before")).is_some_and(is_missed) {
        failures.push("the steady state was not met before the method, which was left out".into());
    }
    let during = states.and_then(|states| states.get("during")).and_then(Value::as_list);
    let during = during.unwrap_or_default();
    let missed = during.iter().filter(|state| is_missed(state)).count();
    if missed > 0 {
        let looks = during.len();
        failures.push(format!(
            "the steady state was not met during the method, {missed} of {looks} times"
        ));
    }
    for (list, what) in [(List::Method, "action"), (List::Rollbacks, "rollback")] {
        for run in journal.runs(list) {
            let activity = run.get("activity");
            let kind = activity.and_then(|activity| activity.get_str("type"));
            if run.get_str("status") == Some("succeeded")
                || (list == List::Method && kind != Some("action"))
            {
                continue;
            }
            let name = activity.and_then(|activity| activity.get("name")).unwrap_or(&Value::Null);
            let how = if run.get("status").is_some() { "failed" } else { "did not end" };
            failures.push(format!("{what} `{name}` {how}"));
        }
    }
    failures
}

/// Why a strict run takes an activity's result for a failure: a process that says so itself.
pub fn process_failure(activity: &Value, output: &Value) -> Option<String> {
    let is_process = activity.get("provider")?.get_str("type") == Some("process");
    let status = output.get("status")?;
    if !is_process || activity.get_str("type") != Some("action") || *status == Value::Int(0) {
        return None;
    }
    let stderr = output.get_str("stderr").unwrap_or_default().trim();
    let last = stderr.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
    Some(format!("the process exited with status {status}{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(journal: &str) -> (Vec<String>, Vec<String>) {
        let journal = Journal::from_value(serde_json::from_str(journal).unwrap());
        (failures(&journal, Verdict::Compat), failures(&journal, Verdict::Strict))
    }

    #[test]
    fn a_failed_action_fails_only_the_strict_verdict() {
        let (compat, strict) = judged(
            r#"{"status": "completed", "deviated": false, "run": [
                {"activity": {"type": "probe", "name": "p"}, "status": "failed"},
                {"activity": {"type": "action", "name": "a"}, "status": "failed"},
                {"activity": {"type": "action", "name": "b"}}],
                "rollbacks": [{"activity": {"type": "probe", "name": "r"}, "status": "failed"}]}"#,
        );
        assert!(compat.is_empty());
        assert_eq!(strict, ["action `a` failed", "action `b` did not end", "rollback `r` failed"]);
    }

    #[test]
    fn a_missed_gate_fails_only_the_strict_verdict() {
        let (compat, strict) = judged(
            r#"{"status": "completed", "steady_states": {"before": {"steady_state_met": false},
                "during": [{"steady_state_met": false}, {"steady_state_met": true}]}}"#,
        );
        assert!(compat.is_empty());
        assert_eq!(strict.len(), 2, "{strict:?}");
    }

    #[test]
    fn a_deviation_fails_both() {
        let (compat, strict) = judged(r#"{"status": "completed", "deviated": true}"#);
        assert_eq!((compat.len(), strict.len()), (1, 1));
    }

    #[test]
    fn a_process_that_exits_badly_failed() {
        let value = |json: &str| -> Value { serde_json::from_str(json).unwrap() };
        let action = value(r#"{"type": "action", "provider": {"type": "process"}}"#);
        let output = value(r#"{"status": 3, "stderr": "x\nno such disk\n"}"#);
        let told = process_failure(&action, &output).unwrap();
        assert_eq!(told, "the process exited with status 3: no such disk");
        assert!(process_failure(&action, &value(r#"{"status": 0}"#)).is_none());
        let probe = value(r#"{"type": "probe", "provider": {"type": "process"}}"#);
        assert!(process_failure(&probe, &output).is_none());
    }
}
