//! Configuration and secrets: from the experiment, the environment, `--var` and `--var-file`.

use crate::read::{self, Format};
use crate::value::{Map, Value};

/// Looks a variable of the environment up.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// What the command line gave: values for configuration, definitions for secrets, and variables
/// for the environment (from `.env` files).
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub configuration: Map,
    pub secrets: Map,
    pub environment: Vec<(String, String)>,
}

impl Given {
    /// Adds a `--var-file`: JSON or YAML with `configuration` and `secrets`, else lines
    /// `NAME=VALUE` for the environment.
    pub fn add_file(&mut self, name: &str, content: &str) -> Result<(), String> {
        if content.is_empty() {
            return Ok(());
        }
        let data = match Format::of(name) {
            Some(format) => read::parse(content, format)?,
            None => Value::Null,
        };
        if data.truthy() {
            for (part, into) in
                [("configuration", &mut self.configuration), ("secrets", &mut self.secrets)]
            {
                match data.get(part) {
                    None => {}
                    Some(Value::Map(entries)) => into.extend(entries.clone()),
                    Some(_) => return Err(format!("`{part}` must be a map")),
                }
            }
            return Ok(());
        }
        for line in content.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                return Err(format!("a line must be NAME=VALUE, not `{line}`"));
            };
            self.environment.push((name.to_owned(), value.to_owned()));
        }
        Ok(())
    }

    /// Adds a `--var`: `name=value` or `name:type=value`.
    pub fn add_variable(&mut self, text: &str) -> Result<(), String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!("`{text}` must be NAME=VALUE or NAME:TYPE=VALUE"));
        };
        let (name, value) = match name.rsplit_once(':') {
            Some((name, kind)) => (name, convert(Some(kind), Value::text(value))?),
            None => (name, Value::text(value)),
        };
        self.configuration.insert(name.to_owned(), value);
        Ok(())
    }
}

/// The value as the type that `env_var_type` or `--var` names.
fn convert(kind: Option<&str>, value: Value) -> Result<Value, String> {
    let wrong = |what: &str| format!("`{value}` is not {what}");
    match kind {
        None | Some("str" | "string" | "bytes") => Ok(value),
        Some("int" | "integer") => match &value {
            Value::Text(text) => text
                .trim()
                .replace('_', "")
                .parse()
                .map(Value::Int)
                .map_err(|_| wrong("an integer")),
            Value::Float(number) if number.is_finite() => Ok(Value::Int(number.trunc() as i128)),
            Value::Bool(yes) => Ok(Value::Int(i128::from(*yes))),
            Value::Int(_) => Ok(value),
            _ => Err(wrong("an integer")),
        },
        Some("float" | "number") => match &value {
            Value::Text(text) => text
                .trim()
                .replace('_', "")
                .parse()
                .map(Value::Float)
                .map_err(|_| wrong("a number")),
            other => other.as_number().map(Value::Float).ok_or_else(|| wrong("a number")),
        },
        Some("bool") => match &value {
            Value::Bool(_) => Ok(value),
            Value::Text(text) => {
                let text = text.to_lowercase();
                Ok(Value::Bool(!matches!(text.as_str(), "false" | "0" | "no")))
            }
            _ => Err(wrong("a boolean")),
        },
        Some("json") => match &value {
            Value::Text(text) if text.is_empty() => Ok(value),
            Value::Text(text) => read::parse(text, Format::Json),
            _ => Ok(value),
        },
        Some(_) => {
            Err("variable type can only be: bool, str, int, float, bytes or json".to_owned())
        }
    }
}

/// The configuration, but for values that a probe gives.
pub fn configuration(
    declared: Option<&Value>,
    given: &Map,
    environment: Environment<'_>,
) -> Result<Map, String> {
    let mut configuration = Map::new();
    for (key, value) in section("configuration", declared)? {
        let value = given.get(key).unwrap_or(value);
        let loaded = match value.get_str("type") {
            Some("env") => from_environment(value, environment)?,
            _ => value.clone(),
        };
        configuration.insert(key.clone(), loaded);
    }
    Ok(configuration)
}

fn from_environment(value: &Value, environment: Environment<'_>) -> Result<Value, String> {
    let Some(name) = value.get_str("key") else {
        return Err("configuration of type `env` needs a `key`, a variable's name".to_owned());
    };
    let found = environment(name).map(Value::Text);
    let Some(found) = found.or_else(|| value.get("default").cloned()) else {
        return Err(format!(
            "Configuration makes reference to an environment key that does not exist: {name}"
        ));
    };
    convert(value.get_str("env_var_type"), found)
        .map_err(|problem| format!("environment variable {name}: {problem}"))
}

