//! The OpenAPI document tells the truth: every answer of a server that has seen an incident healed
//! is as described, with nothing missing and nothing that is not described; every parameter that a
//! route knows is in the document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::lab::Lab;
use crate::traffic::Traffic;
use crate::wait::until;

/// Routes that take variable parts, with values that are there once an incident was healed.
const PLACES: &[(&str, &str)] = &[
    ("/api/v1/incidents/{id}", "incidents/1"),
    ("/api/v1/incidents/{id}/events", "incidents/1/events"),
    ("/api/v1/plans/{id}", "plans/1"),
    ("/api/v1/services/{name}", "services/orders"),
    ("/api/v1/series/labels/{name}", "series/labels/service"),
];
/// Answers that are no JSON, or go on.
const OTHERS: &[&str] = &["/metrics", "/livez", "/readyz", "/api/v1/logs/tail", "/api/v1/stream"];

#[test]
fn every_answer_is_as_the_document_describes_it() {
    let mut lab = Lab::new();
    lab.start_target();
    lab.start_with_agent();
    let traffic = Traffic::start(&lab);
    traffic.until_good(100);
    lab.kill_target();
    lab.incident("is resolved", |incident| incident["state"] == "resolved");
    let change = json!({ "service": "orders", "kind": "flag", "summary": "on" });
    assert_eq!(lab.post("changes", Some(change)).status, 200);
    let placebo = json!({
        "title": "nothing happens", "target": "orders", "deadline": "1m", "observe": "2s",
        "steady_state": { "slos": ["storefront"], "held_for": "1s" },
        "blast_radius": { "environment": "default", "services": ["storefront", "orders"] },
        "expect": { "decision": "leave_alone" },
    });
    let started = lab.post("drills", Some(placebo));
    assert_eq!(started.status, 200, "{}", started.body);
    until("the placebo is over", || (!lab.get("drills/1")["scorecard"].is_null()).then_some(()));
    let document = lab.get("openapi.json");
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(operation) = operations.get("get") else { continue };
        if OTHERS.contains(&path.as_str()) {
            continue;
        }
        let mut places: Vec<String> = match path.as_str() {
            "/api/v1/traces/{id}" => {
                let id = lab.get("traces")["traces"][0]["trace_id"].as_str().unwrap().to_owned();
                vec![format!("traces/{id}")]
            }
            "/api/v1/drills/{id}" => vec!["drills/1".to_owned()],
            "/api/v1/series" => ["immune.requests", "immune.duration"]
                .map(|metric| format!("series?match={metric}"))
                .to_vec(),
            path => PLACES
                .iter()
                .filter(|(route, _)| *route == path)
                .map(|(_, place)| (*place).to_owned())
                .collect(),
        };
        if places.is_empty() {
            places.push(path.trim_start_matches("/api/v1/").to_owned());
        }
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{path} answers in JSON and is not described");
        for place in places {
            let answer = lab.get(&place);
            let mut wrong = Vec::new();
            check(&document, schema, &answer, &place, &mut wrong);
            assert!(wrong.is_empty(), "{place}:\n{}\n{answer:#}", wrong.join("\n"));
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} answers were looked at");
    let failure = &document["components"]["schemas"]["Failure"];
    let answer = lab.ask("GET", "incidents/77", None).json();
    let mut wrong = Vec::new();
    check(&document, failure, &answer, "error", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_parameter_that_a_route_knows_is_described_and_no_other() {
    let mut lab = Lab::new();
    lab.start();
    let document = lab.get("openapi.json");
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(operation) = operations.get("get") else { continue };
        let described = query_parameters(operation);
        let path = path.replace("{id}", "7").replace("{name}", "x");
        let path = path.replace("traces/7", "traces/0af7651916cd43dd8448eb211c80319c");
        let Some(path) = path.strip_prefix("/api/v1/") else { continue };
        if described.is_empty() {
            continue;
        }
        let asked: Vec<String> =
            described.iter().map(|name| format!("{name}={}", value(path, name))).collect();
        let response = lab.ask("GET", &format!("{path}?{}&nonesuch=1", asked.join("&")), None);
        assert_eq!(response.status, 400, "{path}: {}", response.body);
        let error = response.error();
        let Some((_, known)) = error.split_once("there are: ") else {
            panic!("{path} takes not all that is described: {error}");
        };
        let known: BTreeSet<String> = known.split(", ").map(str::to_owned).collect();
        assert_eq!(known, described, "{path}");
    }
}

fn query_parameters(operation: &Value) -> BTreeSet<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let of_query = parameters.filter(|parameter| parameter["in"] == "query");
    of_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

/// Something that a parameter of that name takes there.
fn value(path: &str, name: &str) -> &'static str {
    match name {
        "kind" if path.starts_with("services") => "service",
        "from" => "1h",
        "to" => "now",
        "limit" | "before" | "plan" | "buckets" => "5",
        "status" => "ok",
        "kind" | "service" => "server",
        "min_duration" | "max_duration" | "step" => "10s",
        "window" => "1m",
        "order" => "newest",
        "state" => "open",
        "refused" => "true",
        "attribute" => "http.route",
        "function" => "avg",
        _ => "",
    }
}

