//! Values filled into paths and bodies: `/api/orders/${order}`, `{"sku": "${sku}"}`.
//!
//! In a path a value is percent-encoded. A body string that is nothing but `${name}` becomes the
//! value itself and keeps its JSON type.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values by name.
pub type Values = BTreeMap<String, Value>;

/// The path with its values; fails with the name that has none.
pub fn fill_path(path: &str, values: &Values) -> Result<String, String> {
    fill(path, values, percent_encode)
}

/// The body with its values; fails with the name that has none.
pub fn fill_body(body: &Value, values: &Values) -> Result<Value, String> {
    Ok(match body {
        Value::String(text) => match whole_name(text) {
            Some(name) => values.get(name).cloned().ok_or_else(|| name.to_owned())?,
            None => Value::String(fill(text, values, str::to_owned)?),
        },
        Value::Array(elements) => {
            let filled = elements.iter().map(|element| fill_body(element, values));
            Value::Array(filled.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let filled = members
                .iter()
                .map(|(name, member)| Ok::<_, String>((name.clone(), fill_body(member, values)?)));
            Value::Object(filled.collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

fn fill(text: &str, values: &Values, encode: fn(&str) -> String) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(after.to_owned());
        };
        let value = values.get(name).ok_or_else(|| name.to_owned())?;
        filled.push_str(before);
        filled.push_str(&encode(&plain(value)));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn whole_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains('}')).then_some(name)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Values {
        let pairs = [("sku", json!("mug")), ("count", json!(2)), ("odd", json!("a/b ü"))];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_path_holds_its_values_encoded() {
        assert_eq!(fill_path("/p/${sku}?n=${count}", &values()), Ok("/p/mug?n=2".to_owned()));
        assert_eq!(fill_path("/p/${odd}", &values()), Ok("/p/a%2Fb%20%C3%BC".to_owned()));
        assert_eq!(fill_path("/p/$5", &values()), Ok("/p/$5".to_owned()));
    }

    #[test]
    fn a_body_keeps_the_types_of_its_values() {
        let body = json!({ "items": [{ "sku": "${sku}", "n": "${count}", "note": "${count}x" }] });
        let filled = json!({ "items": [{ "sku": "mug", "n": 2, "note": "2x" }] });
        assert_eq!(fill_body(&body, &values()), Ok(filled));
        assert_eq!(fill_body(&json!("${sku} ${count}"), &values()), Ok(json!("mug 2")));
    }

    #[test]
    fn a_name_without_value_is_named() {
        assert_eq!(fill_path("/p/${id}", &values()), Err("id".to_owned()));
        assert_eq!(fill_body(&json!(["${id}"]), &values()), Err("id".to_owned()));
        assert!(fill_path("/p/${sku", &values()).is_err());
    }
}
