//! The OpenAPI document (3.1): made of the table of routes and of what handlers take and answer.
//!
//! `docs/reference/openapi.json` is what it was when last blessed; `GET /api/v1/openapi.json`
//! answers with it, and `immune schema api` prints it.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::contract::{Contract, Schemas};
use super::extract::Json;
use super::route::{Endpoint, Given, Kind, Parameter, Route};
use super::routes::AREAS;

/// The document as it is served.
static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// An OpenAPI document.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct OpenApi(Map<String, Value>);

pub(super) async fn served() -> Json<OpenApi> {
    let object = DOCUMENT.as_object().cloned();
    Json(OpenApi(object.unwrap_or_default()))
}

/// The whole document.
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let failure = schemas.answers.subschema_for::<super::error::Failure>();
    let mut paths: Map<String, Value> = Map::new();
    for area in AREAS {
        for route in area.routes {
            let endpoint = (route.endpoint)();
            let operation = operation(area.name, route, &endpoint, &mut schemas);
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[endpoint.method] = operation;
        }
    }
    let tags: Vec<Value> =
        AREAS.iter().map(|area| json!({ "name": area.name, "description": area.about })).collect();
    let schemas = components(schemas, &mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Immune",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are RFC 3339 in UTC. Errors have one shape, whatever the status. \
                            Bearer tokens are needed once any is configured; `x-role` is the least \
                            that may ask.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "tags": tags,
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Failure": {
                    "description": "What was wrong, and what to do.",
                    "content": { "application/json": { "schema": failure } },
                },
            },
            "schemas": schemas,
        },
    })
}

fn operation(area: &str, route: &Route, endpoint: &Endpoint, schemas: &mut Schemas) -> Value {
    let Contract { path, body, answer } = (endpoint.contract)(schemas);
    let mut parameters: Vec<Value> = Vec::new();
    if let (Some(name), Some(schema)) = (variable(route.path), path) {
        let place = json!({ "name": name, "in": "path", "required": true, "schema": schema });
        parameters.push(place);
    }
    parameters.extend(route.parameters.iter().map(parameter));
    let mut operation = json!({
        "operationId": operation_id(endpoint.method, route.path),
        "tags": [area],
        "summary": route.summary,
        "responses": {
            "200": { "description": route.summary, "content": answer },
            "default": { "$ref": "#/components/responses/Failure" },
        },
    });
    match route.role {
        Some(role) => operation["x-role"] = role.as_str().into(),
        None => operation["security"] = json!([]),
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(content) = body {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    let mut schema = match parameter.kind {
        Kind::Text | Kind::Moment | Kind::Duration => json!({ "type": "string" }),
        Kind::Integer => json!({ "type": "integer", "minimum": 0 }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
    };
    let how = match parameter.kind {
        Kind::Moment => " (RFC 3339, `now`, or a duration before now such as `15m`)",
        Kind::Duration => " (`250ms`, `10s`, `5m`, `1h30m`)",
        Kind::Text | Kind::Integer | Kind::Word(_) => "",
    };
    if parameter.given == Given::Often {
        schema = json!({ "type": "array", "items": schema });
    }
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.given == Given::Must,
        "description": format!("{}{how}", parameter.about),
        "schema": schema,
    })
}

/// The name in braces.
fn variable(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once('{')?;
    Some(rest.split_once('}')?.0)
}

/// `get_incidents_id_events`.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.trim_start_matches("/api/v1");
    let words = path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

/// Schemas of all named types. Where a body reads a type otherwise than an answer writes it, the
/// body's is called `…Input`, and so is every type of a body that refers to one.
fn components(mut schemas: Schemas, paths: &mut Map<String, Value>) -> Value {
    let mut all = schemas.answers.take_definitions(true);
    let mut bodies = schemas.bodies.take_definitions(true);
    let mut differ: Vec<String> = Vec::new();
    loop {
        let known = differ.len();
        for (name, schema) in &bodies {
            let refers = |other: &String| schema.to_string().contains(&reference(other));
            let differs = all.get(name).is_some_and(|answer| answer != schema);
            if !differ.contains(name) && (differs || differ.iter().any(refers)) {
                differ.push(name.clone());
            }
        }
        if differ.len() == known {
            break;
        }
    }
    let renamed = |mut value: Value| {
        rename(&mut value, &differ);
        value
    };
    for (name, schema) in std::mem::take(&mut bodies) {
        let name = if differ.contains(&name) { format!("{name}Input") } else { name };
        all.insert(name, renamed(schema));
    }
    for (_, operation) in paths.values_mut().filter_map(Value::as_object_mut).flatten() {
        if let Some(body) = operation.get_mut("requestBody") {
            rename(body, &differ);
        }
    }
    Value::Object(all)
}

/// As it stands in JSON, with its closing quote: no name is the beginning of another.
fn reference(name: &str) -> String {
    format!("\"#/components/schemas/{name}\"")
}

fn rename(value: &mut Value, names: &[String]) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && names.iter().any(|name| reference.ends_with(&format!("/{name}")))
            {
                reference.push_str("Input");
            }
            object.values_mut().for_each(|value| rename(value, names));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_types_and_every_reference_is_there() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in schemas.keys() {
            // The second type of a name gets a number.
            assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "two are called {name}");
        }
        let text = document.to_string();
        for used in text.split("\"#/components/schemas/").skip(1) {
            let name = used.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is nowhere");
        }
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_a_role_or_none_on_purpose() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
                let open = operation["security"] == json!([]);
                assert_eq!(operation["x-role"].is_null(), open, "{method} {path}");
                assert!(operation["responses"]["200"]["content"].is_object(), "{method} {path}");
            }
        }
        assert!(ids.contains("get_incidents_id_events") && ids.contains("get_openapi_json"));
    }
}