/// Says what of `answer` is not as `schema` describes it. Stricter than JSON Schema is: what is not
/// described is wrong too.
fn check(document: &Value, schema: &Value, answer: &Value, at: &str, wrong: &mut Vec<String>) {
    let allowed = gather(document, schema, answer);
    match allowed {
        Err(why) => wrong.push(format!("{at}: {why}")),
        Ok(parts) => within(document, &parts, answer, at, wrong),
    }
}

/// All schemas that describe this very value: references followed, alternatives chosen.
fn gather(document: &Value, schema: &Value, answer: &Value) -> Result<Vec<Value>, String> {
    let mut parts = vec![schema.clone()];
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(&reference[1..]);
        let target = target.ok_or_else(|| format!("{reference} is nowhere"))?;
        parts.extend(gather(document, target, answer)?);
    }
    for of_all in schema["allOf"].as_array().into_iter().flatten() {
        parts.extend(gather(document, of_all, answer)?);
    }
    for name in ["oneOf", "anyOf"] {
        let Some(alternatives) = schema[name].as_array() else { continue };
        let fits = |alternative: &&Value| {
            let mut wrong = Vec::new();
            // Properties beside the alternative are described elsewhere.
            let parts = gather(document, alternative, answer);
            let Ok(parts) = parts else { return false };
            shape(&parts, answer, &mut wrong);
            required(document, &parts, answer, &mut wrong);
            wrong.is_empty()
        };
        let Some(fitting) = alternatives.iter().find(fits) else {
            return Err(format!("none of {name} describes {answer}"));
        };
        parts.extend(gather(document, fitting, answer)?);
    }
    Ok(parts)
}

fn within(document: &Value, parts: &[Value], answer: &Value, at: &str, wrong: &mut Vec<String>) {
    let mut told = Vec::new();
    shape(parts, answer, &mut told);
    required(document, parts, answer, &mut told);
    wrong.extend(told.into_iter().map(|why| format!("{at}: {why}")));
    match answer {
        Value::Object(fields) => {
            for (name, value) in fields {
                let described = properties(parts, name);
                if described.is_empty() && !parts.iter().any(is_open) {
                    wrong.push(format!("{at}.{name} is not described"));
                }
                for schema in described {
                    check(document, &schema, value, &format!("{at}.{name}"), wrong);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for part in parts {
                    let schema = match &part["prefixItems"][index] {
                        Value::Null => &part["items"],
                        schema => schema,
                    };
                    if schema.is_object() {
                        check(document, schema, item, &format!("{at}[{index}]"), wrong);
                    }
                }
            }
        }
        _ => {}
    }
}

/// It says nothing of what is within.
fn is_open(part: &Value) -> bool {
    let alone = part.as_object().is_none_or(Map::is_empty) || *part == json!(true);
    let map = part["type"] == "object" && part["properties"].is_null() && part["$ref"].is_null();
    alone || (map && part["oneOf"].is_null())
}

fn properties(parts: &[Value], name: &str) -> Vec<Value> {
    let of = |part: &Value| {
        let named = part["properties"].get(name).cloned();
        named.or_else(|| {
            part["additionalProperties"].is_object().then(|| part["additionalProperties"].clone())
        })
    };
    parts.iter().filter_map(of).collect()
}

fn required(document: &Value, parts: &[Value], answer: &Value, wrong: &mut Vec<String>) {
    let names = parts.iter().flat_map(|part| part["required"].as_array().into_iter().flatten());
    for name in names.filter_map(Value::as_str) {
        if answer.get(name).is_none() {
            wrong.push(format!("{name} is missing"));
        }
    }
    // Tags of alternatives tell them apart.
    for part in parts {
        for (name, schema) in part["properties"].as_object().into_iter().flatten() {
            let Some(value) = answer.get(name) else { continue };
            if gather(document, schema, value).is_ok_and(|parts| {
                let mut wrong = Vec::new();
                shape(&parts, value, &mut wrong);
                !wrong.is_empty()
            }) {
                wrong.push(format!("{name} is not as described: {value}"));
            }
        }
    }
}

/// Type, constant and list of values.
fn shape(parts: &[Value], answer: &Value, wrong: &mut Vec<String>) {
    for part in parts {
        let types: Vec<&str> = match &part["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|name| is_a(name, answer)) {
            wrong.push(format!("{answer} is none of {types:?}"));
        }
        if let Some(constant) = part.get("const").filter(|constant| *constant != answer) {
            wrong.push(format!("{answer} is not {constant}"));
        }
        if part["enum"].as_array().is_some_and(|values| !values.contains(answer)) {
            wrong.push(format!("{answer} is none of {}", part["enum"]));
        }
        if part["format"] == "date-time"
            && answer.as_str().is_some_and(|text| model::Timestamp::parse_rfc3339(text).is_none())
        {
            wrong.push(format!("{answer} is no time"));
        }
    }
}

fn is_a(name: &str, answer: &Value) -> bool {
    match name {
        "null" => answer.is_null(),
        "boolean" => answer.is_boolean(),
        "string" => answer.is_string(),
        "array" => answer.is_array(),
        "object" => answer.is_object(),
        "integer" => answer.is_i64() || answer.is_u64(),
        "number" => answer.is_number(),
        _ => false,
    }
}
