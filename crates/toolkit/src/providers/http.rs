//! The `http` provider: makes a request, gives `{status, headers, body}`.
//!
//! Behaves as `requests` does for chaoslib: redirects are followed, arguments are a query for GET
//! and a form or JSON else, the body is parsed when the response says that it is JSON and is text
//! in the encoding that `requests` would assume otherwise.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, Url};

use super::OUTPUT_BYTES_MAX;
use crate::clock;
use crate::raise::{Failure, Raise};
use crate::substitute::Variables;
use crate::value::{Map, Value};

const REDIRECTS_MAX: usize = 30;

/// Makes the provider's request.
pub async fn run(provider: &Value, variables: &Variables) -> Result<Value, Failure> {
    let url = variables.substitute(provider.get("url").unwrap_or(&Value::Null))?.to_string();
    let method = provider.get_str("method").unwrap_or("GET").to_uppercase();
    let headers = substituted(provider, "headers", variables)?;
    let arguments = match provider.get("arguments") {
        Some(arguments) if arguments.truthy() => variables.substitute_arguments(arguments)?,
        _ => Value::Null,
    };
    let timeout = timeout(&substituted(provider, "timeout", variables)?)?;
    let verify = provider.get("verify_tls").cloned().unwrap_or(Value::Bool(true));
    let client = client(&timeout, &verify)?;
    let retries = match provider.get("max_retries") {
        Some(Value::Int(retries)) => (*retries).clamp(0, 100),
        _ => 0,
    };
    let mut retried = 0;
    let response = loop {
        let request = request(&client, &method, &url, &headers, &arguments)?;
        match request.send().await {
            Ok(response) => break response,
            Err(error) if error.is_connect() && retried < retries => retried += 1,
            Err(error) => return Err(failure(&url, &error)),
        }
    };
    result(&url, response).await
}

struct Timeout {
    connect: Option<Duration>,
    read: Option<Duration>,
}

fn substituted(provider: &Value, key: &str, variables: &Variables) -> Result<Value, Failure> {
    let value = provider.get(key).map(|value| variables.substitute(value)).transpose()?;
    Ok(value.unwrap_or_default())
}

/// One number for both, or a pair.
fn timeout(timeout: &Value) -> Result<Timeout, Failure> {
    let wrong = || Raise::Error(format!("`{timeout}` is no timeout: a number above 0 or a pair"));
    let one = |value: &Value| match value {
        Value::Null => Ok(None),
        value => match value.as_number() {
            Some(number) if number > 0.0 => Ok(Some(clock::seconds(number))),
            _ => Err(wrong()),
        },
    };
    match timeout {
        Value::List(pair) => match pair.as_slice() {
            [connect, read] => Ok(Timeout { connect: one(connect)?, read: one(read)? }),
            _ => Err(wrong().into()),
        },
        both => Ok(Timeout { connect: one(both)?, read: one(both)? }),
    }
}

fn client(timeout: &Timeout, verify: &Value) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .redirect(Policy::limited(REDIRECTS_MAX))
        .user_agent(concat!("immune/", env!("CARGO_PKG_VERSION")));
    if let Some(connect) = timeout.connect {
        builder = builder.connect_timeout(connect);
    }
    if let Some(read) = timeout.read {
        builder = builder.read_timeout(read);
    }
    match verify {
        Value::Text(path) => {
            let pem = std::fs::read(path).map_err(|error| {
                Raise::Error(format!("verify_tls: cannot read {path}: {error}"))
            })?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| Raise::Error(format!("verify_tls: {path}: {error}")))?;
            builder = builder.tls_certs_only(certificates);
        }
        verify => builder = builder.tls_danger_accept_invalid_certs(!verify.truthy()),
    }
    builder.build().map_err(|error| Raise::Error(error.to_string()).into())
}

