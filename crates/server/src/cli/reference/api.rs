//! Every route of the HTTP API and every shape that it takes or answers, off the OpenAPI document.

use std::fmt::Write;

use serde_json::Value;

use super::cell;

const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

pub(super) fn page(document: &Value) -> String {
    let mut text = String::from(
        "# API reference\n\n\
         Every route with what it takes and answers, made from the program by `immune reference \
         api`. [openapi.json](openapi.json) is the same for programs, and a running server answers \
         with it at `GET /api/v1/openapi.json`. [The HTTP API](../api.md) explains it.\n",
    );
    for tag in array(&document["tags"]) {
        let (name, about) = (word(&tag["name"]), word(&tag["description"]));
        let _ = writeln!(text, "\n## {name}\n\n{about}");
        for (path, operations) in document["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                let operation = &operations[*method];
                if array(&operation["tags"]).iter().any(|one| one == &tag["name"]) {
                    route(&mut text, method, path, operation);
                }
            }
        }
    }
    let _ = writeln!(text, "\n## Shapes");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        shape(&mut text, name, schema);
    }
    text
}

fn route(text: &mut String, method: &str, path: &str, operation: &Value) {
    let _ = writeln!(text, "\n### {} {path}\n", method.to_uppercase());
    let role =
        operation["x-role"].as_str().map_or("no token".to_owned(), |it| format!("role {it}"));
    let _ = writeln!(text, "{} ({role})", cell(word(&operation["summary"])));
    let parameters = array(&operation["parameters"]);
    if !parameters.is_empty() {
        let _ = writeln!(text, "\n| parameter | takes | meaning |\n|---|---|---|");
    }
    for parameter in parameters {
        let name = word(&parameter["name"]);
        let must = if parameter["required"] == true { ", required" } else { "" };
        let takes = kind(&parameter["schema"]);
        let meaning = match word(&parameter["in"]) {
            "path" => "part of the path".to_owned(),
            _ => cell(word(&parameter["description"])),
        };
        let _ = writeln!(text, "| `{name}` | {takes}{must} | {meaning} |");
    }
    for (part, content) in [
        ("Body", &operation["requestBody"]["content"]),
        ("Answer", &operation["responses"]["200"]["content"]),
    ] {
        for (media, content) in content.as_object().into_iter().flatten() {
            let _ = writeln!(text, "\n{part}: {} as `{media}`", kind(&content["schema"]));
        }
    }
}

fn shape(text: &mut String, name: &str, schema: &Value) {
    let _ = writeln!(text, "\n### {name}\n");
    let about = cell(word(&schema["description"]));
    if !about.is_empty() {
        let _ = writeln!(text, "{about}\n");
    }
    let Some(fields) = schema["properties"].as_object() else {
        let _ = writeln!(text, "{}", kind(schema));
        return;
    };
    let _ = writeln!(text, "| field | is | meaning |\n|---|---|---|");
    let required = array(&schema["required"]);
    for (field, schema) in fields {
        let absent = if required.iter().any(|one| one == field) { "" } else { ", may be absent" };
        let meaning = cell(word(&schema["description"]));
        let _ = writeln!(text, "| `{field}` | {}{absent} | {meaning} |", kind(schema));
    }
}

/// What a value is, in a few words, with links to shapes of their own.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().map(|value| format!("`{}`", value.as_str().unwrap_or("null")));
        return values.collect::<Vec<_>>().join(", ");
    }
    if let Some(value) = schema["const"].as_str() {
        return format!("`{value}`");
    }
    for (key, between) in [("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")] {
        if let Some(kinds) = schema[key].as_array() {
            return kinds.iter().map(kind).collect::<Vec<_>>().join(between);
        }
    }
    let words = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(|it| one(word(it), schema)).collect(),
        kind => vec![one(word(kind), schema)],
    };
    words.join(" or ")
}

fn one(kind: &str, schema: &Value) -> String {
    match kind {
        "array" => match schema["prefixItems"].as_array() {
            Some(items) => {
                let items: Vec<String> = items.iter().map(self::kind).collect();
                format!("list of exactly ({})", items.join("; "))
            }
            None => format!("list of {}", self::kind(&schema["items"])),
        },
        "object" => {
            let fields = schema["properties"].as_object();
            let names: Vec<String> =
                fields.into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
            match (names.as_slice(), schema["additionalProperties"].is_object()) {
                ([], true) => format!("map of {}", self::kind(&schema["additionalProperties"])),
                ([], false) => "object".to_owned(),
                (names, _) => format!("object with {}", names.join(", ")),
            }
        }
        "string" if schema["format"] == "date-time" => "time".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "" => "anything".to_owned(),
        other => other.to_owned(),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
