//! JSON bodies as Toxiproxy takes them: only the first value counts, unknown fields are ignored,
//! names match without regard to capital letters, `null` is as good as absent, and errors read as
//! those of Go's `encoding/json`, as far as a message has a counterpart.

use serde_json::{Map, Value};

/// An object of a request.
#[derive(Debug)]
pub struct Object {
    /// What Go would call the struct.
    type_name: &'static str,
    fields: Map<String, Value>,
}

/// The first JSON value of a body.
pub fn first_value(body: &[u8]) -> Result<Value, String> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    match values.next() {
        None => Err("EOF".to_owned()),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.is_eof() => Err("unexpected EOF".to_owned()),
        Some(Err(error)) => Err(syntax(body, &error)),
    }
}

impl Object {
    /// Reads a body that should be one object.
    pub fn read(body: &[u8], type_name: &'static str) -> Result<Object, String> {
        Object::of(first_value(body)?, type_name)
    }

    pub fn of(value: Value, type_name: &'static str) -> Result<Object, String> {
        match value {
            Value::Object(fields) => Ok(Object { type_name, fields }),
            Value::Null => Ok(Object { type_name, fields: Map::new() }),
            other => {
                let kind = kind(&other);
                Err(format!("json: cannot unmarshal {kind} into Go value of type {type_name}"))
            }
        }
    }

    pub fn string(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.mismatch(name, other, "string")),
        }
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(given)) => Ok(Some(*given)),
            Some(other) => Err(self.mismatch(name, other, "bool")),
        }
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(self.mismatch(name, value, "int64")),
        }
    }

    pub fn float(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(self.mismatch(name, value, "float64")),
        }
    }

    /// A number that a `float32` holds.
    pub fn float32(&self, name: &str) -> Result<Option<f32>, String> {
        let Some(number) = self.float(name)? else { return Ok(None) };
        let narrow = number as f32;
        if narrow.is_finite() {
            return Ok(Some(narrow));
        }
        let type_name = self.type_name;
        Err(format!(
            "json: cannot unmarshal number {number} into Go struct field {type_name}.{name} of \
             type float32"
        ))
    }

    pub fn object(&self, name: &'static str) -> Result<Option<Object>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                Ok(Some(Object { type_name: self.type_name, fields: fields.clone() }))
            }
            Some(other) => Err(self.mismatch(name, other, "object")),
        }
    }

    /// Replaces `number` if the field is there.
    pub fn set_integer(&self, name: &str, number: &mut i64) -> Result<(), String> {
        *number = self.integer(name)?.unwrap_or(*number);
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let exact = self.fields.get(name);
        let found = exact.or_else(|| {
            let mut fields = self.fields.iter();
            fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    fn mismatch(&self, name: &str, value: &Value, wanted: &str) -> String {
        let kind = kind(value);
        let type_name = self.type_name;
        format!(
            "json: cannot unmarshal {kind} into Go struct field {type_name}.{name} of type {wanted}"
        )
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

/// Go names the character that it stumbled over.
fn syntax(body: &[u8], error: &serde_json::Error) -> String {
    let is_first = error.line() == 1 && error.column() <= 1;
    let text = String::from_utf8_lossy(body);
    match text.trim_start().chars().next() {
        Some(first) if is_first || !"{[\"-0123456789tfn".contains(first) => {
            format!("invalid character {first:?} looking for beginning of value")
        }
        _ => format!("invalid JSON: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        Object::read(body.as_bytes(), "Proxy").unwrap_err()
    }

    #[test]
    fn errors_read_as_gos() {
        assert_eq!(error(""), "EOF");
        assert_eq!(error(r#"{"name": "#), "unexpected EOF");
        assert_eq!(error("walrus"), "invalid character 'w' looking for beginning of value");
        assert_eq!(error("[]"), "json: cannot unmarshal array into Go value of type Proxy");
    }

    #[test]
    fn only_the_first_value_counts_and_names_match_in_any_case() {
        let object = Object::read(br#"{"NAME": "a", "listen": null, "x": 1} {"#, "Proxy").unwrap();
        assert_eq!(object.string("name").unwrap().as_deref(), Some("a"));
        assert_eq!(object.string("listen").unwrap(), None);
        assert!(object.boolean("x").is_err());
    }
}
