//! Whether a probe's result lies within its tolerance.
//!
//! A tolerance is a scalar, a list, or a map of type `regex`, `jsonpath`, `range` or `probe`. Where
//! Python would raise an error instead of answering (a number compared with text), so does this:
//! the run then ends as it does there.

use crate::jsonpath::JsonPath;
use crate::pattern::Pattern;
use crate::read::{self, Format};
use crate::substitute::Variables;
use crate::value::{Decimal, Value};

/// Checks a tolerance's form; the message says what is wrong.
///
/// One of type `probe` has to be a valid activity besides.
pub fn validate(tolerance: &Value) -> Result<(), String> {
    match tolerance {
        Value::Bool(_) | Value::Int(_) | Value::List(_) | Value::Text(_) => Ok(()),
        Value::Map(_) => match tolerance.get_str("type") {
            Some("probe") => Ok(()),
            Some("regex") => validate_regex(tolerance),
            Some("jsonpath") => validate_jsonpath(tolerance),
            Some("range") => validate_range(tolerance),
            _ => {
                let kind = tolerance.get("type").unwrap_or(&Value::Null);
                Err(format!("hypothesis probe tolerance type '{kind}' is unsupported"))
            }
        },
        Value::Null | Value::Float(_) => Err(
            "hypothesis probe tolerance must either be an integer, a string, a boolean or a pair \
             of values for boundaries. It can also be a dictionary which is a probe activity \
             definition that takes an argument called `value` with the value of the probe itself \
             to be validated"
                .to_owned(),
        ),
    }
}

fn validate_regex(tolerance: &Value) -> Result<(), String> {
    let pattern = tolerance
        .get("pattern")
        .ok_or("hypothesis regex probe tolerance must have a `pattern` key")?;
    let Some(text) = pattern.as_str() else {
        return Err(format!("hypothesis probe tolerance pattern {pattern} has an invalid type"));
    };
    Pattern::compile(text).map(|_| ()).map_err(|error| {
        format!("hypothesis probe tolerance pattern {text} seems invalid: {error}")
    })
}

fn validate_jsonpath(tolerance: &Value) -> Result<(), String> {
    let path = tolerance
        .get("path")
        .ok_or("hypothesis jsonpath probe tolerance must have a `path` key")?;
    let Some(text) = path.as_str() else {
        return Err(format!("hypothesis probe tolerance JSON path {path} has an invalid type"));
    };
    if text.trim().is_empty() {
        return Err("hypothesis probe tolerance JSON path cannot be empty".to_owned());
    }
    JsonPath::parse(text)
        .map(|_| ())
        .map_err(|error| format!("hypothesis probe tolerance JSON path {text} is invalid: {error}"))
}

fn validate_range(tolerance: &Value) -> Result<(), String> {
    let range =
        tolerance.get("range").ok_or("hypothesis range probe tolerance must have a `range` key")?;
    let range = range.as_list().ok_or("hypothesis range must be a sequence")?;
    let [low, high] = range else {
        return Err("hypothesis range sequence must be made of two values".to_owned());
    };
    for (bound, name) in [(low, "lower"), (high, "upper")] {
        if !bound.is_number() {
            return Err(format!("hypothesis range {name} boundary must be a number"));
        }
    }
    Ok(())
}

/// Whether `value` lies within. Not for tolerances of type `probe`: those have to be run.
///
/// An error where Python has none but raises: the run cannot go on.
pub fn within(tolerance: &Value, value: &Value, variables: &Variables) -> Result<bool, String> {
    match tolerance {
        Value::Bool(_) | Value::Text(_) => Ok(value == tolerance),
        Value::Int(_) => Ok(value.get("status").unwrap_or(value) == tolerance),
        Value::List(members) => within_list(members, value),
        Value::Map(_) => match tolerance.get_str("type") {
            Some("regex") => within_regex(tolerance, value, variables),
            Some("jsonpath") => within_jsonpath(tolerance, value, variables),
            Some("range") => within_range(tolerance, value),
            _ => Ok(false),
        },
        Value::Null | Value::Float(_) => Ok(false),
    }
}

