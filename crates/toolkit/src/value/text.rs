//! Values as Python prints them: what `${x}` inside a text becomes, and a process's arguments.

use std::fmt;

use super::Value;

/// `str(value)`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            other => f.write_str(&repr(other)),
        }
    }
}

/// `repr(value)`.
fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::Text(text) => quoted(text),
        Value::List(list) => {
            let members: Vec<String> = list.iter().map(repr).collect();
            format!("[{}]", members.join(", "))
        }
        Value::Map(map) => {
            let entry = |(key, value): (&String, _)| format!("{}: {}", quoted(key), repr(value));
            let entries: Vec<String> = map.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            c if c == quote => quoted.extend(['\\', c]),
            c if c.is_control() && u32::from(c) < 0x100 => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push(quote);
    quoted
}

/// The shortest digits that give the same float, in Python's choice of notation.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::super::Value;

    #[test]
    fn values_print_as_python_prints_them() {
        let cases = [
            (r#""it's""#, "it's"),
            (r#"["it's", "\"", "a\nb"]"#, r#"["it's", '"', 'a\nb']"#),
            ("null", "None"),
            (
                "[true, 1, 1.0, 1e16, 1e15, 0.0001, 0.00001, -1.5e-7]",
                "[True, 1, 1.0, 1e+16, 1000000000000000.0, 0.0001, 1e-05, -1.5e-07]",
            ),
            (r#"{"a": {"b": []}}"#, "{'a': {'b': []}}"),
        ];
        for (json, printed) in cases {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(value.to_string(), printed);
        }
    }
}
