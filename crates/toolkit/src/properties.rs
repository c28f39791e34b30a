//! What holds of whatever is read: nothing panics, and what is bounded stays so.

use proptest::prelude::*;

use crate::experiment;
use crate::jsonpath::JsonPath;
use crate::pattern::Pattern;
use crate::read::{self, Format};
use crate::substitute::Variables;
use crate::tolerance;
use crate::value::{Decimal, Map, Value};

/// Values as JSON can hold them, with words and numbers that mean something here.
fn values() -> impl Strategy<Value = Value> {
    let words = prop_oneof![
        Just("${a}".to_owned()),
        Just("$b$$ ${c} ${".to_owned()),
        Just("1e5".to_owned()),
        Just("$.a[*][?(@.b = 1)]".to_owned()),
        Just("[0-9]+$".to_owned()),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Int(number.into())),
        any::<f64>()
            .prop_filter("JSON has no NaN", |number| number.is_finite())
            .prop_map(Value::Float),
        words.prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let keys = prop_oneof![
            Just("type"),
            Just("name"),
            Just("provider"),
            Just("probes"),
            Just("method"),
            Just("tolerance"),
            Just("target"),
            Just("path"),
            Just("pattern"),
            Just("range"),
            Just("steady-state-hypothesis"),
            Just("controls"),
            Just("ref"),
            Just("status"),
            Just("secrets"),
            Just("configuration"),
            Just("rollbacks"),
            Just("title"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::vec((keys, inner), 0..6).prop_map(|entries| {
                Value::Map(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

fn tolerances() -> impl Strategy<Value = Value> {
    let kinds = prop_oneof![Just("regex"), Just("jsonpath"), Just("range"), Just("probe")];
    let typed = (kinds, prop::collection::vec(values(), 6)).prop_map(|(kind, mut given)| {
        let mut next = || given.pop().unwrap_or_default();
        let entries: Value = [
            ("type", kind.into()),
            ("pattern", next()),
            ("path", next()),
            ("range", next()),
            ("target", next()),
            ("count", next()),
            ("expect", next()),
        ]
        .into();
        entries
    });
    prop_oneof![values(), typed]
}

proptest! {
    #[test]
    fn any_text_is_an_experiment_or_an_error(text in ".{0,200}") {
        for format in [Format::Json, Format::Yaml] {
            if let Ok(value) = read::parse(&text, format) {
                let _ = experiment::validate(&value, &|_| None);
            }
        }
    }

    #[test]
    fn any_value_is_validated_without_panic(value in values(), key in 0..3_usize) {
        let mut experiment = Map::new();
        experiment.insert("title".to_owned(), "t".into());
        experiment.insert("description".to_owned(), "d".into());
        experiment.insert("method".to_owned(), Value::List(Vec::new()));
        let key = ["method", "steady-state-hypothesis", "rollbacks"][key];
        experiment.insert(key.to_owned(), value.clone());
        let _ = experiment::validate(&Value::Map(experiment), &|_| None);
        let _ = experiment::validate(&value, &|_| None);
    }

    #[test]
    fn any_result_is_judged_without_panic(tolerance in tolerances(), result in values()) {
        let variables = Variables::default();
        let _ = tolerance::validate(&tolerance);
        let _ = tolerance::within(&tolerance, &result, &variables);
    }

    #[test]
    fn substitution_ends_and_leaves_what_has_no_dollar(data in values(), a in values()) {
        let configuration = Map::from_iter([("a".to_owned(), a)]);
        let variables = Variables { configuration, ..Variables::default() };
        let replaced = variables.substitute(&data).unwrap();
        if !serde_json::to_string(&data).unwrap().contains('$') {
            prop_assert_eq!(replaced, data);
        }
    }

    #[test]
    fn values_survive_json(value in values()) {
        let text = serde_json::to_string(&value).unwrap();
        let back: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn paths_and_patterns_are_taken_or_refused(
        path in r#"[$@.\[\]*?()"a-z0-9:, =<>!-]{0,40}"#,
        pattern in r"[a-z0-9\\.*+?|()\[\]{}^$&~-]{0,30}",
        value in values(),
    ) {
        if let Ok(path) = JsonPath::parse(&format!("${path}")) {
            let _ = path.find(&value);
        }
        if let Ok(pattern) = Pattern::compile(&pattern) {
            let _ = pattern.search("some text {a} [b]\n");
        }
    }

    #[test]
    fn decimals_are_ordered_as_their_floats(a in any::<f64>(), b in any::<f64>()) {
        let decimal = |number: f64| Decimal::of(&Value::Float(number));
        if let (Some(exact_a), Some(exact_b)) = (decimal(a), decimal(b)) {
            prop_assert_eq!(Some(exact_a.cmp(&exact_b)), a.partial_cmp(&b));
        }
        let _ = Decimal::parse(&a.to_string());
    }
}