fn within_list(members: &[Value], value: &Value) -> Result<bool, String> {
    if let Some(status) = value.get("status") {
        return Ok(members.contains(status));
    }
    if let [low, high] = members {
        let order = |error: crate::value::NoOrder| error.to_string();
        return Ok(low.at_most(value).map_err(order)? && value.at_most(high).map_err(order)?);
    }
    Ok(members.contains(value))
}

/// The part of the result that `target` names, or all of it.
fn targeted<'a>(tolerance: &Value, value: &'a Value) -> Result<&'a Value, String> {
    match tolerance.get("target") {
        Some(target) if target.truthy() => match value {
            Value::Map(map) => Ok(target.as_str().and_then(|key| map.get(key)).unwrap_or(value)),
            other => Err(format!("target `{target}`: a {} has no parts", other.kind())),
        },
        _ => Ok(value),
    }
}

fn substituted(
    tolerance: &Value,
    key: &str,
    variables: &Variables,
) -> Result<Option<Value>, String> {
    let found = tolerance.get(key).map(|value| variables.substitute(value));
    found.transpose().map_err(|error| error.to_string())
}

fn within_regex(tolerance: &Value, value: &Value, variables: &Variables) -> Result<bool, String> {
    let pattern = substituted(tolerance, "pattern", variables)?.unwrap_or_default();
    let pattern = pattern.as_str().ok_or("the pattern of a regex must be text")?;
    let pattern = Pattern::compile(pattern)?;
    match targeted(tolerance, value)? {
        Value::Text(text) => pattern.search(text),
        other => Err(format!("a regex searches text, but the probe gave a {}", other.kind())),
    }
}

fn within_jsonpath(
    tolerance: &Value,
    value: &Value,
    variables: &Variables,
) -> Result<bool, String> {
    let path = substituted(tolerance, "path", variables)?.unwrap_or_default();
    let path = JsonPath::parse(path.as_str().ok_or("a JSON path must be text")?)?;
    let value = targeted(tolerance, value)?;
    let parsed = value.as_str().and_then(|text| read::parse(text, Format::Json).ok());
    let found = path.find(parsed.as_ref().unwrap_or(value))?;

    if let Some(expected) = substituted(tolerance, "expect", variables)? {
        return Ok(match expected {
            Value::List(expected) => {
                let pairs = found.iter().zip(&expected);
                found.len() == expected.len() && pairs.clone().all(|(a, b)| a.as_ref() == b)
            }
            expected => matches!(found.as_slice(), [only] if only.as_ref() == &expected),
        });
    }
    match tolerance.get("count") {
        None | Some(Value::Null) => Ok(!found.is_empty()),
        Some(count) => Ok(*count == Value::Int(found.len() as i128)),
    }
}

