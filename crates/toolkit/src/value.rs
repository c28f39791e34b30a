//! Values as an experiment's file, its probes and Python know them.
//!
//! JSON's values with Python's manners, for the verdicts of Chaos Toolkit are Python's: maps keep
//! their order (it is the order of a process's arguments), integers are not floats but equal to
//! them, `True` equals 1, and what is "true" is decided as Python decides it.

mod decimal;
mod json;
mod text;

use std::cmp::Ordering;

use indexmap::IndexMap;

pub use decimal::Decimal;

pub type Map = IndexMap<String, Value>;

#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Map),
}

/// Python would have raised a `TypeError`; says which two kinds do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {0} and a {1} have no order")]
pub struct NoOrder(&'static str, &'static str);

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// An entry of a map; `None` for other kinds too.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        match self {
            Value::Map(map) => map.get_mut(key),
            _ => None,
        }
    }

    /// The text at `key`, if there is one and it is text.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, where it is one; `True` is 1, as in Python.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn as_int(&self) -> Option<i128> {
        match self {
            Value::Bool(yes) => Some(i128::from(*yes)),
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Value::Bool(_) | Value::Int(_) | Value::Float(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Python's truth: nothing, zero and what is empty are false.
    pub fn truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(yes) => *yes,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
        }
    }

    /// Python's name of the kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::List(_) => "list",
            Value::Map(_) => "dict",
        }
    }

    /// Python's order: numbers among themselves, texts, and lists member by member. `None` where
    /// neither is greater (a NaN).
    pub fn order(&self, other: &Value) -> Result<Option<Ordering>, NoOrder> {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
            (Value::List(a), Value::List(b)) => {
                let differing = a.iter().zip(b).find(|(a, b)| a != b);
                match differing {
                    Some((a, b)) => a.order(b),
                    None => Ok(Some(a.len().cmp(&b.len()))),
                }
            }
            (a, b) if a.is_number() && b.is_number() => Ok(number_order(a, b)),
            (a, b) => Err(NoOrder(a.kind(), b.kind())),
        }
    }

    /// `self <= other` in Python.
    pub fn at_most(&self, other: &Value) -> Result<bool, NoOrder> {
        Ok(self.order(other)?.is_some_and(Ordering::is_le))
    }

    /// The value at the end of a path of keys and indices.
    pub fn at(&self, path: &[Step]) -> Option<&Value> {
        path.iter().try_fold(self, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.as_list()?.get(*index),
        })
    }

    pub fn at_mut(&mut self, path: &[Step]) -> Option<&mut Value> {
        path.iter().try_fold(self, |value, step| match (step, value) {
            (Step::Key(key), Value::Map(map)) => map.get_mut(*key),
            (Step::Index(index), Value::List(list)) => list.get_mut(*index),
            _ => None,
        })
    }
}

/// One step from a value to one inside it. Keys are those of the experiment's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Key(&'static str),
    Index(usize),
}

fn number_order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_int(), b.as_int()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        // Exact, as in Python: 2**53 + 1 is not 2.0**53.
        _ => match (Decimal::of(a), Decimal::of(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_number()?.partial_cmp(&b.as_number()?),
        },
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (a, b) if a.is_number() && b.is_number() => number_order(a, b) == Some(Ordering::Equal),
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::text(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(entries: [(&str, Value); N]) -> Value {
        Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_are_equal_across_kinds_and_never_to_text() {
        assert_eq!(value("1"), value("1.0"));
        assert_eq!(value("true"), value("1"));
        assert_ne!(value("1"), value("\"1\""));
        assert_ne!(value("9007199254740993"), value("9007199254740992.0"));
        assert_eq!(value(r#"{"a":1,"b":[true]}"#), value(r#"{"b":[1.0],"a":true}"#));
    }

    #[test]
    fn order_is_pythons() {
        assert!(value("[1,2]").at_most(&value("[1,3]")).unwrap());
        assert!(value("\"a\"").at_most(&value("\"b\"")).unwrap());
        assert!(!value("2").at_most(&value("true")).unwrap());
        let error = value("null").at_most(&value("1")).unwrap_err();
        assert_eq!(error.to_string(), "a NoneType and a int have no order");
    }

    #[test]
    fn a_path_leads_into_lists_and_maps() {
        let mut experiment = value(r#"{"method":[{"name":"a"},{"name":"b"}]}"#);
        let path = [Step::Key("method"), Step::Index(1)];
        assert_eq!(experiment.at(&path).unwrap().get_str("name"), Some("b"));
        *experiment.at_mut(&path).unwrap() = Value::Null;
        assert!(experiment.at(&path).unwrap().is_null());
        assert!(experiment.at(&[Step::Key("method"), Step::Index(2)]).is_none());
    }
}