/// The secrets, group by group. `given` holds definitions that replace declared ones.
pub fn secrets(
    declared: Option<&Value>,
    given: Option<&Map>,
    environment: Environment<'_>,
) -> Result<Map, String> {
    let mut secrets = Map::new();
    for (key, value) in section("secrets", declared)? {
        let replaced = given.and_then(|given| given.get(key)).filter(|value| !value.is_null());
        let loaded = match (value, replaced) {
            (Value::Map(_), Some(replaced)) => replaced.clone(),
            (Value::Map(_), None) => match value.get_str("type") {
                Some("env") => secret_from_environment(value, environment)?,
                Some("vault") => {
                    return Err(format!(
                        "secret `{key}` is in Vault, which Immune does not read: fetch it before \
                         and hand it over as type `env`"
                    ));
                }
                _ => Value::Map(self::secrets(Some(value), None, environment)?),
            },
            (plain, _) => plain.clone(),
        };
        secrets.insert(key.clone(), loaded);
    }
    Ok(secrets)
}

fn secret_from_environment(value: &Value, environment: Environment<'_>) -> Result<Value, String> {
    let Some(name) = value.get_str("key") else {
        return Err("a secret of type `env` needs a `key`, a variable's name".to_owned());
    };
    environment(name).map(Value::Text).ok_or_else(|| {
        format!("Secrets make reference to an environment key that does not exist: {name}")
    })
}

fn section<'a>(
    name: &str,
    declared: Option<&'a Value>,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, String> {
    match declared {
        None => Ok(None.into_iter().flatten()),
        Some(Value::Map(map)) => Ok(Some(map.iter()).into_iter().flatten()),
        Some(other) => Err(format!("`{name}` must be a map, not a {}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    fn environment(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("80".to_owned()),
            "NO" => Some("No".to_owned()),
            "LIST" => Some("[1]".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn configuration_comes_from_the_environment_with_its_type() {
        let declared = value(
            r#"{"a": 1, "port": {"type": "env", "key": "PORT", "env_var_type": "int"},
                "no": {"type": "env", "key": "NO", "env_var_type": "bool"},
                "list": {"type": "env", "key": "LIST", "env_var_type": "json"},
                "d": {"type": "env", "key": "NOWHERE", "default": "1.5", "env_var_type": "float"},
                "v": "old", "other": {"type": "x"}}"#,
        );
        let mut given = Given::default();
        given.add_variable("v:int=7").unwrap();
        given.add_variable("undeclared=x").unwrap();
        let loaded = configuration(Some(&declared), &given.configuration, &environment).unwrap();
        let expected = r#"{"a": 1, "port": 80, "no": false, "list": [1], "d": 1.5, "v": 7,
                           "other": {"type": "x"}}"#;
        assert_eq!(Value::Map(loaded), value(expected));
    }

    #[test]
    fn what_the_environment_does_not_have_is_an_error() {
        let declared = value(r#"{"a": {"type": "env", "key": "NOWHERE"}}"#);
        let error = configuration(Some(&declared), &Map::new(), &environment).unwrap_err();
        assert!(error.ends_with("NOWHERE"), "{error}");
        let grouped = value(r#"{"g": {"a": {"type": "env", "key": "NOWHERE"}}}"#);
        assert!(secrets(Some(&grouped), None, &environment).unwrap_err().ends_with("NOWHERE"));
    }

    #[test]
    fn vault_is_refused_and_says_what_to_do() {
        let declared = value(r#"{"g": {"a": {"type": "vault", "path": "x"}}}"#);
        let error = secrets(Some(&declared), None, &environment).unwrap_err();
        assert!(error.contains("as type `env`"), "{error}");
    }

    #[test]
    fn variable_files_are_maps_or_lines() {
        let mut given = Given::default();
        given.add_file("a.json", r#"{"configuration": {"x": 1}, "secrets": {"g": {}}}"#).unwrap();
        given.add_file("b.env", "# c\n\nA=b=c\n").unwrap();
        assert_eq!(given.configuration["x"], Value::from(1));
        assert_eq!(given.environment, [("A".to_owned(), "b=c".to_owned())]);
        assert!(given.add_file("c.env", "nonsense").is_err());
        assert!(given.add_variable("a:int=x").is_err());
        assert!(given.add_variable("novalue").is_err());
    }
}
