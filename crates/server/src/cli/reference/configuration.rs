//! Every field of the configuration file: its path, what it takes, its default, what it means.
//!
//! Read off the JSON schema, which is made from the types that read the file. A list is `[]`, a
//! name that you choose is `NAME`; the parts of what may be one of several are listed one after
//! another.

use std::fmt::Write;

use serde_json::Value;

use super::cell;

/// Deeper than any real field: a schema that refers to itself ends here.
const DEPTH_MAX: usize = 12;

pub(super) fn page(schema: &Value) -> String {
    let mut text = String::from(
        "# Configuration reference\n\n\
         Every field of the configuration file, made from the program by `immune reference \
         configuration`. [Configuration](../configuration.md) explains them with examples; \
         [config.schema.json](config.schema.json) is for editors, and \
         [immune.default.yaml](immune.default.yaml) is the file that an empty one stands for.\n\n\
         `[]` is each item of a list, `NAME` a name that you choose. A duration is written \
         `250ms`, `10s`, `1h30m`, `28d`; a size `64MiB`.\n",
    );
    let definitions = &schema["$defs"];
    let Some(sections) = schema["properties"].as_object() else { return text };
    for (name, field) in sections {
        let _ = writeln!(text, "\n## {name}\n");
        let field = Field { schema: field, definitions };
        let description = field.description();
        if !description.is_empty() {
            let _ = writeln!(text, "{description}\n");
        }
        let mut rows = Vec::new();
        field.walk(name, &field.default(), Need::Free, 0, &mut rows);
        let _ = writeln!(text, "| field | takes | default | meaning |\n|---|---|---|---|");
        for Row { path, takes, default, meaning } in rows {
            let _ = writeln!(text, "| `{path}` | {takes} | {default} | {meaning} |");
        }
    }
    text
}

struct Row {
    path: String,
    takes: String,
    default: String,
    meaning: String,
}

/// Must a field be written?
#[derive(Clone, Copy)]
enum Need {
    Free,
    Must,
    /// It is what one of several choices has.
    OneOf,
}

/// A place in the schema.
#[derive(Clone, Copy)]
struct Field<'a> {
    schema: &'a Value,
    definitions: &'a Value,
}

impl<'a> Field<'a> {
    fn at(self, schema: &'a Value) -> Field<'a> {
        Field { schema, ..self }
    }

    /// What it refers to.
    fn target(self) -> Field<'a> {
        let mut field = self;
        for _ in 0..DEPTH_MAX {
            let reference = field.schema["$ref"].as_str();
            let Some(name) = reference.and_then(|path| path.strip_prefix("#/$defs/")) else {
                break;
            };
            field = field.at(&self.definitions[name]);
        }
        field
    }

    /// What it may be, other than nothing at all.
    fn choices(self) -> Vec<Field<'a>> {
        let mut found = Vec::new();
        self.gather_choices(0, &mut found);
        found
    }

    fn gather_choices(self, depth: usize, found: &mut Vec<Field<'a>>) {
        let target = self.target();
        let listed = ["anyOf", "oneOf"].iter().find_map(|key| target.schema[key].as_array());
        match listed {
            Some(listed) if depth < DEPTH_MAX => {
                listed.iter().for_each(|one| target.at(one).gather_choices(depth + 1, found));
            }
            _ if target.schema["type"] == "null" => {}
            _ => found.push(target),
        }
    }

    fn description(self) -> String {
        let own = self.schema["description"].as_str();
        let of_target = self.target().schema["description"].as_str();
        own.or(of_target).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn default(self) -> Value {
        self.schema.get("default").cloned().unwrap_or(Value::Null)
    }

    /// `default` is what the parts around it say.
    fn walk(self, path: &str, default: &Value, need: Need, depth: usize, rows: &mut Vec<Row>) {
        let default = if default.is_null() { self.default() } else { default.clone() };
        let choices = self.choices();
        let has_parts = choices.iter().any(|one| one.target().has_parts());
        let takes = self.takes();
        if !takes.is_empty() || !has_parts {
            rows.push(Row {
                path: path.to_owned(),
                takes: cell(&takes),
                default: match need {
                    Need::Must => "required".to_owned(),
                    Need::OneOf => "one of these".to_owned(),
                    Need::Free => shown(&default),
                },
                meaning: cell(&self.description()),
            });
        }
        if depth >= DEPTH_MAX {
            return;
        }
        let is_one_of = choices.len() > 1;
        for choice in choices {
            choice.target().parts(path, &default, is_one_of, depth, rows);
        }
    }

    fn has_parts(self) -> bool {
        self.schema["properties"].is_object()
            || self.schema["items"].is_object()
            || self.schema["additionalProperties"].is_object()
    }

    fn parts(
        self,
        path: &str,
        default: &Value,
        is_one_of: bool,
        depth: usize,
        rows: &mut Vec<Row>,
    ) {
        let required = self.schema["required"].as_array().cloned().unwrap_or_default();
        for (name, part) in self.schema["properties"].as_object().into_iter().flatten() {
            let need = match required.iter().any(|one| one == name) {
                true if is_one_of => Need::OneOf,
                true => Need::Must,
                false => Need::Free,
            };
            let path = format!("{path}.{name}");
            self.at(part).walk(&path, &default[name.as_str()], need, depth + 1, rows);
        }
        for (key, step) in [("items", "[]"), ("additionalProperties", ".NAME")] {
            let part = self.at(&self.schema[key]);
            if part.schema.is_object() && part.choices().iter().any(|one| one.target().has_parts())
            {
                let choices = part.choices();
                let is_one_of = choices.len() > 1;
                for choice in choices {
                    let path = format!("{path}{step}");
                    choice.target().parts(&path, &Value::Null, is_one_of, depth + 1, rows);
                }
            }
        }
    }

    /// The kinds of value that may be written here; empty for what only has parts.
    fn takes(self) -> String {
        let mut kinds: Vec<String> = Vec::new();
        for choice in self.choices() {
            let kind = choice.kind();
            if !kind.is_empty() && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.join(", ")
    }

    fn kind(self) -> String {
        let target = self.target();
        if let Some(values) = target.schema["enum"].as_array() {
            let values = values.iter().filter(|value| !value.is_null());
            return values.map(|value| format!("`{}`", bare(value))).collect::<Vec<_>>().join(", ");
        }
        if let Some(value) = target.schema.get("const") {
            return format!("`{}`", bare(value));
        }
        let kind = match &target.schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null"),
            one => Some(one),
        };
        match kind.and_then(Value::as_str).unwrap_or_default() {
            "object" => match target.schema["additionalProperties"].is_object() {
                true => {
                    let of = target.at(&target.schema["additionalProperties"]).takes();
                    if of.is_empty() { "map".to_owned() } else { format!("map of {of}") }
                }
                false => String::new(),
            },
            "array" => {
                let of = target.at(&target.schema["items"]).takes();
                if of.is_empty() { "list".to_owned() } else { format!("list of {of}") }
            }
            "boolean" => "`true`, `false`".to_owned(),
            "integer" => "whole number".to_owned(),
            "number" => "number".to_owned(),
            "string" => match target.schema["examples"][0].as_str() {
                Some(example) => format!("text such as `{example}`"),
                None => "text".to_owned(),
            },
            other => other.to_owned(),
        }
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shown(default: &Value) -> String {
    match default {
        Value::Null => String::new(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(parts) if parts.is_empty() => "none".to_owned(),
        value => format!("`{}`", cell(&bare(value))),
    }
}
