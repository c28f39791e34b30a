//! chaoslib's rules, and which controls apply where.

use super::*;

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

const GOOD: &str = r#"{
    "title": "t", "description": "d", "tags": ["a"],
    "steady-state-hypothesis": {"title": "h", "probes": [
        {"type": "probe", "name": "p", "tolerance": 200,
         "provider": {"type": "http", "url": "http://localhost"}}]},
    "method": [
        {"ref": "p"},
        {"type": "action", "name": "a", "background": true, "pauses": {"before": "${x}"},
         "provider": {"type": "process", "path": "true"}}],
    "rollbacks": [{"type": "action", "name": "r",
         "provider": {"type": "python", "module": "os", "func": "getpid"}}]
}"#;

fn validated(experiment: &Value) -> Result<Vec<Question>, String> {
    validate(experiment, &|_| None)
}

#[test]
fn a_valid_experiment_leaves_questions_for_the_machine() {
    let questions = validated(&value(GOOD)).unwrap();
    let program = Question::Program { activity: "a".to_owned(), path: "true".to_owned() };
    assert_eq!(questions[0], program);
    assert!(matches!(questions[1], Question::Function(_)));
    assert_eq!(questions.len(), 2);
}

#[test]
fn each_offence_is_told() {
    let cases = [
        (r#""title": "t""#, r#""title": """#, "experiment requires a title"),
        (r#""description": "d""#, r#""x": 1"#, "experiment requires a description"),
        (r#"["a"]"#, r#"["a", ""]"#, "experiment tags"),
        (r#""title": "h""#, r#""x": "h""#, "hypothesis requires a title"),
        (r#""tolerance": 200,"#, "", "must have a tolerance entry"),
        (r#""tolerance": 200"#, r#""tolerance": 1.5"#, "tolerance must either be"),
        (r#"{"ref": "p"}"#, r#"{"ref": "nope"}"#, "referenced activity 'nope'"),
        (r#"{"ref": "p"}"#, r#"{"ref": 1}"#, "non-empty strings"),
        (r#"{"ref": "p"}"#, "{}", "empty activity is no activity"),
        (
            r#""type": "action", "name": "a""#,
            r#""type": "x", "name": "a""#,
            "'x' is not a supported",
        ),
        (r#""name": "a","#, "", "an activity must have a name"),
        (r#""background": true"#, r#""background": 1"#, "background must be a boolean"),
        (r#""before": "${x}""#, r#""before": "x""#, "before pause must be a number"),
        (r#""path": "true""#, r#""path": """#, "must have a path"),
        (r#""type": "process""#, r#""type": "shell""#, "unknown provider type 'shell'"),
        (r#""url": "http://localhost""#, r#""u": """#, "must have a URL"),
        (r#""func": "getpid""#, r#""func": """#, "must have a function name"),
        (r#""method": ["#, r#""m": ["#, "an experiment requires a method"),
    ];
    for (from, to, told) in cases {
        assert!(GOOD.contains(from), "{from}");
        let error = validated(&value(&GOOD.replacen(from, to, 1))).unwrap_err();
        assert!(error.contains(told), "{to}: {error}");
    }
}

#[test]
fn a_reference_leads_to_the_last_of_that_name() {
    let experiment = value(
        r#"{"method": [{"name": "x"}, {"name": "x"}, {"ref": "x"}],
            "rollbacks": [{"ref": "x"}, {"ref": "y"}]}"#,
    );
    let rollbacks = activities(&experiment, ROLLBACKS);
    let found = resolve(&experiment, &rollbacks[0]).unwrap();
    assert_eq!(found, [Step::Key("method"), Step::Index(1)]);
    assert!(resolve(&experiment, &rollbacks[1]).is_err());
}

#[test]
fn controls_of_all_levels_are_merged_as_chaoslib_merges_them() {
    let experiment =
        value(r#"{"controls": [{"name": "a"}, {"name": "b", "automatic": false}, {"name": "c"}]}"#);
    let names = |level: &str, context: &str, global: &str| -> Vec<String> {
        let global = value(global);
        let global = global.as_list().unwrap();
        controls_for(level, &experiment, &value(context), global)
            .iter()
            .map(|control| control.get("name").unwrap_or(&Value::Null).to_string())
            .collect()
    };
    assert_eq!(names("activity", "{}", "[]"), ["a", "c"]);
    assert_eq!(names("activity", r#"{"controls": [{"name": "d"}]}"#, "[]"), ["a", "c", "d"]);
    assert_eq!(names("activity", r#"{"controls": [{"ref": "b"}]}"#, "[]"), ["None", "b"]);
    assert_eq!(names("method", "{}", r#"[{"name": "g"}]"#), ["a", "c"]);
    assert_eq!(names("experiment", "{}", r#"[{"name": "g"}]"#), ["g"]);
}