fn request(
    client: &Client,
    method: &str,
    url: &str,
    headers: &Value,
    arguments: &Value,
) -> Result<RequestBuilder, Failure> {
    let wrong = |problem: String| Failure::Raise(Raise::Error(problem));
    let mut url =
        Url::parse(url).map_err(|error| wrong(format!("Invalid URL '{url}': {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("no way to connect to `{url}`: neither http nor https")));
    }
    let name = Method::from_bytes(method.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    if method == "GET" && arguments.truthy() {
        match arguments {
            Value::Text(query) => add_query(&mut url, query),
            form => {
                let pairs = pairs(form).map_err(wrong)?;
                url.query_pairs_mut().extend_pairs(pairs);
            }
        }
    }
    let mut request = client.request(name, url);
    let mut is_json = false;
    if let Value::Map(headers) = headers {
        for (name, value) in headers {
            let Value::Text(value) = value else {
                return Err(wrong(format!("header {name} must be text, not a {}", value.kind())));
            };
            is_json |= name == "Content-Type" && value == "application/json";
            request = request.header(name, value);
        }
    }
    if method == "GET" || arguments.is_null() {
        return Ok(request);
    }
    if is_json {
        return Ok(request.body(serde_json::to_vec(arguments).unwrap_or_default()));
    }
    match arguments {
        Value::Text(text) => Ok(request.body(text.clone())),
        form => {
            let mut encoded =
                Url::parse("http://form").map_err(|error| wrong(error.to_string()))?;
            encoded.query_pairs_mut().extend_pairs(pairs(form).map_err(wrong)?);
            let body = encoded.query().unwrap_or_default().to_owned();
            let has_type = headers.as_map().is_some_and(|headers| {
                headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"))
            });
            if !has_type {
                request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            }
            Ok(request.body(body))
        }
    }
}

fn add_query(url: &mut Url, query: &str) {
    let all = match url.query() {
        Some(given) if !given.is_empty() => format!("{given}&{query}"),
        _ => query.to_owned(),
    };
    url.set_query(Some(&all));
}

/// Names and values of a form: a list of values repeats the name, nothing is left out.
fn pairs(form: &Value) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut add = |name: &str, value: &Value| match value {
        Value::List(values) => {
            let given = values.iter().filter(|value| !value.is_null());
            pairs.extend(given.map(|value| (name.to_owned(), value.to_string())));
        }
        Value::Map(map) => {
            pairs.extend(map.keys().map(|key| (name.to_owned(), key.clone())));
        }
        Value::Null => {}
        value => pairs.push((name.to_owned(), value.to_string())),
    };
    match form {
        Value::Map(map) => map.iter().for_each(|(name, value)| add(name, value)),
        Value::List(list) => {
            for pair in list {
                match pair.as_list() {
                    Some([name, value]) => add(&name.to_string(), value),
                    _ => return Err("arguments in a list must be pairs".to_owned()),
                }
            }
        }
        other => return Err(format!("arguments cannot be a {}", other.kind())),
    }
    Ok(pairs)
}

async fn result(url: &str, mut response: Response) -> Result<Value, Failure> {
    let status = i32::from(response.status().as_u16());
    let headers = headers(response.headers());
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() > OUTPUT_BYTES_MAX => {
                let problem = format!("the response has more than {OUTPUT_BYTES_MAX} bytes");
                return Err(Failure::Activity(problem));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) if error.is_timeout() => return Err(failure(url, &error)),
            Err(error) => return Err(Raise::Error(chain(&error)).into()),
        }
    }
    let body = if kind == "application/json" {
        serde_json::from_slice(&body)
            .map_err(|error| Raise::Error(format!("the response is not JSON: {error}")))?
    } else {
        Value::Text(decode(&kind, &body))
    };
    Ok([("status", status.into()), ("headers", headers), ("body", body)].into())
}

/// Headers by name, words capitalised; equal names are joined by commas.
fn headers(headers: &HeaderMap) -> Value {
    let mut map = Map::new();
    for (name, value) in headers {
        let name = capitalised(name.as_str());
        let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        match map.get_mut(&name) {
            Some(Value::Text(joined)) => *joined = format!("{joined}, {value}"),
            _ => {
                map.insert(name, Value::Text(value));
            }
        }
    }
    Value::Map(map)
}

fn capitalised(name: &str) -> String {
    let mut starts = true;
    let letter = |c: char| {
        let written = if starts { c.to_ascii_uppercase() } else { c };
        starts = c == '-';
        written
    };
    match name {
        "etag" => "ETag".to_owned(),
        "www-authenticate" => "WWW-Authenticate".to_owned(),
        name => name.chars().map(letter).collect(),
    }
}

/// Text of kind `text` without a charset is Latin-1 to `requests`, whatever it is.
fn decode(kind: &str, body: &[u8]) -> String {
    let lower = kind.to_ascii_lowercase();
    let charset = lower.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="));
    let charset = charset.map(|name| name.trim_matches(['"', '\'', ' ']));
    let is_latin = match charset {
        Some(name) => matches!(name, "iso-8859-1" | "latin-1" | "latin1" | "iso8859-1"),
        None => lower.contains("text"),
    };
    if is_latin {
        body.iter().map(|byte| char::from(*byte)).collect()
    } else {
        String::from_utf8_lossy(body).into_owned()
    }
}

fn failure(url: &str, error: &reqwest::Error) -> Failure {
    if error.is_redirect() || error.is_builder() {
        return Raise::Error(chain(error)).into();
    }
    if error.is_timeout() && !error.is_connect() {
        return Failure::Activity("activity took too long to complete".to_owned());
    }
    Failure::Activity(format!("failed to connect to {url}: {}", chain(error)))
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_repeat_lists_and_leave_out_nothing() {
        let form: Value =
            serde_json::from_str(r#"{"a": [1, null, "x y"], "b": null, "c": true}"#).unwrap();
        let pairs = pairs(&form).unwrap();
        let expected = [("a", "1"), ("a", "x y"), ("c", "True")];
        assert_eq!(pairs, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn text_is_decoded_as_requests_decodes_it() {
        let body = "é".as_bytes();
        assert_eq!(decode("text/plain", body), "Ã©");
        assert_eq!(decode("text/plain; charset=UTF-8", body), "é");
        assert_eq!(decode("application/octet-stream", body), "é");
        assert_eq!(capitalised("content-type"), "Content-Type");
    }

    #[test]
    fn a_timeout_is_a_number_or_a_pair() {
        let value = |json: &str| -> Value { serde_json::from_str(json).unwrap() };
        let pair = timeout(&value("[1, 0.5]")).unwrap();
        assert_eq!(pair.connect, Some(Duration::from_secs(1)));
        assert_eq!(pair.read, Some(Duration::from_millis(500)));
        for wrong in ["0", "\"3\"", "[1]", "-1"] {
            assert!(timeout(&value(wrong)).is_err(), "{wrong}");
        }
    }
}
