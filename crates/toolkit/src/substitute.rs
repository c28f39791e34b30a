//! `${name}` in an experiment, replaced by configuration and secrets.
//!
//! A text that is nothing but `${name}` becomes the value with its type; inside other text the
//! value is printed as Python prints it. `$name` is replaced too, `$$` is a dollar, and what has no
//! value stays as it is (Python's `string.Template.safe_substitute`).

use crate::value::{Map, Value};

/// Where names are looked up: the configuration first, then each group of secrets.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    pub configuration: Map,
    /// Groups of secrets by name. A group that is not a map has no names, and Python fails on it.
    pub secrets: Map,
}

/// A name was looked up in a secret that is not a group of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secrets must be grouped, but `{0}` is a value: put it into a map")]
pub struct Ungrouped(String);

impl Variables {
    pub fn is_empty(&self) -> bool {
        self.configuration.is_empty() && self.secrets.is_empty()
    }

    pub fn lookup(&self, name: &str) -> Result<Option<&Value>, Ungrouped> {
        if let Some(value) = self.configuration.get(name) {
            return Ok(Some(value));
        }
        for (group, secrets) in &self.secrets {
            let Some(secrets) = secrets.as_map() else { return Err(Ungrouped(group.clone())) };
            if let Some(value) = secrets.get(name) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// `data` with all names replaced, also inside of lists and maps; keys stay.
    pub fn substitute(&self, data: &Value) -> Result<Value, Ungrouped> {
        match data {
            Value::Text(text) => self.text(text),
            Value::List(list) => list
                .iter()
                .map(|value| self.substitute(value))
                .collect::<Result<_, _>>()
                .map(Value::List),
            Value::Map(map) => {
                let entry =
                    |(key, value): (&String, &Value)| Ok((key.clone(), self.substitute(value)?));
                map.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
            }
            other => Ok(other.clone()),
        }
    }

    /// As `substitute`, but leaves everything alone, `$$` too, where there are no variables: so do
    /// the providers with their arguments.
    pub fn substitute_arguments(&self, data: &Value) -> Result<Value, Ungrouped> {
        if self.is_empty() { Ok(data.clone()) } else { self.substitute(data) }
    }

    fn text(&self, text: &str) -> Result<Value, Ungrouped> {
        if let Some((Piece::Name { name, braced: true }, "")) = piece(text)
            && let Some(value) = self.lookup(name)?
        {
            return Ok(value.clone());
        }
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            replaced.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some((piece, after)) = piece(rest) else {
                replaced.push('$');
                rest = &rest[1..];
                continue;
            };
            match piece {
                Piece::Dollar => replaced.push('$'),
                Piece::Name { name, .. } => match self.lookup(name)? {
                    Some(value) => replaced.push_str(&value.to_string()),
                    None => replaced.push_str(&rest[..rest.len() - after.len()]),
                },
            }
            rest = after;
        }
        replaced.push_str(rest);
        Ok(Value::Text(replaced))
    }
}

enum Piece<'a> {
    Dollar,
    Name { name: &'a str, braced: bool },
}

/// The piece that `text` begins with, and what follows.
fn piece(text: &str) -> Option<(Piece<'_>, &str)> {
    let rest = text.strip_prefix('$')?;
    if let Some(after) = rest.strip_prefix('$') {
        return Some((Piece::Dollar, after));
    }
    if let Some(inner) = rest.strip_prefix('{') {
        let (name, after) = identifier(inner)?;
        return Some((Piece::Name { name, braced: true }, after.strip_prefix('}')?));
    }
    let (name, after) = identifier(rest)?;
    Some((Piece::Name { name, braced: false }, after))
}

fn identifier(text: &str) -> Option<(&str, &str)> {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_first).then_some(())?;
    let end = text.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(text.len());
    Some(text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let map = |json: &str| -> Map {
            let value: Value = serde_json::from_str(json).unwrap();
            value.as_map().unwrap().clone()
        };
        Variables {
            configuration: map(r#"{"port": 80, "names": ["a"], "deep": {"x": null}, "T": true}"#),
            secrets: map(r#"{"one": {"token": "t", "port": 1}, "two": {"key": 1.5}}"#),
        }
    }

    #[test]
    fn a_name_alone_keeps_its_type_and_in_text_it_is_printed() {
        let cases = [
            (r#""${port}""#, "80"),
            (r#""$port""#, r#""80""#),
            (r#""x${port}""#, r#""x80""#),
            (r#""${names} ${deep} ${T} ${key}""#, r#""['a'] {'x': None} True 1.5""#),
            (r#""${deep}""#, r#"{"x": null}"#),
            (r#""${token}""#, r#""t""#),
            (r#""$$port $$ $ ${ ${} ${no} $no ${1}""#, r#""$port $ $ ${ ${} ${no} $no ${1}""#),
            (r#""${port}${port}""#, r#""8080""#),
            (r#""${port""#, r#""${port""#),
            (r#""$portable ${Port}""#, r#""$portable ${Port}""#),
            (r#""é$""#, r#""é$""#),
            (
                r#"{"${port}": ["${port}", {"a": "$T"}, 5]}"#,
                r#"{"${port}": [80, {"a": "True"}, 5]}"#,
            ),
        ];
        for (given, expected) in cases {
            let given: Value = serde_json::from_str(given).unwrap();
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(variables().substitute(&given).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn without_variables_arguments_stay_as_they_are() {
        let text = Value::text("$$ ${x}");
        assert_eq!(Variables::default().substitute_arguments(&text).unwrap(), text);
        assert_eq!(Variables::default().substitute(&text).unwrap(), Value::text("$ ${x}"));
    }

    #[test]
    fn a_secret_outside_of_a_group_is_said() {
        let mut variables = variables();
        variables.secrets.insert("flat".to_owned(), Value::text("x"));
        let error = variables.substitute(&Value::text("${nowhere}")).unwrap_err();
        assert!(error.to_string().contains("`flat`"));
    }
}