fn within_range(tolerance: &Value, value: &Value) -> Result<bool, String> {
    let value = targeted(tolerance, value)?;
    let decimal = match value {
        Value::Text(text) => Decimal::parse(text),
        number if number.is_number() => Decimal::of(number),
        other => {
            return Err(format!("a range needs a number, but the probe gave a {}", other.kind()));
        }
    };
    let Some(decimal) = decimal else { return Ok(false) };
    let bound = |at: usize| tolerance.get("range")?.as_list()?.get(at).and_then(Decimal::of);
    match (bound(0), bound(1)) {
        (Some(low), Some(high)) => Ok(low <= decimal && decimal <= high),
        _ => Err("a range needs two numbers".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    fn check(tolerance: &str, result: &str, expected: Result<bool, ()>) {
        let variables = Variables {
            configuration: value(r#"{"name": "jane", "num": 5}"#).as_map().unwrap().clone(),
            ..Variables::default()
        };
        let tolerance = value(tolerance);
        validate(&tolerance).unwrap();
        let judged = within(&tolerance, &value(result), &variables);
        assert_eq!(judged.clone().map_err(|_| ()), expected, "{tolerance} {result} {judged:?}");
    }

    #[test]
    fn scalars_are_equal_and_an_integer_looks_at_the_status() {
        check("true", "true", Ok(true));
        check("true", "1", Ok(true));
        check("true", r#"{"status": true}"#, Ok(false));
        check("\"a\"", "\"a\"", Ok(true));
        check("200", r#"{"status": 200}"#, Ok(true));
        check("200", r#"{"status": "200"}"#, Ok(false));
        check("6", "6.0", Ok(true));
        check("6", r#"{"x": 6}"#, Ok(false));
    }

    #[test]
    fn a_list_is_membership_for_a_status_and_bounds_for_a_pair() {
        check("[0, 5]", r#"{"status": 3}"#, Ok(false));
        check("[0, 5]", r#"{"status": 5}"#, Ok(true));
        check("[0, 5]", "3", Ok(true));
        check("[0, 5]", "5.1", Ok(false));
        check("[0, 5, 7]", "7", Ok(true));
        check("[0, 5, 7]", "6", Ok(false));
        check("[\"a\", \"c\"]", "\"b\"", Ok(true));
        check("[0, 5]", "\"b\"", Err(()));
        check("[0, 5]", "null", Err(()));
    }

    #[test]
    fn a_regex_searches_the_target() {
        let regex = r#"{"type": "regex", "target": "stdout", "pattern": "^[0-9]{2}$"}"#;
        check(regex, r#"{"status": 0, "stdout": "12\n"}"#, Ok(true));
        check(regex, r#"{"status": 0, "stdout": "123"}"#, Ok(false));
        check(regex, r#"{"other": "12"}"#, Err(()));
        check(regex, "\"12\"", Err(()));
        check(r#"{"type": "regex", "pattern": "${name}"}"#, "\"I am jane\"", Ok(true));
        check(r#"{"type": "regex", "pattern": "${num}"}"#, "\"5\"", Err(()));
    }

    #[test]
    fn a_json_path_finds_counts_and_expects() {
        let body = r#"{"status": 200, "body": "{\"a\": [{\"n\": \"jane\"}, {\"n\": 5}]}"}"#;
        let path = |more: &str| {
            format!(r#"{{"type": "jsonpath", "target": "body", "path": "$.a[*].n"{more}}}"#)
        };
        check(&path(""), body, Ok(true));
        check(&path(r#", "count": 2"#), body, Ok(true));
        check(&path(r#", "count": 1"#), body, Ok(false));
        check(&path(r#", "expect": ["jane", 5]"#), body, Ok(true));
        check(&path(r#", "expect": ["${name}", "${num}"]"#), body, Ok(true));
        check(&path(r#", "expect": "jane""#), body, Ok(false));
        check(&path(r#", "expect": null"#), body, Ok(false));
        check(&path(r#", "count": 9, "expect": ["jane", 5]"#), body, Ok(true));
        check(r#"{"type": "jsonpath", "path": "$"}"#, "\"not json\"", Ok(true));
    }

    #[test]
    fn a_range_is_exact() {
        let range = r#"{"type": "range", "target": "body", "range": [0.1, 5]}"#;
        check(range, r#"{"body": "5.0"}"#, Ok(true));
        check(range, r#"{"body": "0.1"}"#, Ok(false));
        check(range, r#"{"body": 0.1}"#, Ok(true));
        check(range, r#"{"body": "x"}"#, Ok(false));
        check(range, r#"{"body": [1]}"#, Err(()));
        check(range, r#"{"body": null}"#, Err(()));
    }

    #[test]
    fn a_malformed_tolerance_is_refused() {
        for tolerance in [
            "1.5",
            "null",
            r#"{"type": "x"}"#,
            r#"{"type": "regex"}"#,
            r#"{"type": "regex", "pattern": "("}"#,
            r#"{"type": "jsonpath", "path": " "}"#,
            r#"{"type": "jsonpath", "path": "$.a["}"#,
            r#"{"type": "range", "range": [1]}"#,
            r#"{"type": "range", "range": [1, "2"]}"#,
        ] {
            assert!(validate(&value(tolerance)).is_err(), "{tolerance}");
        }
    }
}
